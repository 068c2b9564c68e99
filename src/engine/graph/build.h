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

/// The memory that a row takes while its graph is made, its record aside.
std::uint64_t build_bytes_a_row(const GraphOptions& options);

struct BuiltGraph {
  Edges graph;
  std::uint32_t entry = 0;  // where walks begin: the row nearest to the mean
};

/// Tries a graph that lacks the rows `held`. An error ends the building.
using GraphTrial = std::function<Status(BuiltGraph built, std::span<const std::uint32_t> held)>;

/// Asked now and then, with how many rows are done, on one of the threads; may be empty. The
/// building ends with its error.
using GoOn = std::function<Status(std::size_t done)>;

/// Connects `members`, rows of `codes` (at least one, each once), in one pass, each by the
/// neighbours that a walk over the graph so far finds, pruned so that no edge leads where another
/// one leads sooner; then connects what the entry does not reach. Other rows stay without edges.
/// Distances are those of the records: nothing else is read.
///
/// `trial`, if any, is called once, with the graph that all but a thousand random rows make, or a
/// quarter of fewer.
Result<BuiltGraph> build_graph(const CodeTable& codes, std::span<const std::uint32_t> members,
                               const GraphOptions& options, ThreadPool& pool, unsigned threads,
                               const GraphTrial& trial, const GoOn& go_on);

/// The same for `members` behind the rows of a graph that is there: costs as many walks as they
/// are, and a copy of its edges. `entry` is the graph's, and stays; a graph without rows has none.
Result<BuiltGraph> extend_graph(const CodeTable& codes, const Edges& graph, std::uint32_t entry,
                                std::span<const std::uint32_t> members, const GraphOptions& options,
                                ThreadPool& pool, unsigned threads, const GoOn& go_on);

}  // namespace similis::engine
