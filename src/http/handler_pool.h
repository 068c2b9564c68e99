#pragma once

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"

namespace similis::http {

/// The threads that handlers run on: they block on decoding, inference and disk, so there are more
/// of them than cores.
class HandlerPool {
 public:
  HandlerPool(std::size_t threads, std::size_t queue_max) : tasks_(queue_max) {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] {
        while (auto task = tasks_.pop()) (*task)();
      });
    }
  }
  ~HandlerPool() { stop(); }

  /// False once stopped. Waits when the queue is full.
  bool post(std::function<void()> task) { return tasks_.push(std::move(task)); }
  [[nodiscard]] std::size_t waiting() const { return tasks_.size(); }

  /// Runs what is queued, then ends the threads.
  void stop() {
    tasks_.close();
    threads_.clear();  // joins
  }

 private:
  BoundedQueue<std::function<void()>> tasks_;
  std::vector<std::jthread> threads_;
};

}  // namespace similis::http
