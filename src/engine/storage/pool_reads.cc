// Reads by threads that each wait for one: where the kernel has no queue for us.

#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "engine/storage/posix_reads.h"

namespace similis::engine {
namespace {

// Reads under way at once, of the whole process: about as many as a disk takes side by side.
constexpr std::size_t kThreads = 16;

class PoolQueue;

/// The threads, which all queues share. They start with the first read.
class ReadPool {
 public:
  struct Read {
    PoolQueue* queue = nullptr;
    ReadGroup* group = nullptr;
    ReadRequest* request = nullptr;
  };

  static ReadPool& instance() {
    static ReadPool pool;
    return pool;
  }

  /// False when not one thread can be started.
  bool push(PoolQueue& queue, ReadGroup& group) {
    {
      std::lock_guard lock(mutex_);
      if (threads_.empty()) start();
      if (threads_.empty()) return false;
      const std::size_t before = waiting_.size();
      try {
        for (ReadRequest& request : group.requests) waiting_.push_back({&queue, &group, &request});
      } catch (...) {
        waiting_.resize(before);  // all or none
        throw;
      }
    }
    wake_.notify_all();
    return true;
  }

 private:
  ReadPool() = default;
  ~ReadPool() {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    threads_.clear();  // joins
  }

  void start() {
    threads_.reserve(kThreads);
    try {
      while (threads_.size() < kThreads) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // A limit on processes: those that there are do the work.
    }
  }
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Read> waiting_;
  bool ending_ = false;
  std::vector<std::jthread> threads_;
};

class PoolQueue final : public ReadQueue {
 public:
  void submit(std::span<ReadGroup* const> groups) override {
    for (ReadGroup* const group : groups) submit(*group);
  }

  void reap(bool wait) override {
    std::unique_lock lock(mutex_);
    if (wait && under_way_ > 0) came_.wait(lock, [&] { return !done_.empty(); });
    for (ReadGroup* group : done_) --group->pending;
    under_way_ -= done_.size();
    done_.clear();
  }

  /// From a thread of the pool.
  void complete(ReadGroup& group) {
    std::lock_guard lock(mutex_);
    done_.push_back(&group);
    came_.notify_one();
  }

 private:
  void submit(ReadGroup& group) {
    const std::size_t count = group.requests.size();
    {
      std::lock_guard lock(mutex_);
      done_.reserve(under_way_ + count);  // complete() then needs no memory
    }
    // Only this thread looks at these.
    if (count == 0 || ReadPool::instance().push(*this, group)) {
      group.pending = count;
      under_way_ += count;
      return;
    }
    for (ReadRequest& request : group.requests)
      request.status = request.file->read(request.offset, request.out);
    group.pending = 0;
  }

  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<ReadGroup*> done_;  // one entry a read
  std::size_t under_way_ = 0;     // of the thread that owns the queue
};

void ReadPool::work() {
  for (;;) {
    Read read;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      read = waiting_.front();
      waiting_.pop_front();
    }
    ReadRequest& request = *read.request;
    const int descriptor =
        static_cast<const PosixReadFile*>(request.file)->descriptor(request.offset, request.out);
    const ssize_t bytes = ::pread(descriptor, request.out.data(), request.out.size(),
                                  static_cast<off_t>(request.offset));
    request.status = {};
    // A refused, failed or short read: another way may succeed, or else says what is wrong.
    if (bytes < 0 || static_cast<std::size_t>(bytes) != request.out.size())
      request.status = request.file->read(request.offset, request.out);
    read.queue->complete(*read.group);
  }
}

}  // namespace

std::unique_ptr<ReadQueue> make_pool_queue() {
  return std::make_unique<PoolQueue>();
}

}  // namespace similis::engine
