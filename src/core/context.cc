#include "core/context.h"

#include <algorithm>

namespace similis {

void Trace::add(const std::string& name, double ms) {
  std::lock_guard lock(mutex_);
  auto it =
      std::find_if(stages_.begin(), stages_.end(), [&](const Stage& s) { return s.name == name; });
  if (it == stages_.end()) {
    stages_.push_back({name, ms});
  } else {
    it->ms += ms;
  }
}

std::vector<Trace::Stage> Trace::stages() const {
  std::lock_guard lock(mutex_);
  return stages_;
}

Status Context::check() const {
  if (cancel.stop_requested()) return Error(ErrorCode::cancelled, "the request was cancelled");
  if (deadline != Clock::time_point::max() && Clock::now() > deadline) {
    return Error(ErrorCode::deadline_exceeded, "the request took longer than its time limit",
                 "Try again, or ask for less.");
  }
  return {};
}

Context Context::with_timeout(Clock::duration timeout) const {
  Context out = *this;
  out.deadline = std::min(deadline, Clock::now() + timeout);
  return out;
}

StageTimer::~StageTimer() {
  if (trace_)
    trace_->add(name_,
                std::chrono::duration<double, std::milli>(Context::Clock::now() - begin_).count());
}

}  // namespace similis
