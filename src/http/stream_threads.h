#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <stop_token>
#include <thread>

namespace similis::http {

/// The threads of event streams.
class StreamThreads {
 public:
  explicit StreamThreads(std::size_t max) : max_(max) {}
  ~StreamThreads() { stop(); }
  /// False when there are as many as may be.
  bool start(std::function<void(std::stop_token)> work);
  [[nodiscard]] bool has_room();
  void request_stop();
  /// Ends and joins all.
  void stop();

 private:
  struct Task {
    std::atomic<bool> done{false};
    std::jthread thread;
  };
  const std::size_t max_;
  std::mutex mutex_;
  std::list<Task> tasks_;
  bool stopping_ = false;
};

}  // namespace similis::http
