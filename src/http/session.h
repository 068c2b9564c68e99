#pragma once

// Private to the room; includes Boost.Asio and Beast.

#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_set>
#include <vector>

#include "http/handler_pool.h"
#include "http/message.h"
#include "http/server.h"
#include "http/stream_threads.h"

namespace similis::http {

namespace asio = boost::asio;
namespace beast = boost::beast;

class Session;

/// What the sessions of a server share. Everything but the atomics belongs to the I/O thread.
struct Shared {
  Shared(const ServerLimits& limits_, RequestHandler& handler_)
      : limits(limits_),
        handler(handler_),
        pool(limits_.handler_threads,
             limits_.connections_max + limits_.unix_connections_max + limits_.handler_threads),
        streams(limits_.streams_max) {}

  const ServerLimits limits;
  RequestHandler& handler;
  HandlerPool pool;
  StreamThreads streams;
  std::atomic<std::uint64_t> body_bytes{0};  // held in memory
  std::atomic<bool> stopping{false};

  std::unordered_set<Session*> sessions;
  std::atomic<std::size_t> tcp_count{0};
  std::atomic<std::size_t> unix_count{0};

  std::mutex mutex;
  std::condition_variable all_closed;

  // The last member, so the first to go: handlers that still wait in it hold sessions, which use
  // the rest.
  asio::io_context io{1};
};

/// One connection, from accept to close.
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  Session(Shared& shared, Socket socket, Via via);
  ~Session();
  void start();
  /// The server stops: closes when idle; else the answer under way is the last.
  void wind_down();
  /// The grace is over: cancels the handler and closes.
  void abort();
  [[nodiscard]] Via via() const { return via_; }
  /// It waits for its peer, who never showed a credential: another one may have its place.
  [[nodiscard]] bool may_give_way() const;
  /// When the connection was made, or its last request was answered.
  [[nodiscard]] std::chrono::steady_clock::time_point waiting_since() const {
    return waiting_since_;
  }
  void close();

 private:
  using Clock = std::chrono::steady_clock;
  using Parser = beast::http::request_parser<beast::http::buffer_body>;

  enum class Phase : std::uint8_t {
    idle,
    head,
    body,
    handling,
    writing,
    streaming,
    lingering,
    closed
  };

  void read_first_byte();
  void read_head();
  void on_head(const beast::error_code& failed);
  void dispatch_without_body();
  void dispatch_admission();
  struct Admitted {
    std::unique_ptr<Exchange> exchange;
    bool refused;
    bool authorised;
  };
  void on_admitted(Admitted admitted);
  void read_body();
  void on_body_part(const beast::error_code& failed);
  void store_body_part(std::size_t bytes);
  void on_body_stored(const Status& stored);
  void fail_body(const Error& error, int status);
  void run_exchange();
  void watch_peer();
  void respond(Response response);
  void write_some();
  /// Reads the next part of a body that lies in a file.
  void load_part();
  void on_written();
  void begin_stream();
  void pump_stream(const std::stop_token& stop);
  void linger();
  void discard();

  RequestHead make_head();
  /// The peer has closed (or shut down) its side.
  bool peer_is_gone();
  /// Ends reads and waits under way.
  void cancel_reading();
  void arm(std::chrono::milliseconds timeout);
  void arm_for_body();
  void disarm();
  void on_timeout();
  /// Runs `work` on a handler thread and hands its result to `then` on the I/O thread.
  template <typename Work, typename Then>
  void offload(Work work, Then then);

  Shared& shared_;
  Socket socket_;
  const Via via_;
  asio::steady_timer timer_;
  Clock::time_point deadline_ = Clock::time_point::max();
  Phase phase_ = Phase::idle;
  Clock::time_point waiting_since_ = Clock::now();
  bool first_request_ = true;
  bool authorised_ = false;  // a request of this connection was

  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::vector<std::byte> part_;  // of the body, as it comes
  std::unique_ptr<Exchange> exchange_;
  BodyPolicy policy_;
  RequestBody body_;
  std::uint64_t body_charged_ = 0;                         // to Shared::body_bytes
  std::uint64_t window_bytes_ = 0;                         // of the body since the timer was armed
  Clock::time_point body_end_ = Clock::time_point::max();  // when it must be here
  std::stop_source cancel_;

  bool is_head_ = false;     // the request's method is HEAD
  bool keep_alive_ = false;  // after this answer
  Response response_;
  std::string head_text_;
  std::size_t head_sent_ = 0;
  std::size_t body_sent_ = 0;
  bool send_body_ = false;
  std::vector<std::byte> file_part_;  // of a body in a file, and where it begins
  std::size_t part_offset_ = 0;
};

}  // namespace similis::http
