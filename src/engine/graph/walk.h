#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/codes/code.h"
#include "engine/codes/code_table.h"
#include "engine/graph/graph.h"

namespace similis::engine {

/// A row that a walk came upon, with the nearness its code tells.
struct Candidate {
  float nearness = 0;
  std::uint32_t row = 0;
  /// Nearer first; equal ones by row, so that a walk's outcome is the same each time.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.nearness > b.nearness || (a.nearness == b.nearness && a.row < b.row);
  }
};

/// Best-first search over a graph by codes in memory (the GreedySearch of Subramanya et al.,
/// "DiskANN", 2019): the nearest `list_size` rows met so far are kept, and the edges of the nearest
/// one not yet expanded are followed, until all of them are. Reads nothing from disk. One thread a
/// walk; keeps its memory from one to the next.
class Walk {
 public:
  /// Starts at `entry`. After it found() and expanded() tell what was met.
  void run(const Graph& graph, const CodeTable& codes, const QueryCode& query, std::uint32_t entry,
           std::size_t list_size);

  /// At most list_size rows, nearest first.
  [[nodiscard]] std::span<const Candidate> found() const { return {list_.data(), count_}; }
  /// Every row whose edges were followed, in that order.
  [[nodiscard]] std::span<const Candidate> expanded() const { return expanded_; }
  [[nodiscard]] std::uint64_t comparisons() const { return comparisons_; }

 private:
  /// Takes the row into the list when it is near enough; its place, or the list's end.
  std::size_t offer(Candidate candidate);
  [[nodiscard]] bool first_visit(std::uint32_t row);

  std::vector<Candidate> list_;     // count_ of them, nearest first
  std::vector<std::uint8_t> done_;  // beside list_: expanded
  std::size_t count_ = 0;
  std::size_t list_size_ = 0;
  std::vector<Candidate> expanded_;
  std::vector<std::uint16_t> seen_;  // a row each: the round it was last met in
  std::uint16_t round_ = 0;
  std::uint64_t comparisons_ = 0;
  std::vector<std::uint32_t> edges_, fresh_;
};

}  // namespace similis::engine
