#include "stores/metadata/sql/database.h"

#include <new>

namespace similis::sql {

std::unique_lock<std::timed_mutex> Database::lock_writer(const Context& ctx) {
  std::unique_lock lock(writer_mutex_, std::defer_lock);
  if (ctx.deadline == Context::Clock::time_point::max()) {
    lock.lock();
  } else if (!lock.try_lock_until(ctx.deadline)) {
    fail(ErrorCode::deadline_exceeded, "another write to the database took too long", "Try again.");
  }
  return lock;
}

std::unique_ptr<Connection> Database::take_reader(const Context& ctx) {
  std::unique_lock lock(readers_mutex_);
  const auto free = [&] { return !idle_readers_.empty() || readers_out_ < readers_max_; };
  if (ctx.deadline == Context::Clock::time_point::max()) {
    reader_back_.wait(lock, free);
  } else if (!reader_back_.wait_until(lock, ctx.deadline, free)) {
    fail(ErrorCode::deadline_exceeded, "all connections to the database are in use", "Try again.");
  }
  ++readers_out_;
  if (!idle_readers_.empty()) {
    auto connection = std::move(idle_readers_.back());
    idle_readers_.pop_back();
    return connection;
  }
  lock.unlock();
  try {
    return connect_(true);
  } catch (...) {
    give_reader(nullptr);
    throw;
  }
}

void Database::give_reader(std::unique_ptr<Connection> connection) {
  {
    std::lock_guard lock(readers_mutex_);
    --readers_out_;
    if (connection) idle_readers_.push_back(std::move(connection));
  }
  reader_back_.notify_one();
}

Error Database::caught(const Context& ctx) {
  try {
    throw;
  } catch (const Failure& failure) {
    return failure.error();
  } catch (const soci::soci_error& error) {
    // A statement that was interrupted because the caller gave up says so, not "interrupted".
    if (auto status = ctx.check(); !status.ok()) return std::move(status).error();
    return dialect_->explain(error);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::resource_exhausted, "not enough memory for a database request",
                 "Free some memory, or ask for less at once.");
  } catch (const std::exception& error) {
    return Error(ErrorCode::internal, std::string("database request: ") + error.what());
  }
}

void Database::roll_back(Connection& connection) {
  try {
    connection.execute("ROLLBACK");
  } catch (const soci::soci_error&) {
    // The database has already rolled back by itself (disk full, failed write), or the transaction
    // never began: there is nothing left to undo, and the first error is the one to report.
  }
}

}  // namespace similis::sql
