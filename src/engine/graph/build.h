#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>

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

/// Connects `members`, rows of `codes` (at least one, each once), in one pass, each by the
/// neighbours that a walk over the graph so far finds, pruned so that no edge leads where another
/// one leads sooner; then connects what the entry does not reach. Other rows stay without edges.
/// Distances are those of the records: nothing else is read. `progress` is told now and then how
/// many rows are done, on one of the threads; may be empty. `cancelled` when `stop` is requested.
Result<BuiltGraph> build_graph(const CodeTable& codes, std::span<const std::uint32_t> members,
                               const GraphOptions& options, ThreadPool& pool, unsigned threads,
                               const std::stop_token& stop,
                               const std::function<void(std::uint32_t done)>& progress);

}  // namespace similis::engine
