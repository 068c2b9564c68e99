#pragma once

#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <utility>

#include "core/context.h"
#include "core/ids.h"

namespace similis {

/// Keeps two runs of this process from working on the same files: roots that overlap exclude each
/// other.
class RootLocks {
 public:
  class Guard {
   public:
    Guard(Guard&& other) noexcept : locks_(std::exchange(other.locks_, nullptr)), at_(other.at_) {}
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    Guard& operator=(Guard&&) = delete;
    ~Guard();

   private:
    friend class RootLocks;
    using Held = std::list<std::pair<CollectionId, std::string>>;
    Guard(RootLocks* locks, Held::iterator at) : locks_(locks), at_(at) {}
    RootLocks* locks_;
    Held::iterator at_;
  };

  /// Waits for its turn, as long as the context allows.
  Result<Guard> acquire(const Context& ctx, CollectionId collection, const std::string& root);

 private:
  bool overlaps(CollectionId collection, const std::string& root) const;

  std::mutex mutex_;
  std::condition_variable freed_;
  Guard::Held held_;
};

}  // namespace similis
