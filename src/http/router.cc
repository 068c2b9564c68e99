#include "http/router.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>

#include "base/log.h"
#include "base/nearest.h"
#include "http/guard.h"
#include "http/routes.h"
#include "http/secrets.h"
#include "wire/error_table.h"
#include "wire/errors.h"
#include "wire/requests.h"
#include "wire/text.h"

namespace similis::http {

namespace {

/// What anybody may send without a credential: enough for one, and no way to hold a connection.
constexpr std::uint64_t kOpenBytesMax = 4 << 10;
constexpr std::chrono::seconds kOpenBodyTime{10};
constexpr std::size_t kTargetBytesMax = 8 << 10;
constexpr std::string_view kPage = "page";        // the route's name of static files in metrics
constexpr std::string_view kUnknown = "unknown";  // and of what matches nothing

constexpr Route kRoutes[] = {
    {"GET", "/api/v1/collections", list_collections},
    {"POST", "/api/v1/collections", create_collection, Access::member, BodyKind::json},
    {"GET", "/api/v1/collections/{collection}", get_collection},
    {"DELETE", "/api/v1/collections/{collection}", delete_collection},
    {"POST", "/api/v1/collections/{collection}/builds", start_build, Access::member,
     BodyKind::json_or_upload},
    {"POST", "/api/v1/collections/{collection}/export", start_export, Access::owner,
     BodyKind::json},
    {"POST", "/api/v1/collections/{collection}/search", search, Access::member, BodyKind::picture},
    {"GET", "/api/v1/collections/{collection}/images", list_images},
    {"POST", "/api/v1/collections/{collection}/images", upload_images, Access::member,
     BodyKind::upload},
    {"GET", "/api/v1/collections/{collection}/images/{id}", get_image},
    {"PATCH", "/api/v1/collections/{collection}/images/{id}", set_image_tags, Access::member,
     BodyKind::json},
    {"DELETE", "/api/v1/collections/{collection}/images/{id}", delete_image},
    {"GET", "/api/v1/collections/{collection}/images/{id}/file", get_image_file},
    {"GET", "/api/v1/collections/{collection}/images/{id}/thumbnail", get_image_thumbnail},
    {"GET", "/api/v1/collections/{collection}/images/{id}/preview", get_image_preview},
    {"GET", "/api/v1/collections/{collection}/failures", list_collection_failures},
    {"GET", "/api/v1/jobs", list_jobs},
    {"GET", "/api/v1/jobs/{id}", get_job},
    {"GET", "/api/v1/jobs/{id}/events", follow_job},
    {"POST", "/api/v1/jobs/{id}/pause", pause_job},
    {"POST", "/api/v1/jobs/{id}/resume", resume_job},
    {"POST", "/api/v1/jobs/{id}/cancel", cancel_job},
    {"GET", "/api/v1/jobs/{id}/failures", list_failures},
    {"POST", "/api/v1/jobs/{id}/failures/retry", retry_failures},
    {"POST", "/api/v1/collections/{collection}/verify", start_verify, Access::owner},
    {"GET", "/api/v1/models", list_models},
    {"GET", "/api/v1/status", get_status},
    {"GET", "/api/v1/keys", list_keys, Access::owner},
    {"POST", "/api/v1/keys", create_key, Access::owner, BodyKind::json},
    {"DELETE", "/api/v1/keys/{id}", delete_key, Access::owner},
    {"POST", "/api/v1/session", sign_in, Access::open, BodyKind::json},
    {"GET", "/healthz", healthz, Access::open},
    {"GET", "/readyz", readyz, Access::open},
    {"GET", "/metrics", metrics},
};

/// Fills `captures` when the segments fit the pattern.
bool match(std::string_view pattern, const std::vector<std::string>& segments,
           std::vector<std::string>& captures) {
  captures.clear();
  std::size_t index = 0;
  pattern.remove_prefix(1);
  while (true) {
    const std::size_t end = std::min(pattern.find('/'), pattern.size());
    const std::string_view part = pattern.substr(0, end);
    if (index == segments.size()) return false;
    if (part.starts_with('{')) {
      if (segments[index].empty()) return false;
      captures.push_back(segments[index]);
    } else if (part != segments[index]) {
      return false;
    }
    ++index;
    if (end == pattern.size()) return index == segments.size();
    pattern.remove_prefix(end + 1);
  }
}

/// GET serves HEAD; whoever sends the answer leaves the body out.
std::string_view effective_method(std::string_view method) {
  return method == "HEAD" ? "GET" : method;
}

Response problem(const Error& error, int status, const std::string& request_id) {
  Response response;
  response.status = status != 0 ? status : http_status(error.code);
  response.headers.set("Content-Type", "application/problem+json");
  if (response.status == 401) response.headers.set("WWW-Authenticate", "Bearer");
  if (response.status == 503) response.headers.set("Retry-After", "1");
  response.body = Bytes::of(wire::problem_json(error, request_id, response.status));
  return response;
}

void finish(Response& response, Audience audience, const std::string& request_id) {
  if (!response.headers.find("Content-Security-Policy")) add_security_headers(response, audience);
  if (!response.headers.find("Cache-Control")) response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Request-Id", request_id);
}

std::string joined_path(const Target& target) {
  std::string path;
  for (const std::string& segment : target.segments) path += "/" + segment;
  return path.empty() ? "/" : path;
}

Error not_found_here(const std::string& path) {
  return {ErrorCode::not_found, "there is nothing at " + wire::display_text(path),
          "The API is described at /openapi.json and /docs."};
}

class RouterExchange : public Exchange {
 public:
  RouterExchange(Deps& deps, RequestHead head) : deps_(deps) {
    call_.request_id = new_request_id();
    call_.head = std::move(head);
    call_.ctx.trace = std::make_shared<Trace>(call_.request_id);
    if (const Status admitted = admit(); !admitted.ok()) {
      refusal_ = error_response(admitted.error(), refusal_status_);
    }
  }

