#include "engine/graph/turned_queries.h"

#include "engine/graph/lift.h"

namespace similis::engine {

void TurnedQueries::turn(const SegmentGraph& graph, Metric metric,
                         std::span<const float* const> queries, std::uint32_t dimensions) {
  dimensions_ = lifted_dimensions(metric, dimensions);
  scales_.assign(queries.size(), 1.0F);
  std::vector<const float*> lifted;
  if (dimensions_ != dimensions) {
    lifted_.resize(queries.size() * dimensions_);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      const auto out = std::span(lifted_).subspan(i * dimensions_, dimensions_);
      scales_[i] = graph.norm_bound * lift_query({queries[i], dimensions}, out);
      lifted.push_back(out.data());
    }
    queries = lifted;
  }
  turned_.resize(queries.size() * dimensions_);
  graph.frame.turn(queries, true, turned_);
}

}  // namespace similis::engine
