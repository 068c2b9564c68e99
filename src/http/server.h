#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace similis::http {

struct ListenAddress {
  std::string host = "127.0.0.1";  // an IP address
  std::uint16_t port = 8420;       // 0: any free one
  bool port_given = false;         // else the next free one will do
};

/// "127.0.0.1:8420", "127.0.0.1", ":8420", "8420", "localhost:8420", "[::1]:8420".
/// invalid_argument names what is wrong.
Result<ListenAddress> parse_listen(std::string_view text);
/// Whether only this machine reaches the address.
bool is_loopback(std::string_view host);

struct ServerLimits {
  std::uint32_t header_bytes_max = 16 << 10;
  std::size_t connections_max = 256;             // over TCP; see Exchange::authorised()
  std::size_t unix_connections_max = 64;         // apart, so that nobody locks the owner out
  std::size_t streams_max = 64;                  // event streams at once
  std::uint64_t body_memory_max = 512ULL << 20;  // of all bodies that are held in memory
  std::size_t handler_threads = 16;
  std::chrono::milliseconds header_timeout{10'000};  // from a head's first byte to its last
  std::chrono::milliseconds idle_timeout{60'000};    // between requests
  std::chrono::milliseconds body_window{30'000};     // in each, so many bytes of a body must come:
  std::uint64_t body_window_bytes = 16 << 10;
  std::chrono::milliseconds write_timeout{30'000};  // without a byte taken
  std::chrono::milliseconds heartbeat{15'000};      // of an event stream
  std::chrono::milliseconds grace{5'000};           // for requests in flight when stopping
};

struct ServerOptions {
  std::optional<ListenAddress> listen;  // TCP
  std::filesystem::path unix_socket;    // "": none
  bool has_api_key = false;             // required to listen beyond loopback
  ServerLimits limits;
};

/// Answers HTTP/1.1 on TCP and on a Unix socket with a RequestHandler, which outlives it. One
/// thread moves bytes; handlers run on a pool; each event stream has a thread.
class Server {
 public:
  /// Binds. Errors: invalid_argument (address), permission_denied (an address beyond loopback
  /// without an API key, or a privileged port), conflict (the port is taken), and those of
  /// listen_unix.
  static Result<std::unique_ptr<Server>> listen(const ServerOptions& options,
                                                RequestHandler& handler);
  /// Stops.
  ~Server();

  /// "http://127.0.0.1:8420"; "" without TCP.
  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::uint16_t port() const;
  /// Whether the port that was wished for was taken and another one is used.
  [[nodiscard]] bool port_moved() const;
  [[nodiscard]] std::size_t connections() const;
  /// Of bodies that are held in memory.
  [[nodiscard]] std::uint64_t body_bytes() const;
  /// Requests that wait for a handler thread.
  [[nodiscard]] std::size_t requests_waiting() const;

  void start();
  /// Takes no new requests, lets those in flight finish (limits.grace, then they are cancelled),
  /// ends event streams, closes everything. Idempotent.
  void stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace similis::http
