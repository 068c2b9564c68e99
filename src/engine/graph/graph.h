#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "engine/prefetch.h"
#include "engine/storage/aligned_buffer.h"

namespace similis::engine {

/// Directed edges between the rows of a segment while they are made: so many slots a row, filled
/// from the front. Slots are read and written as relaxed atomics, so that a walk may cross a row
/// that is being rewritten: a list that is half old costs recall, never correctness.
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
  /// Calls `visit` with each row that an edge of `row` leads to.
  template <typename Visit>
  void for_neighbours(std::uint32_t row, Visit visit) const {
    const std::uint32_t* from = list(row);
    for (std::uint32_t i = 0; i < slots_; ++i) {
      const std::uint32_t to = __atomic_load_n(from + i, __ATOMIC_RELAXED);
      if (to == kNone) return;
      visit(to);
    }
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

/// The same edges once they are made, one row's behind the other's, each in as many bits as the
/// largest row number takes: half of a graph's slots are empty, and of a number's bits, too.
class Edges {
 public:
  static constexpr std::uint32_t kNone = Graph::kNone;

  Edges() = default;
  explicit Edges(const Graph& graph);
  /// `begins`: where each row's edges begin, and where the last one's end; ascending from 0.
  /// `to_fill` gets the room for what bytes() says.
  Edges(std::vector<std::uint32_t> begins, std::span<std::byte>& to_fill);

  [[nodiscard]] Edges copy() const;
  [[nodiscard]] std::uint32_t rows() const {
    return static_cast<std::uint32_t>(begins_.size()) - 1;
  }
  /// No row has more.
  [[nodiscard]] std::uint32_t slots() const { return slots_; }
  [[nodiscard]] std::span<const std::uint32_t> begins() const { return begins_; }
  [[nodiscard]] std::vector<std::uint32_t> neighbours(std::uint32_t row) const;
  [[nodiscard]] std::uint32_t degree(std::uint32_t row) const {
    return begins_[row + 1] - begins_[row];
  }
  /// Every row's, one after the other: edge i in bits i * w .. (i + 1) * w - 1, lowest first, where
  /// w = bits_for(rows()).
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return lists_.span().first(bytes_for(rows(), begins_.back()));
  }
  [[nodiscard]] std::uint64_t bytes_in_memory() const {
    return begins_.size() * sizeof(std::uint32_t) + lists_.size();
  }
  /// Bits of an edge between so many rows, and bytes of so many edges.
  static unsigned bits_for(std::uint32_t rows);
  static std::uint64_t bytes_for(std::uint32_t rows, std::uint64_t edges) {
    return (edges * bits_for(rows) + 7) / 8;
  }
  /// What so many rows and edges take in memory.
  static std::uint64_t bytes_in_memory(std::uint32_t rows, std::uint64_t edges) {
    return (std::uint64_t{rows} + 1) * sizeof(std::uint32_t) + bytes_for(rows, edges) + kPadding;
  }

  template <typename Visit>
  void for_neighbours(std::uint32_t row, Visit visit) const {
    std::uint64_t bit = std::uint64_t{begins_[row]} * bits_;
    for (std::uint32_t left = begins_[row + 1] - begins_[row]; left > 0; --left, bit += bits_) {
      std::uint64_t word = 0;
      std::memcpy(&word, lists_.data() + bit / 8, sizeof word);
      visit(static_cast<std::uint32_t>(word >> (bit % 8)) & mask_);
    }
  }
  /// Fetches the row's edges.
  void prefetch(std::uint32_t row) const {
    const std::uint64_t begin = std::uint64_t{begins_[row]} * bits_ / 8;
    const std::uint64_t end = std::uint64_t{begins_[row + 1]} * bits_ / 8;
    engine::prefetch(lists_.data() + begin, end - begin + kPadding);
  }

 private:
  // An edge is read with the bytes behind it.
  static constexpr std::size_t kPadding = sizeof(std::uint64_t);
  /// Room for all of begins_, zeros.
  void make_room();

  std::vector<std::uint32_t> begins_ = {0};
  std::uint32_t slots_ = 0;
  unsigned bits_ = 1;
  std::uint32_t mask_ = 1;
  AlignedBuffer lists_;
};

}  // namespace similis::engine
