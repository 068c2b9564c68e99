#include "http/session.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <future>
#include <limits>

#include "http/answer_head.h"

namespace similis::http {

namespace {

constexpr std::size_t kPartBytes = 64 << 10;  // what Beast reads at a time
constexpr std::size_t kWriteBytes = 256 << 10;
constexpr std::chrono::milliseconds kLinger{2'000};
/// How long a stream waits for its job before it looks whether a heartbeat is due.
constexpr std::chrono::milliseconds kStreamPatience{1'000};

}  // namespace

// ---- a connection's life

Session::Session(Shared& shared, Socket socket, Via via)
    : shared_(shared), socket_(std::move(socket)), via_(via), timer_(shared.io) {
  shared_.sessions.insert(this);
  ++(via_ == Via::tcp ? shared_.tcp_count : shared_.unix_count);
}

Session::~Session() {
  shared_.body_bytes -= body_charged_;
  shared_.sessions.erase(this);
  {
    std::lock_guard lock(shared_.mutex);
    --(via_ == Via::tcp ? shared_.tcp_count : shared_.unix_count);
  }
  shared_.all_closed.notify_all();
}

void Session::start() {
  read_first_byte();
}

void Session::wind_down() {
  keep_alive_ = false;
  if (phase_ == Phase::idle || phase_ == Phase::head || phase_ == Phase::lingering) close();
}

void Session::abort() {
  cancel_.request_stop();
  close();
}

bool Session::may_give_way() const {
  const bool is_served = phase_ == Phase::handling || phase_ == Phase::streaming;
  return !authorised_ && !is_served && phase_ != Phase::closed;
}

void Session::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  disarm();
  cancel_.request_stop();
  beast::error_code ignored;  // nobody is there to tell
  socket_.close(ignored);
}

void Session::arm(std::chrono::milliseconds timeout) {
  deadline_ = Clock::now() + timeout;
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this()](const beast::error_code& failed) {
    // A wait that was re-armed is cancelled; one that had fired already sees the later deadline.
    if (!failed && Clock::now() >= self->deadline_) self->on_timeout();
  });
}

/// For the next window of a body, cut off where the body as a whole must be here.
void Session::arm_for_body() {
  auto timeout = shared_.limits.body_window;
  if (body_end_ != Clock::time_point::max()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(body_end_ - Clock::now());
    timeout = std::clamp(left, std::chrono::milliseconds(0), timeout);
  }
  arm(timeout);
}

void Session::disarm() {
  deadline_ = Clock::time_point::max();
  timer_.cancel();
}

void Session::cancel_reading() {
  beast::error_code ignored;  // nothing was under way
  socket_.cancel(ignored);
}

void Session::on_timeout() {
  switch (phase_) {
    case Phase::head:
      cancel_reading();
      keep_alive_ = false;
      respond(shared_.handler.refuse(
          {ErrorCode::deadline_exceeded, "the request's head took too long",
           "Send it within " + std::to_string(shared_.limits.header_timeout.count() / 1000) +
               " seconds."},
          408));
      break;
    case Phase::body:
      if (window_bytes_ >= shared_.limits.body_window_bytes && Clock::now() < body_end_) {
        window_bytes_ = 0;
        arm_for_body();
      } else {
        cancel_reading();
        fail_body({ErrorCode::deadline_exceeded, "the request's body comes too slowly",
                   policy_.time_max.count() > 0
                       ? "Send all of it within " +
                             std::to_string(policy_.time_max.count() / 1000) + " seconds."
                       : "Send at least 16 KB in 30 seconds."},
                  408);
      }
      break;
    default:
      close();
  }
}

template <typename Work, typename Then>
void Session::offload(Work work, Then then) {
  const bool posted = shared_.pool.post(
      [self = shared_from_this(), work = std::move(work), then = std::move(then)]() mutable {
        auto result = std::make_shared<decltype(work())>(work());
        // The session goes along: it must die on the I/O thread.
        asio::io_context& io = self->shared_.io;
        asio::post(io, [self = std::move(self), result, then = std::move(then)]() mutable {
          then(*self, std::move(*result));
        });
      });
  if (!posted) close();
}

// ---- reading a head

void Session::read_first_byte() {
  if (shared_.stopping) return close();
  phase_ = Phase::idle;
  waiting_since_ = Clock::now();
  if (buffer_.size() > 0) return read_head();  // the next request came along with the last
  arm(first_request_ ? shared_.limits.header_timeout : shared_.limits.idle_timeout);
  socket_.async_wait(Socket::wait_read,
                     [self = shared_from_this()](const beast::error_code& failed) {
                       if (self->phase_ != Phase::idle) return;
                       if (failed) return self->close();
                       self->read_head();
                     });
}