  [[nodiscard]] bool refused() const override { return refusal_.has_value(); }
  [[nodiscard]] bool authorised() const override {
    return call_.principal.kind != Principal::Kind::nobody;
  }

  [[nodiscard]] BodyPolicy body_policy() const override {
    const RouterOptions& options = deps_.options;
    if (!route_ || route_->access == Access::open) return {kOpenBytesMax, {}, "", kOpenBodyTime};
    switch (route_->body) {
      case BodyKind::none:
      case BodyKind::json:
        return {kJsonBytesMax, {}, "", {}};
      case BodyKind::picture:
        return {options.query_bytes_max, {}, "limits.query_bytes_max", {}};
      case BodyKind::upload:
      case BodyKind::json_or_upload:
        return {options.upload_bytes_max, options.spool_dir, "limits.upload_bytes_max", {}};
    }
    return {};
  }

  Response run(RequestBody body, std::stop_token cancel) override {
    Response response;
    if (refusal_) {
      response = std::move(*refusal_);
    } else {
      call_.body = std::move(body);
      call_.ctx.cancel = std::move(cancel);
      // The process's own command takes the time it takes: its user sees it run, and can stop it.
      if (call_.head.via != Via::in_process) {
        const bool is_upload = route_ && (route_->body == BodyKind::upload ||
                                          route_->body == BodyKind::json_or_upload);
        call_.ctx = call_.ctx.with_timeout(is_upload ? deps_.options.upload_timeout
                                                     : deps_.options.request_timeout);
      }
      auto answered = answer();
      response = answered.ok() ? std::move(answered).value() : error_response(answered.error(), 0);
    }
    return close(std::move(response));
  }

  Response fail(const Error& error, int status) override {
    return close(error_response(error, status));
  }

 private:
  Status admit() {
    const RequestHead& head = call_.head;
    if (head.target.size() > kTargetBytesMax) {
      refusal_status_ = 414;
      return Error(ErrorCode::too_large, "the address is longer than 8192 bytes",
                   "Send settings in the body.");
    }
    ASSIGN_OR_RETURN(call_.target, parse_target(head.target));
    const std::string path = joined_path(call_.target);
    const bool is_api = path.starts_with("/api/");
    bool path_known = false;
    std::string allowed;
    for (const Route& route : routes()) {
      std::vector<std::string> captures;
      if (!match(route.pattern, call_.target.segments, captures)) continue;
      path_known = true;
      allowed += (allowed.empty() ? "" : ", ") + std::string(route.method) +
                 (route.method == "GET" ? ", HEAD" : "");
      if (route.method != effective_method(head.method)) continue;
      route_ = &route;
      call_.captures = std::move(captures);
    }
    if (head.via == Via::tcp) {
      TRY(check_host(head, deps_.options.allow_hosts));
      TRY(check_origin(head, deps_.options.allow_hosts, !path_known && !is_api));
    }
    if (!route_) {
      if (!path_known && is_api) return not_found_here(path);
      if (!path_known && effective_method(head.method) == "GET") return {};  // the page, maybe
      refusal_status_ = 405;
      allow_ = path_known ? allowed : "GET, HEAD";
      return Error(ErrorCode::invalid_argument,
                   wire::display_text(head.method.substr(0, 20)) + " is not possible here",
                   "Possible: " + allow_ + ".");
    }
    TRY(authenticate());
    return check_body();
  }

