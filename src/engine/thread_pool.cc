#include "engine/thread_pool.h"

#include <algorithm>
#include <memory>

namespace similis::engine {

ThreadPool::ThreadPool(unsigned threads) {
  for (unsigned i = 1; i < threads; ++i) helpers_.emplace_back([this] { help(); });
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
    work();
    lock.lock();
    if (--job->helping == 0) job->done.notify_all();
  }
}

void ThreadPool::run(unsigned workers, const std::function<void()>& work) {
  const unsigned wanted = std::min(workers, threads()) - (workers == 0 ? 0 : 1);
  if (wanted == 0) return work();
  const auto job = std::make_shared<Job>();
  job->work = &work;
  {
    std::lock_guard lock(mutex_);
    for (unsigned i = 0; i < wanted; ++i) jobs_.push_back(job);
  }
  for (unsigned i = 0; i < wanted; ++i) wanted_.notify_one();
  work();
  std::unique_lock lock(mutex_);
  job->work = nullptr;
  job->done.wait(lock, [&] { return job->helping == 0; });
}

}  // namespace similis::engine
