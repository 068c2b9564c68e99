#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/context.h"

namespace similis {

struct ApiRequest {
  std::string method = "GET";
  std::string target = {};  // "/api/v1/status?x=y", already percent-encoded
  std::vector<std::pair<std::string, std::string>> headers = {};  // Content-Type and the like
  std::string body = {};
};

struct ApiResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  /// The first header of this name, in any case; "" when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct ServerSentEvent {
  std::string id;
  std::string event;
  std::string data;
};

/// The command line's way to the API: a running server's socket, or the same request handlers in
/// this process. A problem document comes back as a response; an Error means that no answer could
/// be had (unavailable, cancelled, deadline).
class Transport {
 public:
  virtual ~Transport() = default;

  virtual Result<ApiResponse> request(const Context& ctx, const ApiRequest& request) = 0;
  /// Follows server-sent events until the stream ends, `on_event` returns false, or the context
  /// ends. A stream may end before what it tells of does (the server stops, or is gone): only the
  /// last event says. The response is the head; its body is filled only when the answer is not an
  /// event stream (a problem document).
  virtual Result<ApiResponse> stream(
      const Context& ctx, const ApiRequest& request,
      const std::function<bool(const ServerSentEvent&)>& on_event) = 0;
  /// True when a server answers: a run interrupted here goes on there.
  [[nodiscard]] virtual bool is_remote() const = 0;
};

}  // namespace similis
