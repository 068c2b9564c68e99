#pragma once

#include <atomic>
#include <cstdint>

#include "core/job.h"

namespace similis {

/// JobCounters that several threads raise.
struct IngestCounters {
  std::atomic<std::int64_t> found{0}, unchanged{0}, ready{0}, moved{0}, removed{0}, failed{0},
      skipped{0};
  std::atomic<bool> scanning{false}, optimizing{false}, following{false};

  void reset() {
    for (auto* counter : {&found, &unchanged, &ready, &moved, &removed, &failed, &skipped}) {
      *counter = 0;
    }
  }

  [[nodiscard]] JobCounters snapshot() const {
    JobCounters out;
    // `found` last: what is done was found before, so done never shows above found.
    out.unchanged = unchanged;
    out.ready = ready;
    out.moved = moved;
    out.removed = removed;
    out.failed = failed;
    out.skipped = skipped;
    out.scanning = scanning;
    out.optimizing = optimizing;
    out.following = following;
    out.found = found;
    return out;
  }
};

}  // namespace similis