void Session::read_head() {
  phase_ = Phase::head;
  first_request_ = false;
  exchange_.reset();
  is_head_ = false;
  parser_.emplace();
  parser_->header_limit(shared_.limits.header_bytes_max);
  parser_->body_limit(std::numeric_limits<std::uint64_t>::max());  // the route's own limit counts
  arm(shared_.limits.header_timeout);
  beast::http::async_read_header(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](const beast::error_code& failed, std::size_t) {
        if (self->phase_ == Phase::head) self->on_head(failed);
      });
}

void Session::on_head(const beast::error_code& failed) {
  namespace http = beast::http;
  if (failed) {
    keep_alive_ = false;
    if (failed == http::error::header_limit) {
      if (parser_->get().target().empty()) {  // the first line never ended
        return respond(
            shared_.handler.refuse({ErrorCode::too_large, "the address is longer than 8192 bytes",
                                    "Send settings in the body."},
                                   414));
      }
      return respond(
          shared_.handler.refuse({ErrorCode::too_large,
                                  "the request's head is longer than " +
                                      std::to_string(shared_.limits.header_bytes_max) + " bytes",
                                  "Send fewer or shorter header fields."},
                                 431));
    }
    // Anything else of this category is malformed; the rest is the connection's end.
    if (failed.category() == http::make_error_code(http::error::bad_target).category() &&
        failed != http::error::end_of_stream && failed != http::error::partial_message) {
      return respond(shared_.handler.refuse(
          {ErrorCode::invalid_argument, "this is not an HTTP request: " + failed.message(),
           "Speak HTTP/1.1, without TLS."},
          400));
    }
    return close();
  }
  const auto& request = parser_->get();
  is_head_ = request.method() == http::verb::head;
  keep_alive_ = request.keep_alive() && !shared_.stopping;
  if (request.version() != 10 && request.version() != 11) {
    keep_alive_ = false;
    return respond(shared_.handler.refuse(
        {ErrorCode::invalid_argument, "only HTTP/1.0 and HTTP/1.1 are spoken here"}, 505));
  }
  if (parser_->is_done()) return dispatch_without_body();
  dispatch_admission();
}

RequestHead Session::make_head() {
  const auto& request = parser_->get();
  RequestHead head;
  head.method = std::string(request.method_string());
  head.target = std::string(request.target());
  head.via = via_;
  head.has_body = !parser_->is_done();
  if (const auto length = parser_->content_length()) head.content_length = *length;
  for (const auto& field : request) {
    head.headers.add(std::string(field.name_string()), std::string(field.value()));
  }
  return head;
}

// ---- handling

void Session::dispatch_without_body() {
  phase_ = Phase::handling;
  disarm();
  cancel_ = std::stop_source();
  watch_peer();
  struct Answered {
    Response response;
    bool authorised;
  };
  offload(
      [&handler = shared_.handler, head = make_head(), cancel = cancel_.get_token()]() mutable {
        const auto exchange = handler.open(std::move(head));
        const bool authorised = exchange->authorised();
        return Answered{exchange->run({}, cancel), authorised};
      },
      [](Session& self, Answered answered) {
        self.authorised_ = self.authorised_ || answered.authorised;
        self.respond(std::move(answered.response));
      });
}

void Session::dispatch_admission() {
  phase_ = Phase::handling;
  disarm();
  offload(
      [&handler = shared_.handler, head = make_head()]() mutable {
        auto exchange = handler.open(std::move(head));
        const bool refused = exchange->refused();
        const bool authorised = exchange->authorised();
        return Admitted{std::move(exchange), refused, authorised};
      },
      [](Session& self, Admitted admitted) { self.on_admitted(std::move(admitted)); });
}

