#include "services/picture_locks.h"

#include <array>
#include <mutex>

namespace similis {

namespace {

std::array<std::mutex, PictureLocks::kLocks> locks;

}  // namespace

PictureLocks::PictureLocks(std::span<const ImageId> ids) {
  for (const ImageId id : ids) held_.set(static_cast<std::size_t>(id) % kLocks);
  // Always in this order, so that two holders of several never wait for each other.
  for (std::size_t i = 0; i < kLocks; ++i) {
    if (held_.test(i)) locks[i].lock();
  }
}

PictureLocks::~PictureLocks() {
  for (std::size_t i = 0; i < kLocks; ++i) {
    if (held_.test(i)) locks[i].unlock();
  }
}

}  // namespace similis
