#include "client/socket_transport.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <limits>
#include <optional>

#include "base/unix_socket.h"
#include "client/event_parser.h"

namespace similis {

namespace {

namespace beast = boost::beast;
using Parser = beast::http::response_parser<beast::http::string_body>;

constexpr std::chrono::milliseconds kLookAgain{100};
constexpr std::size_t kReadBytes = 64 << 10;
constexpr std::uint32_t kHeaderBytesMax = 64 << 10;

Error broken(const std::string& what) {
  return {ErrorCode::unavailable, "the connection to the server broke: " + what,
          "Is it still running? See `similis status`."};
}

/// Waits until the socket is ready for `events`, looking at the context now and then.
Status wait_for(const Context& ctx, int fd, short events) {
  for (;;) {
    TRY(ctx.check());
    pollfd wait{fd, events, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(kLookAgain.count()));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return errno_error(errno, "wait for", "the server");
  }
}

Result<File> connect_tcp(const ServerPlace& place) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, place.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(place.port);
    length = sizeof *v4;
  } else if (::inet_pton(AF_INET6, place.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(place.port);
    length = sizeof *v6;
  } else {
    return Error(ErrorCode::invalid_argument, "\"" + place.host + "\" is not an IP address");
  }
  File socket(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return errno_error(errno, "make a socket for", place.host);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    return Error(ErrorCode::unavailable,
                 "no server answers at " + place.host + ":" + std::to_string(place.port),
                 "Start one with `similis serve`.");
  }
  return socket;
}

Status send_all(const Context& ctx, int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      TRY(wait_for(ctx, fd, POLLOUT));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return {};  // the server has answered early: its answer says why
    } else if (errno != EINTR) {
      return broken(errno_error(errno, "send to", "the server").message);
    }
  }
  return {};
}

std::string head_text(const ServerPlace& place, const ApiRequest& request) {
  const bool has_v6 = place.host.find(':') != std::string::npos;
  std::string text = request.method + " " + request.target + " HTTP/1.1\r\nHost: ";
  if (!place.unix_socket.empty()) {
    text += "localhost";
  } else {
    text += (has_v6 ? "[" + place.host + "]" : place.host) + ":" + std::to_string(place.port);
  }
  text += "\r\nConnection: close\r\n";
  if (place.unix_socket.empty() && !place.credential.empty()) {
    text += "Authorization: Bearer " + place.credential + "\r\n";
  }
  for (const auto& [name, value] : request.headers) text += name + ": " + value + "\r\n";
  if (!request.body.empty() || request.method == "POST" || request.method == "PATCH") {
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return text + "\r\n";
}

/// One request and the answer as it comes in.
class Exchange {
 public:
  static Result<Exchange> begin(const Context& ctx, const ServerPlace& place,
                                const ApiRequest& request, bool& was_sent) {
    was_sent = false;
    TRY(ctx.check());
    Exchange out;
    if (place.unix_socket.empty()) {
      ASSIGN_OR_RETURN(out.socket_, connect_tcp(place));
    } else {
      ASSIGN_OR_RETURN(out.socket_, connect_unix(place.unix_socket));
    }
    was_sent = true;
    TRY(send_all(ctx, out.socket_.fd(), head_text(place, request)));
    TRY(send_all(ctx, out.socket_.fd(), request.body));
    out.parser_->header_limit(kHeaderBytesMax);
    out.parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
    if (request.method == "HEAD") out.parser_->skip(true);
    return out;
  }

  /// Reads and parses some more. False at the answer's end.
  Result<bool> advance(const Context& ctx) {
    if (parser_->is_done()) return false;
    TRY(wait_for(ctx, socket_.fd(), POLLIN));
    const auto space = buffer_.prepare(kReadBytes);
    const ssize_t got = ::recv(socket_.fd(), space.data(), space.size(), MSG_DONTWAIT);
    if (got < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return true;
      return broken(errno_error(errno, "read from", "the server").message);
    }
    beast::error_code failed;
    if (got == 0) {
      if (!parser_->got_some()) return broken("it was closed without an answer");
      parser_->put_eof(failed);
      if (failed) return broken("the answer ends early");
      return false;
    }
    buffer_.commit(static_cast<std::size_t>(got));
    while (buffer_.size() > 0 && !parser_->is_done()) {
      const std::size_t used = parser_->put(buffer_.data(), failed);
      buffer_.consume(used);
      if (failed == beast::http::error::need_more) break;
      if (failed) {
        return Error(ErrorCode::corruption, "the server's answer is not HTTP: " + failed.message());
      }
      if (used == 0) break;
    }
    return !parser_->is_done();
  }

  [[nodiscard]] bool has_head() const { return parser_->is_header_done(); }
  [[nodiscard]] ApiResponse head() const {
    ApiResponse out;
    const auto& message = parser_->get();
    out.status = message.result_int();
    for (const auto& field : message) {
      out.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    return out;
  }
  /// What of the body has come since the last call.
  std::string take_body() { return std::exchange(parser_->get().body(), {}); }

 private:
  Exchange() : parser_(std::make_unique<Parser>()) {}

  File socket_;
  beast::flat_buffer buffer_;
  std::unique_ptr<Parser> parser_;
};

}  // namespace

Result<ApiResponse> SocketTransport::request(const Context& ctx, const ApiRequest& request) {
  ASSIGN_OR_RETURN(Exchange exchange, Exchange::begin(ctx, place_, request, was_sent_));
  for (bool more = true; more;) {
    ASSIGN_OR_RETURN(more, exchange.advance(ctx));
  }
  ApiResponse response = exchange.head();
  response.body = exchange.take_body();
  return response;
}

Result<ApiResponse> SocketTransport::stream(
    const Context& ctx, const ApiRequest& request,
    const std::function<bool(const ServerSentEvent&)>& on_event) {
  ASSIGN_OR_RETURN(Exchange exchange, Exchange::begin(ctx, place_, request, was_sent_));
  EventParser events;
  std::optional<ApiResponse> response;
  bool is_stream = false;
  for (bool more = true; more;) {
    ASSIGN_OR_RETURN(more, exchange.advance(ctx));
    if (!response && exchange.has_head()) {
      response = exchange.head();
      is_stream = response->header("Content-Type").starts_with("text/event-stream");
    }
    if (is_stream && !events.feed(exchange.take_body(), on_event)) return *response;
  }
  if (!response) response = exchange.head();
  if (!is_stream) response->body = exchange.take_body();
  return *response;
}

}  // namespace similis
