#include "engine/thread_pool.h"

#include <algorithm>
#include <memory>
#include <system_error>

namespace similis::engine {

ThreadPool::ThreadPool(unsigned threads) {
  grow(threads);
}

void ThreadPool::grow(unsigned threads) {
  std::lock_guard lock(mutex_);
  try {
    while (helpers_.size() + 1 < threads) helpers_.emplace_back([this] { help(); });
  } catch (const std::system_error&) {
    // As many as the system allows: who asks for work does it in any case.
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wanted_.notify_all();
  for (auto& helper : helpers_) helper.join();
}

void ThreadPool::help() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    const std::shared_ptr<Job> job = std::move(jobs_.front());
    jobs_.pop_front();
    if (job->work == nullptr) continue;  // done before a helper was free
    const auto& work = *job->work;
    ++job->helping;
    lock.unlock();
    std::exception_ptr failure;
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) job->failure = std::move(failure);
    if (--job->helping == 0) job->done.notify_all();
  }
}

void ThreadPool::run(unsigned workers, const std::function<void()>& work) {
  const auto job = std::make_shared<Job>();
  job->work = &work;
  std::exception_ptr failure;
  try {
    {
      std::lock_guard lock(mutex_);
      const auto helpers = std::min<std::size_t>(workers == 0 ? 0 : workers - 1, helpers_.size());
      for (std::size_t i = 0; i < helpers; ++i) {
        jobs_.push_back(job);
        wanted_.notify_one();
      }
    }
    work();
  } catch (...) {
    failure = std::current_exception();
  }
  // Whatever happened, helpers may be inside `work`, which ends with this call.
  std::unique_lock lock(mutex_);
  job->work = nullptr;
  job->done.wait(lock, [&] { return job->helping == 0; });
  if (!failure) failure = std::move(job->failure);
  lock.unlock();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace similis::engine
