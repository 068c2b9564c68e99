#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/result.h"
#include "engine/codes/code_table.h"
#include "engine/graph/graph.h"
#include "engine/thread_pool.h"

namespace similis::engine {

/// How a graph is made (Subramanya et al., "DiskANN", 2019).
struct GraphOptions {
  std::uint32_t degree = 64;      // R: edges a row at most
  std::uint32_t list_size = 100;  // L: of the walk that looks for a row's neighbours
  float alpha = 1.2F;             // on squared distances: above 1 keeps some longer edges
};

struct BuiltGraph {
  Graph graph;
  std::uint32_t entry = 0;  // where walks begin: the row nearest to the mean
};

/// Tries a graph that lacks the rows `held`. An error ends the building.
using GraphTrial = std::function<Status(BuiltGraph built, std::span<const std::uint32_t> held)>;

/// Connects `members`, rows of `codes` (at least one, each once), in one pass, each by the
/// neighbours that a walk over the graph so far finds, pruned so that no edge leads where another
/// one leads sooner; then connects what the entry does not reach. Other rows stay without edges.
/// Distances are those of the records: nothing else is read.
///
/// `trial`, if any, is called once, with the graph that all but a few hundred random rows make.
/// `go_on` is asked now and then, with how many rows are done, on one of the threads; may be empty.
/// `cancelled` once it says no.
Result<BuiltGraph> build_graph(const CodeTable& codes, std::span<const std::uint32_t> members,
                               const GraphOptions& options, ThreadPool& pool, unsigned threads,
                               const GraphTrial& trial,
                               const std::function<bool(std::size_t done)>& go_on);

}  // namespace similis::engine
