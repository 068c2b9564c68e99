#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/graph/segment_graph.h"

namespace similis::engine {

/// What its code says of a row that a walk came upon.
struct JudgedRow {
  float nearness = 0;
  float error = 0;     // the estimate's spread
  bool right = false;  // one of the k nearest it is
};

/// Of the nearest k that are among the rows of each query counts those that searches answer with
/// which doubt estimates so many times their errors (GraphSearch::choose), for each doubt that is
/// tried.
class DoubtTrial {
 public:
  /// `k`: at least 1.
  explicit DoubtTrial(std::size_t k);
  /// Counts those of a query.
  void add(std::span<const JudgedRow> rows);
  /// What another one of the same k counted, too.
  void add(const DoubtTrial& other);
  /// The shares by doubt, ascending, up to one that keeps all. Empty when no row was right.
  /// `record_bytes`: of the codes that were judged.
  [[nodiscard]] std::vector<SegmentGraph::Doubt> result(std::size_t record_bytes) const;

 private:
  struct Counts {
    std::size_t exact = 0, bounded = 0;  // answered
  };
  static Counts count_answered(std::span<const JudgedRow> rows, std::size_t k, float doubt);

  std::size_t k_;
  std::size_t right_ = 0;       // there are
  std::vector<Counts> counts_;  // by doubt
};

}  // namespace similis::engine
