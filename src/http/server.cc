#include "http/server.h"

#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <thread>

#include "base/log.h"
#include "base/unix_socket.h"
#include "http/session.h"

namespace similis::http {

namespace {

using asio::ip::tcp;
using Local = asio::local::stream_protocol;

constexpr int kPortsTried = 20;
constexpr std::chrono::milliseconds kAcceptPause{100};

Error bad_listen(std::string_view text, const std::string& what) {
  return {ErrorCode::invalid_argument, "cannot listen on \"" + std::string(text) + "\": " + what,
          "Give ADDRESS:PORT, such as 127.0.0.1:8420 or [::1]:8420."};
}

}  // namespace

Result<ListenAddress> parse_listen(std::string_view text) {
  ListenAddress out;
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return bad_listen(text, "a bracket is missing");
    host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && port.front() != ':') return bad_listen(text, "a colon is missing");
    if (!port.empty()) port.remove_prefix(1);
  } else if (const std::size_t colon = text.rfind(':');
             colon != std::string_view::npos && text.find(':') == colon) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  } else if (text.find_first_not_of("0123456789") == std::string_view::npos) {
    host = {};
    port = text;
  }
  if (!port.empty()) {
    const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (failed != std::errc{} || end != port.data() + port.size()) {
      return bad_listen(text, "the port must be 0 to 65535");
    }
    out.port_given = true;
  }
  if (host == "localhost") host = "127.0.0.1";
  if (!host.empty()) {
    beast::error_code failed;
    const auto address = asio::ip::make_address(std::string(host), failed);
    if (failed) return bad_listen(text, "it is not an IP address");
    out.host = address.to_string();
  }
  return out;
}

bool is_loopback(std::string_view host) {
  beast::error_code failed;
  const auto address = asio::ip::make_address(std::string(host), failed);
  return !failed && address.is_loopback();
}

struct Server::Impl {
  Impl(const ServerLimits& limits, RequestHandler& handler)
      : shared(limits, handler),
        tcp_acceptor(shared.io),
        unix_acceptor(shared.io),
        pause(shared.io),
        work(asio::make_work_guard(shared.io)) {}

  Status bind_tcp(const ListenAddress& address, bool has_api_key);
  Status bind_unix(const std::filesystem::path& path);
  template <typename Acceptor>
  void accept(Acceptor& acceptor, Via via);
  template <typename Connection>
  void begin(Connection connection, Via via);
  /// Closes the TCP connection that has waited longest of those whose peer never showed a
  /// credential; false when there is none. So nobody locks others out by connecting and waiting.
  bool make_room();
  /// Runs `action` on the I/O thread for each session there is.
  void for_each_session(void (Session::*action)());
  [[nodiscard]] std::size_t connections() const { return shared.tcp_count + shared.unix_count; }
  bool wait_until_closed(std::chrono::milliseconds timeout);

  Shared shared;
  tcp::acceptor tcp_acceptor;
  Local::acceptor unix_acceptor;
  asio::steady_timer pause;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::thread io_thread;

  std::string url;
  std::uint16_t port = 0;
  bool port_moved = false;
  std::filesystem::path unix_path;
};

Status Server::Impl::bind_tcp(const ListenAddress& wish, bool has_api_key) {
  beast::error_code failed;
  const auto address = asio::ip::make_address(wish.host, failed);
  if (failed) return bad_listen(wish.host, "it is not an IP address");
  if (!address.is_loopback() && !has_api_key) {
    return Error(ErrorCode::permission_denied,
                 "listening on " + wish.host + " lets other machines in, and there is no API key",
                 "Make one first: similis keys create NAME");
  }
  std::uint16_t port_tried = wish.port;
  for (int attempt = 0;; ++attempt, ++port_tried) {
    const tcp::endpoint endpoint(address, port_tried);
    tcp_acceptor.open(endpoint.protocol(), failed);
    if (!failed) tcp_acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed) tcp_acceptor.bind(endpoint, failed);
    if (!failed) tcp_acceptor.listen(asio::socket_base::max_listen_connections, failed);
    if (!failed) break;
    beast::error_code ignored;  // it never was in use
    tcp_acceptor.close(ignored);
    const std::string place = wish.host + ":" + std::to_string(port_tried);
    if (failed == asio::error::access_denied) {
      return Error(ErrorCode::permission_denied, "listen on " + place + ": " + failed.message(),
                   "Ports below 1024 are the system's: use one above.");
    }
    const bool may_move = !wish.port_given && attempt < kPortsTried && port_tried < 65535;
    if (failed == asio::error::address_in_use && may_move) continue;
    if (failed == asio::error::address_in_use) {
      return Error(ErrorCode::conflict, "port " + std::to_string(port_tried) + " is taken",
                   "Choose another one with --listen " + wish.host + ":PORT.");
    }
    return Error(ErrorCode::invalid_argument, "listen on " + place + ": " + failed.message(),
                 "Give an address of this machine.");
  }
  port = tcp_acceptor.local_endpoint().port();
  port_moved = wish.port != 0 && port != wish.port;
  url = "http://" + (address.is_v6() ? "[" + wish.host + "]" : wish.host) + ":" +
        std::to_string(port);
  return {};
}

