#pragma once

#include <bitset>
#include <cstddef>
#include <span>

#include "core/ids.h"

namespace similis {

/// Held while what filters see of these pictures changes in both stores, vectors and rows, and over
/// the reading it rests on: two changes of one picture must not meet in between. All services of
/// the process share the locks, some pictures share one. No other PictureLocks may be taken while
/// one is held.
class PictureLocks {
 public:
  explicit PictureLocks(std::span<const ImageId> ids);
  explicit PictureLocks(ImageId id) : PictureLocks(std::span(&id, 1)) {}
  ~PictureLocks();
  PictureLocks(const PictureLocks&) = delete;
  PictureLocks& operator=(const PictureLocks&) = delete;

  static constexpr std::size_t kLocks = 64;

 private:
  std::bitset<kLocks> held_;
};

}  // namespace similis
