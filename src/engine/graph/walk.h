#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
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

/// When a walk ends.
struct WalkLimits {
  std::size_t list_size = 0;  // rows that are kept, at most
  /// Rows are kept as far as their squared distance from the query passes that of the nearest
  /// `rank`-th by no more than this share of it, or of half of the query's squared length if that
  /// is more: the records' errors are measured by it.
  float reach = std::numeric_limits<float>::infinity();
  std::size_t rank = 0;
};

/// Best-first search over a graph by codes in memory (the GreedySearch of Subramanya et al.,
/// "DiskANN", 2019): the nearest rows met so far are kept, and the edges of the nearest one not yet
/// expanded are followed, until all of them are. How far rows are kept follows from the query's
/// own neighbours (Al-Jazzazi et al., "Distance adaptive beam search", 2025): a query in a dense
/// place looks at few, one that lies apart at more. Reads nothing from disk. One thread a walk;
/// keeps its memory from one to the next. `Graph` is Graph or Edges.
template <typename Graph>
class Walk {
 public:
  /// Stands at `entries`, at least one. `graph`, `codes` and `query` outlive the walk.
  void begin(const Graph& graph, const CodeTable& codes, const QueryCode& query,
             std::span<const std::uint32_t> entries, const WalkLimits& limits);
  /// Goes on to where memory is waited for: what it will look at next is then on its way. False at
  /// the end. A thread that steps several walks in turn computes for one while others wait.
  bool step();
  /// From the beginning to the end.
  void run(const Graph& graph, const CodeTable& codes, const QueryCode& query,
           std::span<const std::uint32_t> entries, const WalkLimits& limits) {
    begin(graph, codes, query, entries, limits);
    while (step()) {
    }
  }
  void run(const Graph& graph, const CodeTable& codes, const QueryCode& query, std::uint32_t entry,
           std::size_t list_size) {
    run(graph, codes, query, std::span(&entry, 1), {.list_size = list_size});
  }

  /// After the end: the rows that are kept, nearest first.
  [[nodiscard]] std::span<const Candidate> found();
  /// Every row whose edges were followed, in that order.
  [[nodiscard]] std::span<const Candidate> expanded() const { return expanded_; }
  [[nodiscard]] std::uint64_t comparisons() const { return comparisons_; }

 private:
  /// Takes the row into the list when it is near enough; its place, or the list's end.
  std::size_t offer(std::uint64_t key);
  void draw_floor();
  std::size_t meet(std::uint32_t row, std::size_t fresh);
  void find_next();
  void look_around();
  void compare();

  const Graph* graph_ = nullptr;
  const CodeTable* codes_ = nullptr;
  const QueryCode* query_ = nullptr;
  std::vector<std::uint64_t> list_;  // count_ of them, nearest first
  std::size_t count_ = 0;
  WalkLimits limits_;
  std::uint64_t floor_ = 0;  // nothing is kept from here on
  std::size_t next_ = 0;     // the nearest of the list that is not expanded
  std::vector<Candidate> expanded_, found_;
  std::vector<std::uint64_t> seen_;    // a bit each row
  std::vector<std::uint32_t> marked_;  // marked_count_ of them: the words of seen_ that are not 0
  std::size_t marked_count_ = 0;
  std::uint64_t comparisons_ = 0;
  std::vector<std::uint32_t> fresh_;  // of the row expanded last: to be compared
  std::size_t fresh_count_ = 0;
};

}  // namespace similis::engine
