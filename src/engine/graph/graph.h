#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "engine/prefetch.h"
#include "engine/storage/aligned_buffer.h"

namespace similis::engine {

/// Directed edges between the rows of a segment: so many slots a row, filled from the front. Slots
/// are read and written as relaxed atomics, so that a walk may cross a row that is being rewritten:
/// a list that is half old costs recall, never correctness.
class Graph {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  /// Without any edge.
  Graph(std::uint32_t rows, std::uint32_t slots);

  [[nodiscard]] std::uint32_t slots() const { return slots_; }
  [[nodiscard]] std::uint32_t rows() const { return rows_; }
  /// All slots, a row behind the other.
  [[nodiscard]] std::span<std::byte> bytes() const { return lists_.span(); }

  /// Copies the row's edges to `out` (slots() values); how many there are.
  std::uint32_t neighbours(std::uint32_t row, std::uint32_t* out) const {
    const std::uint32_t* from = list(row);
    std::uint32_t count = 0;
    for (; count < slots_; ++count) {
      out[count] = __atomic_load_n(from + count, __ATOMIC_RELAXED);
      if (out[count] == kNone) break;
    }
    return count;
  }
  /// One of the row's slots; kNone behind the last edge.
  [[nodiscard]] std::uint32_t neighbour(std::uint32_t row, std::uint32_t slot) const {
    return __atomic_load_n(list(row) + slot, __ATOMIC_RELAXED);
  }
  /// At most slots() of them. One writer a row at a time.
  void set_neighbours(std::uint32_t row, std::span<const std::uint32_t> edges);
  /// False when all slots are taken. One writer a row at a time.
  bool add_neighbour(std::uint32_t row, std::uint32_t edge);

  /// Fetches the row's edges.
  void prefetch(std::uint32_t row) const {
    engine::prefetch(list(row), slots_ * sizeof(std::uint32_t));
  }

 private:
  [[nodiscard]] std::uint32_t* list(std::uint32_t row) const {
    return reinterpret_cast<std::uint32_t*>(lists_.data()) + std::size_t{row} * slots_;
  }

  std::uint32_t rows_;
  std::uint32_t slots_;
  AlignedBuffer lists_;
};

}  // namespace similis::engine
