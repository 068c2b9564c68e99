#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "engine/index.h"
#include "engine/scratch_pool.h"
#include "engine/thread_pool.h"

namespace similis::engine {

/// What indexes take together: tables, which they need in any case, and vectors, which may be on
/// disk instead. Safe from several threads.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t bytes_max) : limit_(bytes_max) {}

  /// For vectors: false when that would pass the limit.
  bool try_reserve(std::uint64_t bytes);
  /// For vectors that have to be in memory.
  void reserve(std::uint64_t bytes) { vectors_.fetch_add(bytes, std::memory_order_relaxed); }
  void release(std::uint64_t bytes) { vectors_.fetch_sub(bytes, std::memory_order_relaxed); }
  /// One index's tables have grown or shrunk.
  void replace_tables(std::uint64_t before, std::uint64_t now) {
    tables_.fetch_add(now - before, std::memory_order_relaxed);  // modulo 2^64
  }

  /// Helpers for searches and their read buffers, one set for all: however many indexes are open,
  /// there are as many buffers at work as threads. Counted among the tables as threads × the
  /// largest chunk of those that said what they need.
  void join_searches(const void* key, unsigned threads, std::uint64_t chunk_bytes);
  void leave_searches(const void* key);
  [[nodiscard]] std::uint64_t scratch_bytes();
  [[nodiscard]] ThreadPool& pool() { return pool_; }
  [[nodiscard]] ScratchPool& scratch() { return scratch_; }

  /// An index that takes part; `settle` drops vectors while passed() holds. Removed by its key.
  void join(const void* key, std::function<void()> settle);
  void leave(const void* key);
  /// Asks all others to settle.
  void make_room(const void* key);

  [[nodiscard]] std::uint64_t limit() const { return limit_; }
  [[nodiscard]] std::uint64_t tables() const { return tables_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool passed() const {
    return tables() + vectors_.load(std::memory_order_relaxed) > limit_;
  }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> tables_{0};
  std::atomic<std::uint64_t> vectors_{0};
  std::mutex mutex_;  // held while members settle: one that leaves waits for that
  std::map<const void*, std::function<void()>> members_;

  struct Need {
    unsigned threads;
    std::uint64_t chunk_bytes;
  };
  void count_scratch();  // needs_mutex_

  std::mutex needs_mutex_;
  std::map<const void*, Need> needs_;
  std::uint64_t scratch_bytes_ = 0;
  ScratchPool scratch_;
  ThreadPool pool_{1};
};

}  // namespace similis::engine
