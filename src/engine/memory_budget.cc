#include "engine/memory_budget.h"

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

std::shared_ptr<MemoryBudget> make_memory_budget(std::uint64_t bytes_max) {
  return std::make_shared<MemoryBudget>(bytes_max);
}

}  // namespace similis::engine
