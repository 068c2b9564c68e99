#pragma once

// For tests: sends raw bytes to a server and reads what comes back.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/unix_socket.h"

namespace similis::http {

class TestClient {
 public:
  explicit TestClient(std::uint16_t port)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("cannot connect to port " + std::to_string(port));
    }
  }
  explicit TestClient(const std::filesystem::path& path) {
    auto connected = connect_unix(path);
    if (!connected.ok()) throw std::runtime_error(connected.error().message);
    socket_ = std::move(*connected);
  }

  /// False when the server has closed meanwhile.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void end() { ::shutdown(socket_.fd(), SHUT_WR); }
  void close() { socket_.reset(); }
  [[nodiscard]] int fd() const { return socket_.fd(); }

  /// Everything until the server closes, or until `timeout`.
  std::string read_all(std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
    while (fill(timeout)) {
    }
    return std::exchange(pending_, {});
  }

  struct Reply {
    int status = 0;  // 0: none came
    std::string head;
    std::string body;
    [[nodiscard]] std::string field(std::string_view name) const {
      const std::string wanted = "\r\n" + std::string(name) + ": ";
      const std::size_t at = head.find(wanted);
      if (at == std::string::npos) return {};
      const std::size_t begin = at + wanted.size();
      return head.substr(begin, head.find("\r\n", begin) - begin);
    }
  };

  /// One answer; `to_head`: its body is left out.
  Reply reply(bool to_head = false, std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
    Reply out;
    std::size_t end = 0;
    while ((end = pending_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill(timeout)) return out;
    }
    out.head = pending_.substr(0, end + 2);
    pending_.erase(0, end + 4);
    out.status = std::stoi(out.head.substr(out.head.find(' ') + 1, 3));
    const std::string length = out.field("Content-Length");
    if (to_head || length.empty()) return out;
    while (pending_.size() < std::stoul(length)) {
      if (!fill(timeout)) break;
    }
    out.body = pending_.substr(0, std::stoul(length));
    pending_.erase(0, out.body.size());
    return out;
  }
  /// Until `text` has come; true when it did.
  bool read_until(std::string_view text,
                  std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
    while (pending_.find(text) == std::string::npos) {
      if (!fill(timeout)) return false;
    }
    pending_.erase(0, pending_.find(text) + text.size());
    return true;
  }

 private:
  bool fill(std::chrono::milliseconds timeout) {
    pollfd wait{socket_.fd(), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(timeout.count())) <= 0) return false;
    char buffer[65536];
    const ssize_t got = ::recv(socket_.fd(), buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    pending_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  File socket_;
  std::string pending_;
};

}  // namespace similis::http