void Session::on_admitted(Admitted admitted) {
  if (phase_ == Phase::closed) return;
  exchange_ = std::move(admitted.exchange);
  authorised_ = authorised_ || admitted.authorised;
  if (admitted.refused) {
    keep_alive_ = false;
    return respond(exchange_->run({}, {}));
  }
  policy_ = exchange_->body_policy();
  body_ = RequestBody(policy_.spool_folder);
  phase_ = Phase::body;
  buffer_.reserve(kPartBytes);  // Beast reads no more than there is room for, 512 bytes at least
  window_bytes_ = 0;
  body_end_ =
      policy_.time_max.count() > 0 ? Clock::now() + policy_.time_max : Clock::time_point::max();
  arm_for_body();
  const auto expect = parser_->get()[beast::http::field::expect];
  if (beast::iequals(expect, "100-continue")) {
    head_text_ = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(head_text_),
                      [self = shared_from_this()](const beast::error_code& failed, std::size_t) {
                        if (self->phase_ != Phase::body) return;
                        if (failed) return self->close();
                        self->read_body();
                      });
    return;
  }
  read_body();
}

void Session::read_body() {
  part_.resize(kPartBytes);
  auto& body = parser_->get().body();
  body.data = part_.data();
  body.size = part_.size();
  body.more = true;
  beast::http::async_read_some(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](const beast::error_code& failed, std::size_t) {
        if (self->phase_ == Phase::body) self->on_body_part(failed);
      });
}

void Session::on_body_part(const beast::error_code& failed) {
  if (failed && failed != beast::http::error::need_buffer) {
    keep_alive_ = false;
    if (failed == beast::http::error::partial_message) return close();  // nobody is there
    if (failed.category() ==
        beast::http::make_error_code(beast::http::error::bad_chunk).category()) {
      return fail_body(
          {ErrorCode::invalid_argument, "the request's body is malformed: " + failed.message()},
          400);
    }
    return close();
  }
  const std::size_t bytes = part_.size() - parser_->get().body().size;
  window_bytes_ += bytes;
  if (body_.size() + bytes > policy_.bytes_max) {
    return fail_body(
        {ErrorCode::too_large,
         "the body is longer than " + std::to_string(policy_.bytes_max) + " bytes",
         policy_.limit_key.empty() ? "" : "Raise " + policy_.limit_key + ", or send less."},
        413);
  }
  store_body_part(bytes);
}

void Session::store_body_part(std::size_t bytes) {
  const bool in_memory = policy_.spool_folder.empty();
  if (in_memory) {
    if (shared_.body_bytes.fetch_add(bytes) + bytes > shared_.limits.body_memory_max) {
      shared_.body_bytes -= bytes;
      return fail_body(
          {ErrorCode::unavailable, "too many large requests are on their way at the same time",
           "Try again in a moment."},
          503);
    }
    body_charged_ += bytes;
    return on_body_stored(body_.append(std::span(part_).first(bytes)));
  }
  // Disks are slow at times: never on the thread that moves everybody's bytes.
  offload([this, bytes] { return body_.append(std::span(part_).first(bytes)); },
          [](Session& self, const Status& stored) { self.on_body_stored(stored); });
}

void Session::on_body_stored(const Status& stored) {
  if (phase_ != Phase::body) return;
  if (!stored.ok()) return fail_body(stored.error(), 0);
  if (parser_->is_done()) return run_exchange();
  read_body();
}

void Session::fail_body(const Error& error, int status) {
  keep_alive_ = false;
  respond(exchange_->fail(error, status));
}

void Session::run_exchange() {
  phase_ = Phase::handling;
  disarm();
  part_ = {};
  buffer_.shrink_to_fit();
  cancel_ = std::stop_source();
  watch_peer();
  offload([exchange = exchange_.get(), body = std::make_shared<RequestBody>(std::move(body_)),
           cancel = cancel_.get_token()] { return exchange->run(std::move(*body), cancel); },
          [](Session& self, Response response) {
            self.shared_.body_bytes -= self.body_charged_;
            self.body_charged_ = 0;
            self.respond(std::move(response));
          });
}

void Session::watch_peer() {
  socket_.async_wait(
      Socket::wait_read, [self = shared_from_this()](const beast::error_code& failed) {
        if (failed) return;
        const bool watched = self->phase_ == Phase::handling || self->phase_ == Phase::streaming;
        if (watched && self->peer_is_gone()) self->cancel_.request_stop();
      });
}

