#pragma once

#include <memory>

#include "app/system.h"
#include "client/transport.h"

namespace similis {

/// The API of the system in this process, for a command line without a server. Owns the system.
class LocalTransport : public Transport {
 public:
  explicit LocalTransport(std::unique_ptr<System> system) : system_(std::move(system)) {}

  Result<ApiResponse> request(const Context& ctx, const ApiRequest& request) override;
  Result<ApiResponse> stream(const Context& ctx, const ApiRequest& request,
                             const std::function<bool(const ServerSentEvent&)>& on_event) override;
  [[nodiscard]] bool is_remote() const override { return false; }

 private:
  std::unique_ptr<System> system_;
};

}  // namespace similis
