#include "app/local_transport.h"

#include <chrono>

#include "client/event_parser.h"

namespace similis {

namespace {

constexpr std::chrono::milliseconds kPatience{200};

Result<ApiResponse> converted(const http::Response& response) {
  ApiResponse out;
  out.status = response.status;
  out.headers.assign(response.headers.begin(), response.headers.end());
  ASSIGN_OR_RETURN(out.body, response.body.text());
  return out;
}

}  // namespace

http::Response LocalTransport::answer(const Context& ctx, const ApiRequest& request) {
  http::RequestHead head;
  head.method = request.method;
  head.target = request.target;
  for (const auto& [name, value] : request.headers) head.headers.add(name, value);
  head.via = http::Via::in_process;
  head.has_body = !request.body.empty();
  head.content_length = request.body.size();
  return router_.handle(std::move(head), http::RequestBody::of(request.body), ctx.cancel);
}

Result<ApiResponse> LocalTransport::request(const Context& ctx, const ApiRequest& request) {
  TRY(ctx.check());
  return converted(answer(ctx, request));
}

Result<ApiResponse> LocalTransport::stream(
    const Context& ctx, const ApiRequest& request,
    const std::function<bool(const ServerSentEvent&)>& on_event) {
  TRY(ctx.check());
  const http::Response response = answer(ctx, request);
  if (!response.stream) return converted(response);
  EventParser events;
  for (;;) {
    TRY(ctx.check());
    const auto text = response.stream->next(ctx.cancel, kPatience);
    if (!text) {
      TRY(ctx.check());
      return converted(response);
    }
    if (!events.feed(*text, on_event)) return converted(response);
  }
}

}  // namespace similis
