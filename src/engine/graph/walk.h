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
/// walk; keeps its memory from one to the next. `Graph` is Graph or Edges.
template <typename Graph>
class Walk {
 public:
  /// Stands at `entries`, at least one. `graph`, `codes` and `query` outlive the walk.
  void begin(const Graph& graph, const CodeTable& codes, const QueryCode& query,
             std::span<const std::uint32_t> entries, std::size_t list_size);
  /// Goes on to where memory is waited for: what it will look at next is then on its way. False at
  /// the end. A thread that steps several walks in turn computes for one while others wait.
  bool step();
  /// From the beginning to the end.
  void run(const Graph& graph, const CodeTable& codes, const QueryCode& query,
           std::span<const std::uint32_t> entries, std::size_t list_size) {
    begin(graph, codes, query, entries, list_size);
    while (step()) {
    }
  }
  void run(const Graph& graph, const CodeTable& codes, const QueryCode& query, std::uint32_t entry,
           std::size_t list_size) {
    run(graph, codes, query, std::span(&entry, 1), list_size);
  }

  /// After the end: at most list_size rows, nearest first.
  [[nodiscard]] std::span<const Candidate> found();
  /// Every row whose edges were followed, in that order.
  [[nodiscard]] std::span<const Candidate> expanded() const { return expanded_; }
  [[nodiscard]] std::uint64_t comparisons() const { return comparisons_; }

 private:
  /// Takes the row into the list when it is near enough; its place, or the list's end.
  std::size_t offer(std::uint64_t key);
  std::size_t meet(std::uint32_t row, std::size_t fresh);
  void find_next();
  void look_around();
  void compare();

  const Graph* graph_ = nullptr;
  const CodeTable* codes_ = nullptr;
  const QueryCode* query_ = nullptr;
  std::vector<std::uint64_t> list_;  // count_ of them, nearest first
  std::size_t count_ = 0;
  std::size_t list_size_ = 0;
  std::size_t next_ = 0;  // the nearest of the list that is not expanded
  std::vector<Candidate> expanded_, found_;
  std::vector<std::uint64_t> seen_;    // a bit each row
  std::vector<std::uint32_t> marked_;  // marked_count_ of them: the words of seen_ that are not 0
  std::size_t marked_count_ = 0;
  std::uint64_t comparisons_ = 0;
  std::vector<std::uint32_t> fresh_;  // of the row expanded last: to be compared
  std::size_t fresh_count_ = 0;
};

}  // namespace similis::engine
