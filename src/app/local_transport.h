#pragma once

#include "client/transport.h"
#include "http/router.h"

namespace similis {

/// The API without a socket: the command line's way when no server runs. The caller is the owner.
class LocalTransport : public Transport {
 public:
  /// `router` outlives this.
  explicit LocalTransport(http::Router& router) : router_(router) {}

  Result<ApiResponse> request(const Context& ctx, const ApiRequest& request) override;
  Result<ApiResponse> stream(const Context& ctx, const ApiRequest& request,
                             const std::function<bool(const ServerSentEvent&)>& on_event) override;
  [[nodiscard]] bool is_remote() const override { return false; }

 private:
  http::Response answer(const Context& ctx, const ApiRequest& request);
  http::Router& router_;
};

}  // namespace similis
