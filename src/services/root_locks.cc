#include "services/root_locks.h"

#include <algorithm>
#include <chrono>

#include "services/folder_walk.h"

namespace similis {

RootLocks::Guard::~Guard() {
  if (locks_ == nullptr) return;
  std::lock_guard lock(locks_->mutex_);
  locks_->held_.erase(at_);
  locks_->freed_.notify_all();
}

Result<RootLocks::Guard> RootLocks::acquire(const Context& ctx, CollectionId collection,
                                            const std::string& root) {
  std::unique_lock lock(mutex_);
  while (overlaps(collection, root)) {
    freed_.wait_for(lock, std::chrono::milliseconds(200));
    TRY(ctx.check());
  }
  held_.emplace_front(collection, root);
  return Guard(this, held_.begin());
}

bool RootLocks::overlaps(CollectionId collection, const std::string& root) const {
  return std::any_of(held_.begin(), held_.end(), [&](const auto& held) {
    return held.first == collection &&
           (lies_within(held.second, root) || lies_within(root, held.second));
  });
}

}  // namespace similis