bool Session::peer_is_gone() {
  char byte = 0;
  const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

// ---- answering

void Session::respond(Response response) {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::writing;
  if (response.stream && !is_head_ && !shared_.streams.has_room()) {
    response = shared_.handler.refuse({ErrorCode::unavailable, "too many event streams are open",
                                       "Close one, or ask for the job now and then."},
                                      503);
  }
  response_ = std::move(response);
  keep_alive_ = keep_alive_ && !response_.stream && !shared_.stopping;
  send_body_ = !is_head_ && may_have_body(response_.status) && !response_.stream;
  head_text_ = head_of(response_, keep_alive_);
  head_sent_ = 0;
  body_sent_ = 0;
  file_part_ = {};
  part_offset_ = 0;
  write_some();
}

void Session::write_some() {
  const std::string_view head = std::string_view(head_text_).substr(head_sent_);
  std::string_view body;
  if (send_body_ && response_.body.in_file()) {
    const std::size_t in_part = body_sent_ - part_offset_;
    if (in_part == file_part_.size() && body_sent_ < response_.body.size()) return load_part();
    body = std::string_view(reinterpret_cast<const char*>(file_part_.data()), file_part_.size());
    body.remove_prefix(in_part);
  } else if (send_body_) {
    body = response_.body.view().substr(body_sent_, kWriteBytes);
  }
  if (head.empty() && body.empty()) return on_written();
  arm(shared_.limits.write_timeout);
  const std::array buffers{asio::buffer(head.data(), head.size()),
                           asio::buffer(body.data(), body.size())};
  socket_.async_write_some(buffers, [self = shared_from_this(), head_left = head.size()](
                                        const beast::error_code& failed, std::size_t sent) {
    if (self->phase_ != Phase::writing) return;
    if (failed) return self->close();
    self->head_sent_ += std::min(sent, head_left);
    self->body_sent_ += sent - std::min(sent, head_left);
    self->write_some();
  });
}

void Session::load_part() {
  disarm();  // the disk's time is not the peer's
  part_offset_ = body_sent_;
  file_part_.resize(kWriteBytes);
  offload([this] { return response_.body.read(part_offset_, file_part_); },
          [](Session& self, Result<std::size_t> read) {
            if (self.phase_ != Phase::writing) return;
            // The length is announced already: all that is left is not to reach it.
            if (!read.ok()) return self.close();
            self.file_part_.resize(*read);
            self.write_some();
          });
}

void Session::on_written() {
  disarm();
  if (response_.stream && !is_head_) return begin_stream();
  response_ = {};
  file_part_ = {};
  if (!keep_alive_) return linger();
  read_first_byte();
}

/// Tells the peer that nothing more comes, and takes in what it still sends: closing at once would
/// make its system throw the answer away.
void Session::linger() {
  phase_ = Phase::lingering;
  beast::error_code ignored;  // a peer that has gone already
  socket_.shutdown(Socket::shutdown_send, ignored);
  if (shared_.stopping) return close();
  arm(kLinger);
  part_.resize(kPartBytes);
  discard();
}

void Session::discard() {
  socket_.async_read_some(asio::buffer(part_), [self = shared_from_this()](
                                                   const beast::error_code& failed, std::size_t) {
    if (self->phase_ != Phase::lingering) return;
    if (failed) return self->close();
    self->discard();
  });
}

void Session::begin_stream() {
  phase_ = Phase::streaming;
  cancel_ = std::stop_source();
  watch_peer();
  const bool started =
      shared_.streams.start([self = shared_from_this()](const std::stop_token& stop) mutable {
        self->pump_stream(stop);
        asio::io_context& io = self->shared_.io;
        asio::post(io, [self = std::move(self)] { self->close(); });
      });
  if (!started) close();
}

/// On the stream's own thread: pulls, hands each text to the I/O thread and waits until it is sent.
void Session::pump_stream(const std::stop_token& stop) {
  const std::stop_callback forward(stop, [this] { cancel_.request_stop(); });
  const std::stop_token cancelled = cancel_.get_token();
  auto last_sent = Clock::now();
  while (!cancelled.stop_requested()) {
    std::optional<std::string> text = response_.stream->next(cancelled, kStreamPatience);
    if (!text) return;
    if (text->empty()) {
      if (Clock::now() - last_sent < shared_.limits.heartbeat) continue;
      text = ": still here\n\n";
    }
    last_sent = Clock::now();
    std::promise<bool> sent;
    std::future<bool> was_sent = sent.get_future();
    asio::post(shared_.io, [this, &text, &sent] {
      if (phase_ != Phase::streaming) return sent.set_value(false);
      arm(shared_.limits.write_timeout);
      asio::async_write(socket_, asio::buffer(*text),
                        [this, &sent](const beast::error_code& failed, std::size_t) {
                          disarm();
                          sent.set_value(!failed);
                        });
    });
    if (!was_sent.get()) return;
  }
}

}  // namespace similis::http
