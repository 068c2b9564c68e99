#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

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

  /// Helpers for searches and their read buffers, one set for all indexes. Counted among the tables
  /// as threads × the largest chunk of those that said what they need: a caller works besides its
  /// helpers, so that each further one at the same time may take a buffer more for the while.
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

/// Memory for vectors, reserved of a budget for as long as this lives.
class Reserved {
 public:
  /// For vectors that have to be in memory.
  static Reserved of(const std::shared_ptr<MemoryBudget>& budget, std::uint64_t bytes) {
    budget->reserve(bytes);
    return {budget, bytes};
  }
  /// None where that would pass the limit.
  static std::optional<Reserved> within_limit(const std::shared_ptr<MemoryBudget>& budget,
                                              std::uint64_t bytes) {
    if (!budget->try_reserve(bytes)) return std::nullopt;
    return Reserved(budget, bytes);
  }
  Reserved(Reserved&&) noexcept = default;
  Reserved& operator=(Reserved&&) = delete;
  ~Reserved() {
    if (budget_) budget_->release(bytes_);
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  Reserved(std::shared_ptr<MemoryBudget> budget, std::uint64_t bytes)
      : budget_(std::move(budget)), bytes_(bytes) {}
  std::shared_ptr<MemoryBudget> budget_;
  std::uint64_t bytes_;
};

}  // namespace similis::engine
