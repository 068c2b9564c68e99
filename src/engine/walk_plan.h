#pragma once

#include <cstdint>

#include "engine/codes/code.h"
#include "engine/graph/segment_graph.h"
#include "engine/graph/walk.h"
#include "engine/index.h"

namespace similis::engine {

/// How one graph is searched, whatever the query.
struct WalkPlan {
  double rows = 0;
  double returnable = 0;   // rows there are of those that may be returned
  double wanted = 0;       // of them a walk is to come upon so many,
  double within = 0;       // among the nearest so many that it finds
  float reach = 0;         // of the walk
  double comparisons = 0;  // that it takes

  /// Whether comparing all that may be returned is less work than the walk.
  [[nodiscard]] bool scanning_is_less() const { return returnable <= comparisons; }
  [[nodiscard]] WalkLimits limits() const;
  /// Has a walk look at so many times as much.
  void widen(double times);
  /// The same after one that compared `compared` rows and found `found` of those wanted: where most
  /// of what lies near must not be returned, the share is smaller there than it is on the whole.
  void widen_after(double found, double compared);
};

/// Rows of a graph that a search without a filter may return, about: `dead` counts those behind the
/// graph as well, and zero vectors that are dead count twice.
double live_nodes(const SegmentGraph& graph, std::uint32_t dead);

/// `returnable`: rows of the graph that may be returned, about.
WalkPlan plan_walk(const SearchOptions& options, const SegmentGraph& graph, double returnable);

/// How many times its error an estimate by this graph's codes is doubted: somewhat more than
/// the least that kept all but what codes may lose under the recall asked for, a quarter of it.
float doubt_of(const SearchOptions& options, const SegmentGraph& graph);

}  // namespace similis::engine