  Status authenticate() {
    if (route_->access == Access::open) return {};
    ASSIGN_OR_RETURN(call_.principal, deps_.auth.identify(call_.ctx, call_.head));
    if (call_.principal.kind == Principal::Kind::nobody) {
      return Error(ErrorCode::unauthenticated, "this needs a credential",
                   "Open the address that `similis serve` printed, or send `Authorization: Bearer "
                   "...` with its token or an API key.");
    }
    call_.permissions = permissions_of(call_.principal, deps_.options.keys_see_paths);
    if (route_->access == Access::owner && !call_.permissions.manage_keys) {
      return Error(ErrorCode::permission_denied, "only the owner may do this",
                   "Use the command line, or the socket similis.sock in the data directory.");
    }
    return {};
  }

  Status check_body() {
    const BodyPolicy policy = body_policy();
    const auto length = call_.head.content_length;
    if (length && *length > policy.bytes_max) {
      return Error(ErrorCode::too_large,
                   "the body has " + std::to_string(*length) + " bytes, over the limit of " +
                       std::to_string(policy.bytes_max),
                   policy.limit_key.empty() ? "" : "Raise " + policy.limit_key + ", or send less.");
    }
    if (route_->body == BodyKind::json) {
      const std::string type = media_type(call_.head);
      if (type != "application/json") {
        return Error(ErrorCode::unsupported_media,
                     type.empty() ? "the body has no Content-Type"
                                  : "the body is sent as " + wire::display_text(type),
                     "Send JSON with `Content-Type: application/json`.");
      }
    }
    return {};
  }

  Result<Response> answer() {
    try {
      if (!route_) return page();
      if (route_->body == BodyKind::none && call_.body.size() > 0) {
        return Error(ErrorCode::invalid_argument, "this request takes no body", "Leave it out.");
      }
      return route_->handler(deps_, call_);
    } catch (const std::bad_alloc&) {
      return Error(ErrorCode::resource_exhausted, "there is not enough memory for this request",
                   "Ask for less, or try again later.");
    } catch (const std::exception& thrown) {
      return Error(ErrorCode::internal, std::string("unexpected: ") + thrown.what(),
                   "Please report this with the request id.");
    }
  }

  Result<Response> page() {
    const std::string path = joined_path(call_.target);
    if (const std::string* credential = call_.target.parameter("token")) {
      return trade_token(*credential);
    }
    if (auto served = deps_.files.serve(call_.head, path)) return std::move(*served);
    if (deps_.files.empty() && (path == "/" || path.starts_with("/c/") || path == "/docs")) {
      return Error(ErrorCode::not_found, "this server has no page",
                   "It was started without one; the API is at /api/v1.");
    }
    return not_found_here(path);
  }

  /// The printed address, opened in a browser: the credential moves into a cookie and out of the
  /// address. A wrong one leads to the page too, which then says what is missing.
  Result<Response> trade_token(const std::string& credential) {
    std::string clean;
    for (const std::string& segment : call_.target.segments) {
      clean += "/" + wire::percent_encode(segment);
    }
    if (clean.empty() || clean.starts_with("//")) clean = "/";  // "//host" would lead elsewhere
    char mark = '?';
    for (const auto& [name, value] : call_.target.query) {
      if (name == "token") continue;
      clean += mark + wire::percent_encode(name) + "=" + wire::percent_encode(value);
      mark = '&';
    }
    Response response;
    response.status = 303;
    response.headers.set("Location", clean);
    const auto principal = deps_.auth.check(call_.ctx, credential);
    if (principal.ok()) {
      response.headers.set("Set-Cookie", deps_.auth.session_cookie(credential));
    } else if (principal.error().code != ErrorCode::unauthenticated) {
      return principal.error();
    }
    return response;
  }

  Response error_response(const Error& error, int status) {
    Error shown = error;
    const bool own_input = error.code == ErrorCode::invalid_argument;
    if (route_ && !call_.permissions.see_paths && !own_input) {
      shown.message = without_paths(error.message);
      shown.hint = without_paths(error.hint);
    }
    Response response = problem(shown, status, call_.request_id);
    if (!allow_.empty()) response.headers.set("Allow", allow_);
    if (response.status >= 500) {
      log(LogLevel::error, call_.request_id + " " + call_.head.method + " " + route_name() + ": " +
                               std::string(error_code_name(error.code)) + ": " + error.message);
    }
    return response;
  }

  Response close(Response response) {
    finish(response, route_ ? Audience::api : Audience::page, call_.request_id);
    const double seconds = std::chrono::duration<double>(Context::Clock::now() - begin_).count();
    deps_.metrics.request(known_method(), route_name(), response.status, seconds);
    return response;
  }

