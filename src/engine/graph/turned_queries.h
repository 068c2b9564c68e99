#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/graph/segment_graph.h"
#include "engine/index.h"

namespace similis::engine {

/// Queries as a graph's codes are compared with: of metric inner product lifted, then turned into
/// its frame. Buffers are kept from one turning to the next.
class TurnedQueries {
 public:
  /// `queries`: each of `dimensions`; of metric cosine unit vectors.
  void turn(const SegmentGraph& graph, Metric metric, std::span<const float* const> queries,
            std::uint32_t dimensions);
  /// Of the query's code.
  [[nodiscard]] std::span<const float> operator[](std::size_t query) const {
    return std::span(turned_).subspan(query * dimensions_, dimensions_);
  }
  /// What its cosines with rows are to be multiplied by, to be scores of the metric.
  [[nodiscard]] float scale(std::size_t query) const { return scales_[query]; }

 private:
  std::size_t dimensions_ = 0;  // of codes
  std::vector<float> lifted_, turned_, scales_;
};

}  // namespace similis::engine
