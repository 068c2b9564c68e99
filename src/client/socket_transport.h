#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "client/transport.h"

namespace similis {

/// Where a server listens: a Unix socket, or an address and port over TCP with a credential.
struct ServerPlace {
  std::filesystem::path unix_socket = {};  // used when not empty
  std::string host = "127.0.0.1";          // an IP address
  std::uint16_t port = 8420;
  std::string credential = {};  // a start token or an API key, for TCP
};

/// Speaks HTTP/1.1 to a running server, one connection a request. Waits no longer than the context
/// allows and notices a cancellation within a tenth of a second.
class SocketTransport : public Transport {
 public:
  explicit SocketTransport(ServerPlace place) : place_(std::move(place)) {}

  Result<ApiResponse> request(const Context& ctx, const ApiRequest& request) override;
  Result<ApiResponse> stream(const Context& ctx, const ApiRequest& request,
                             const std::function<bool(const ServerSentEvent&)>& on_event) override;
  [[nodiscard]] bool is_remote() const override { return true; }
  /// Whether the last request may have reached a server.
  [[nodiscard]] bool was_sent() const { return was_sent_; }

 private:
  const ServerPlace place_;
  bool was_sent_ = false;
};

}  // namespace similis
