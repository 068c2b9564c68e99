#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace similis {

/// What a request gathers on its way: named stage times in the order they ended. Safe from several
/// threads.
class Trace {
 public:
  struct Stage {
    std::string name;
    double ms = 0;
  };
  explicit Trace(std::string request_id) : request_id_(std::move(request_id)) {}

  /// Adds to the stage of this name, or appends it.
  void add(const std::string& name, double ms);
  [[nodiscard]] std::vector<Stage> stages() const;
  [[nodiscard]] const std::string& request_id() const { return request_id_; }

 private:
  const std::string request_id_;
  mutable std::mutex mutex_;
  std::vector<Stage> stages_;
};

/// Travels with every call of a port or service: until when, whether still wanted, and where to
/// note times. Cheap to copy. A default Context has no deadline, is never cancelled and keeps no
/// trace.
struct Context {
  using Clock = std::chrono::steady_clock;
  Clock::time_point deadline = Clock::time_point::max();
  std::stop_token cancel;
  std::shared_ptr<Trace> trace;

  /// cancelled or deadline_exceeded, when either holds. Long loops ask now and then.
  [[nodiscard]] Status check() const;
  [[nodiscard]] Context with_timeout(Clock::duration timeout) const;
};

/// Notes the time from its construction to its end as one stage of the context's trace.
class StageTimer {
 public:
  StageTimer(const Context& ctx, std::string name)
      : trace_(ctx.trace), name_(std::move(name)), begin_(Context::Clock::now()) {}
  ~StageTimer();
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  std::shared_ptr<Trace> trace_;
  std::string name_;
  Context::Clock::time_point begin_;
};

}  // namespace similis
