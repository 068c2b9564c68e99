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

/// Of the nearest k that are among the rows of each query the share that searches answer with which
/// doubt estimates so many times their errors (GraphSearch::choose), for each doubt that is tried,
/// ascending. Empty when none is among them. `record_bytes`: of the codes that say it.
std::vector<SegmentGraph::Doubt> try_doubts(std::span<const std::vector<JudgedRow>> queries,
                                            std::size_t k, std::size_t record_bytes);

}  // namespace similis::engine
