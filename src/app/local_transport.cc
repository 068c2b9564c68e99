#include "app/local_transport.h"

#include <chrono>

#include "client/event_parser.h"
#include "http/router.h"

namespace similis {
namespace {

constexpr std::chrono::milliseconds kPatience{500};

http::Response ask(http::Router& router, const Context& ctx, const ApiRequest& request) {
  http::RequestHead head;
  head.method = request.method;
  head.target = request.target;
  head.via = http::Via::in_process;
  head.has_body = !request.body.empty();
  head.content_length = request.body.size();
  for (const auto& [name, value] : request.headers) head.headers.add(name, value);
  return router.handle(std::move(head), http::RequestBody::of(request.body), ctx.cancel);
}

ApiResponse head_of(const http::Response& response) {
  ApiResponse out;
  out.status = response.status;
  for (const auto& [name, value] : response.headers) out.headers.emplace_back(name, value);
  return out;
}

}  // namespace

Result<ApiResponse> LocalTransport::request(const Context& ctx, const ApiRequest& request) {
  const http::Response response = ask(system_->router(), ctx, request);
  ApiResponse out = head_of(response);
  out.body = std::string(response.body.view());
  return out;
}

Result<ApiResponse> LocalTransport::stream(
    const Context& ctx, const ApiRequest& request,
    const std::function<bool(const ServerSentEvent&)>& on_event) {
  const http::Response response = ask(system_->router(), ctx, request);
  ApiResponse out = head_of(response);
  if (!response.stream) {
    out.body = std::string(response.body.view());
    return out;
  }
  EventParser parser;
  for (;;) {
    const auto text = response.stream->next(ctx.cancel, kPatience);
    TRY(ctx.check());
    if (!text || !parser.feed(*text, on_event)) return out;
  }
}

}  // namespace similis
