#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace similis::engine {

/// Threads that help searches, of all indexes that share a memory budget. run() also works on the
/// calling thread, so that it makes progress however busy the helpers are.
class ThreadPool {
 public:
  /// `threads` includes the caller's: `threads - 1` are started.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// At least so many threads from here on, the caller's included.
  void grow(unsigned threads);

  /// Calls `work` on this thread and on up to `workers - 1` helpers at once; returns when all calls
  /// that began have ended. `work` takes its pieces from a shared counter. What a call throws is
  /// thrown here, once all have ended.
  void run(unsigned workers, const std::function<void()>& work);

 private:
  struct Job {
    const std::function<void()>* work = nullptr;  // null once run() no longer takes helpers
    unsigned helping = 0;
    std::exception_ptr failure;
    std::condition_variable done;
  };
  void help();

  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<std::shared_ptr<Job>> jobs_;  // one entry a helper asked for
  bool stopping_ = false;
  std::vector<std::thread> helpers_;
};

}  // namespace similis::engine
