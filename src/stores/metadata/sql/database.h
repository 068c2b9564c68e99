#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "stores/metadata/sql/connection.h"

namespace similis::sql {

/// One writing connection and a pool of reading ones. read() and write() run a function in a
/// transaction and turn every exception into an Error. Safe from several threads.
class Database {
 public:
  using Connect = std::function<std::unique_ptr<Connection>(bool read_only)>;

  /// `connect` makes connections that use `dialect`, throwing when it cannot; readers are made when
  /// first needed.
  Database(std::unique_ptr<Dialect> dialect, Connect connect, std::size_t readers_max)
      : dialect_(std::move(dialect)), connect_(std::move(connect)), readers_max_(readers_max) {}

  /// `f(Connection&)` sees one snapshot.
  template <typename F>
  auto read(const Context& ctx, F f) -> Result<std::invoke_result_t<F, Connection&>> {
    return guarded(ctx, [&] {
      ReaderLease lease(*this, ctx);
      return in_transaction(*lease.connection, ctx, dialect_->begin_read, f);
    });
  }

  /// `f(Connection&)` changes all or, when it throws, nothing; durable on return.
  template <typename F>
  auto write(const Context& ctx, F f) -> Result<std::invoke_result_t<F, Connection&>> {
    return guarded(ctx, [&] {
      const std::unique_lock lock = lock_writer(ctx);
      if (!writer_) writer_ = connect_(false);
      return in_transaction(*writer_, ctx, dialect_->begin_write, f);
    });
  }

  /// `f(Connection&)` outside any transaction, alone with the writing connection (migrations).
  template <typename F>
  auto exclusive(const Context& ctx, F f) -> Result<std::invoke_result_t<F, Connection&>> {
    return guarded(ctx, [&] {
      const std::unique_lock lock = lock_writer(ctx);
      if (!writer_) writer_ = connect_(false);
      return f(*writer_);
    });
  }

  [[nodiscard]] const Dialect& dialect() const { return *dialect_; }

 private:
  /// A reader taken from the pool, given back at the end.
  struct ReaderLease {
    ReaderLease(Database& database, const Context& ctx)
        : owner(database), connection(database.take_reader(ctx)) {}
    ~ReaderLease() { owner.give_reader(std::move(connection)); }
    ReaderLease(const ReaderLease&) = delete;
    ReaderLease& operator=(const ReaderLease&) = delete;
    Database& owner;
    std::unique_ptr<Connection> connection;
  };

  std::unique_lock<std::timed_mutex> lock_writer(const Context& ctx);
  std::unique_ptr<Connection> take_reader(const Context& ctx);
  void give_reader(std::unique_ptr<Connection> connection);
  /// The exception being handled, as an Error.
  Error caught(const Context& ctx);
  static void roll_back(Connection& connection);

  template <typename F>
  auto guarded(const Context& ctx, F f) -> Result<std::invoke_result_t<F>> {
    try {
      check(ctx.check());
      if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
        f();
        return {};
      } else {
        return f();
      }
    } catch (...) {
      return caught(ctx);
    }
  }

  template <typename F>
  auto in_transaction(Connection& connection, const Context& ctx, const std::string& begin, F& f) {
    connection.context = &ctx;
    try {
      connection.run<>(begin);
      if constexpr (std::is_void_v<std::invoke_result_t<F&, Connection&>>) {
        f(connection);
        connection.context = nullptr;  // a commit is never interrupted
        connection.run<>("COMMIT");
      } else {
        auto out = f(connection);
        connection.context = nullptr;
        connection.run<>("COMMIT");
        return out;
      }
    } catch (const Failure&) {
      connection.context = nullptr;
      connection.end_statements();
      roll_back(connection);
      throw;
    } catch (...) {
      connection.context = nullptr;
      connection.forget_statements();
      roll_back(connection);
      throw;
    }
  }

  std::unique_ptr<Dialect> dialect_;
  Connect connect_;
  const std::size_t readers_max_;

  std::timed_mutex writer_mutex_;
  std::unique_ptr<Connection> writer_;

  std::mutex readers_mutex_;
  std::condition_variable reader_back_;
  std::vector<std::unique_ptr<Connection>> idle_readers_;
  std::size_t readers_out_ = 0;
};

}  // namespace similis::sql