Status Server::Impl::bind_unix(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(File socket, listen_unix(path));
  beast::error_code failed;
  unix_acceptor.assign(Local(), socket.fd(), failed);
  if (failed)
    return Error(ErrorCode::io_error, "listen on " + path.native() + ": " + failed.message());
  socket.release();
  unix_path = path;
  return {};
}

template <typename Acceptor>
void Server::Impl::accept(Acceptor& acceptor, Via via) {
  acceptor.async_accept([this, &acceptor, via](const beast::error_code& failed, auto connection) {
    if (!acceptor.is_open()) return;
    if (failed) {
      // Out of descriptors, most likely: others will close theirs.
      log(LogLevel::warning, "accept: " + failed.message());
      pause.expires_after(kAcceptPause);
      pause.async_wait([this, &acceptor, via](const beast::error_code& stopped) {
        if (!stopped && acceptor.is_open()) accept(acceptor, via);
      });
      return;
    }
    begin(std::move(connection), via);
    accept(acceptor, via);
  });
}

template <typename Connection>
void Server::Impl::begin(Connection connection, Via via) {
  const ServerLimits& limits = shared.limits;
  beast::error_code ignored;  // without it answers only leave a little later, or not at all
  if constexpr (std::is_same_v<typename Connection::protocol_type, tcp>) {
    connection.set_option(tcp::no_delay(true), ignored);
  } else {
    const auto peer = peer_uid(connection.native_handle());
    if (!peer.ok() || *peer != ::geteuid()) {
      log(LogLevel::warning, "refused a connection of another user on the Unix socket");
      return;
    }
  }
  const bool full = via == Via::tcp ? shared.tcp_count >= limits.connections_max
                                    : shared.unix_count >= limits.unix_connections_max;
  if (full && !(via == Via::tcp && make_room())) {
    constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n";
    connection.non_blocking(true, ignored);
    connection.write_some(asio::buffer(kBusy), ignored);
    return;
  }
  std::make_shared<Session>(shared, Session::Socket(std::move(connection)), via)->start();
}

bool Server::Impl::make_room() {
  Session* oldest = nullptr;
  for (Session* session : shared.sessions) {
    if (session->via() != Via::tcp || !session->may_give_way()) continue;
    if (!oldest || session->waiting_since() < oldest->waiting_since()) oldest = session;
  }
  if (!oldest) return false;
  oldest->close();  // it goes, and its place is counted free, once what it waited for is cancelled
  return true;
}

void Server::Impl::for_each_session(void (Session::*action)()) {
  asio::post(shared.io, [this, action] {
    std::vector<std::shared_ptr<Session>> sessions;
    for (Session* session : shared.sessions) {
      if (auto alive = session->weak_from_this().lock()) sessions.push_back(std::move(alive));
    }
    for (const auto& session : sessions) (session.get()->*action)();
  });
}

bool Server::Impl::wait_until_closed(std::chrono::milliseconds timeout) {
  std::unique_lock lock(shared.mutex);
  return shared.all_closed.wait_for(lock, timeout, [this] { return connections() == 0; });
}

Result<std::unique_ptr<Server>> Server::listen(const ServerOptions& options,
                                               RequestHandler& handler) {
  auto impl = std::make_unique<Impl>(options.limits, handler);
  if (options.listen) TRY(impl->bind_tcp(*options.listen, options.has_api_key));
  if (!options.unix_socket.empty()) TRY(impl->bind_unix(options.unix_socket));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() {
  stop();
}

std::string Server::url() const {
  return impl_->url;
}
std::uint16_t Server::port() const {
  return impl_->port;
}
bool Server::port_moved() const {
  return impl_->port_moved;
}
std::size_t Server::connections() const {
  return impl_->connections();
}
std::uint64_t Server::body_bytes() const {
  return impl_->shared.body_bytes;
}
std::size_t Server::requests_waiting() const {
  return impl_->shared.pool.waiting();
}

void Server::start() {
  if (impl_->tcp_acceptor.is_open()) impl_->accept(impl_->tcp_acceptor, Via::tcp);
  if (impl_->unix_acceptor.is_open()) impl_->accept(impl_->unix_acceptor, Via::unix_socket);
  impl_->io_thread = std::thread([this] { impl_->shared.io.run(); });
}

void Server::stop() {
  if (!impl_ || impl_->shared.stopping.exchange(true)) return;
  if (!impl_->unix_path.empty()) {
    std::error_code ignored;  // gone already
    std::filesystem::remove(impl_->unix_path, ignored);
  }
  if (!impl_->io_thread.joinable()) return;  // never started
  asio::post(impl_->shared.io, [this] {
    beast::error_code ignored;  // closing cannot fail in a way that matters
    impl_->tcp_acceptor.close(ignored);
    impl_->unix_acceptor.close(ignored);
    impl_->pause.cancel();
  });
  impl_->for_each_session(&Session::wind_down);
  impl_->shared.streams.request_stop();
  if (!impl_->wait_until_closed(impl_->shared.limits.grace)) {
    impl_->for_each_session(&Session::abort);
  }
  // Joined while the I/O thread still runs: they wait for it.
  impl_->shared.streams.stop();
  impl_->shared.pool.stop();
  impl_->work.reset();
  impl_->io_thread.join();
}

}  // namespace similis::http