  [[nodiscard]] std::string route_name() const {
    if (route_) return std::string(route_->pattern);
    return std::string(refusal_ ? kUnknown : kPage);
  }

  /// Methods are free text in HTTP, and a label's values must be few.
  [[nodiscard]] std::string_view known_method() const {
    for (const std::string_view method : {"GET", "HEAD", "POST", "PATCH", "DELETE"})
      if (call_.head.method == method) return method;
    return "other";
  }

  Deps& deps_;
  const Context::Clock::time_point begin_ = Context::Clock::now();
  Call call_;
  const Route* route_ = nullptr;
  std::optional<Response> refusal_;
  int refusal_status_ = 0;
  std::string allow_;
};

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

Response json_response(std::string json, int status) {
  Response response;
  response.status = status;
  response.headers.set("Content-Type", "application/json");
  response.body = Bytes::of(std::move(json));
  return response;
}

Result<std::int64_t> id_capture(const Call& call, std::size_t index) {
  const std::string& text = call.captures[index];
  if (const auto id = wire::parse_id(text)) return *id;
  return Error(ErrorCode::invalid_argument,
               "\"" + wire::display_text(text.substr(0, 40)) + "\" is not an id",
               "Ids are positive numbers, such as 412.");
}

Status only_parameters(const Call& call, const std::vector<std::string>& known) {
  std::vector<std::string> seen;
  for (const auto& [name, value] : call.target.query) {
    const std::string shown = wire::display_text(name.substr(0, 60));
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const std::string near = nearest_name(name, known);
      std::string all;
      for (const std::string& one : known) all += (all.empty() ? "" : ", ") + one;
      return Error(ErrorCode::invalid_argument, "the parameter " + shown + " is not known here",
                   !near.empty() ? "Did you mean " + near + "?"
                   : all.empty() ? "Leave it out."
                                 : "Known are: " + all + ".");
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      return Error(ErrorCode::invalid_argument, "the parameter " + shown + " is given twice");
    }
    seen.push_back(name);
  }
  return {};
}

Status only_parameters(const Call& call, std::initializer_list<std::string_view> known) {
  return only_parameters(call, std::vector<std::string>(known.begin(), known.end()));
}

Result<std::int64_t> whole_parameter(const Call& call, std::string_view name, std::int64_t min,
                                     std::int64_t max, std::int64_t otherwise) {
  const std::string* text = call.target.parameter(name);
  if (!text) return otherwise;
  return wire::read_whole(name, *text, min, max);
}

std::string media_type(const RequestHead& head) {
  std::string out;
  for (char c : head.headers.get("Content-Type")) {
    if (c == ';') break;
    if (c == ' ' || c == '\t') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

Result<std::string> json_body(const Call& call) {
  return call.body.text();
}

Router::Router(std::unique_ptr<Deps> deps) : deps_(std::move(deps)) {}
Router::~Router() = default;

Result<std::unique_ptr<Router>> Router::create(const RouterServices& services,
                                               RouterOptions options) {
  StaticFiles files;
  if (!options.web_dir.empty()) {
    ASSIGN_OR_RETURN(files, StaticFiles::load(options.web_dir));
  }
  return std::unique_ptr<Router>(
      new Router(std::make_unique<Deps>(services, std::move(options), std::move(files))));
}

void Router::set_address(std::string address, std::uint16_t port) {
  deps_->address = std::move(address);
  deps_->auth.set_port(port);
  deps_->started_at = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
}

std::unique_ptr<Exchange> Router::open(RequestHead head) {
  return std::make_unique<RouterExchange>(*deps_, std::move(head));
}

Response Router::refuse(const Error& error, int status) {
  const std::string request_id = new_request_id();
  Response response = problem(error, status, request_id);
  finish(response, Audience::api, request_id);
  deps_->metrics.request("other", kUnknown, response.status, 0);
  return response;
}

Response Router::handle(RequestHead head, RequestBody body, std::stop_token cancel) {
  const auto exchange = open(std::move(head));
  const BodyPolicy policy = exchange->body_policy();
  if (!exchange->refused() && body.size() > policy.bytes_max) {
    return exchange->fail({ErrorCode::too_large,
                           "the body has " + std::to_string(body.size()) +
                               " bytes, over the limit of " + std::to_string(policy.bytes_max),
                           policy.limit_key.empty() ? "" : "Raise " + policy.limit_key + "."},
                          0);
  }
  return exchange->run(std::move(body), std::move(cancel));
}

std::vector<std::string> Router::operations() {
  std::vector<std::string> out;
  for (const Route& route : kRoutes) {
    out.push_back(std::string(route.method) + " " + std::string(route.pattern));
  }
  return out;
}

}  // namespace similis::http
