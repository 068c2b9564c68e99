#include "engine/memory_budget.h"

#include <algorithm>

namespace similis::engine {

bool MemoryBudget::try_reserve(std::uint64_t bytes) {
  std::uint64_t vectors = vectors_.load(std::memory_order_relaxed);
  do {
    const std::uint64_t used = vectors + tables();
    if (used > limit_ || bytes > limit_ - used) return false;
  } while (!vectors_.compare_exchange_weak(vectors, vectors + bytes, std::memory_order_relaxed));
  return true;
}

void MemoryBudget::join(const void* key, std::function<void()> settle) {
  std::lock_guard lock(mutex_);
  members_[key] = std::move(settle);
}

void MemoryBudget::leave(const void* key) {
  std::lock_guard lock(mutex_);
  members_.erase(key);
}

void MemoryBudget::make_room(const void* key) {
  std::lock_guard lock(mutex_);
  for (const auto& [member, settle] : members_)
    if (member != key && passed()) settle();
}

void MemoryBudget::join_searches(const void* key, unsigned threads, std::uint64_t chunk_bytes) {
  pool_.grow(threads);
  std::lock_guard lock(needs_mutex_);
  needs_[key] = {threads, chunk_bytes};
  count_scratch();
}

void MemoryBudget::leave_searches(const void* key) {
  std::lock_guard lock(needs_mutex_);
  needs_.erase(key);
  count_scratch();
}

std::uint64_t MemoryBudget::scratch_bytes() {
  std::lock_guard lock(needs_mutex_);
  return scratch_bytes_;
}

void MemoryBudget::count_scratch() {
  Need most{0, 0};
  for (const auto& [key, need] : needs_) {
    most.threads = std::max(most.threads, need.threads);
    most.chunk_bytes = std::max(most.chunk_bytes, need.chunk_bytes);
  }
  const std::uint64_t now = most.threads * most.chunk_bytes;
  replace_tables(scratch_bytes_, now);
  scratch_bytes_ = now;
}

std::shared_ptr<MemoryBudget> make_memory_budget(std::uint64_t bytes_max) {
  return std::make_shared<MemoryBudget>(bytes_max);
}

}  // namespace similis::engine
