#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/index.h"
#include "engine/memory_budget.h"
#include "engine/segment.h"

namespace similis::engine {

/// Checks one vector and writes it as fp16: `metric` cosine normalises it first. Returns the norm
/// of what was stored. `position` names it in errors ("row 3").
Result<float> encode_vector(std::span<const float> vector, Metric metric, std::uint32_t dimensions,
                            std::span<std::uint16_t> out, const std::string& position);

/// Rows that a search met on disk and that are not what was written.
struct DamagedRows {
  std::shared_ptr<const Segment> segment;
  std::vector<std::uint32_t> ordinals;
};

/// Exact search over everything a snapshot shows, but for rows that turn out to be damaged, which
/// `damaged` receives. `queries`: whole vectors, one after another.
Result<SearchAnswer> search_flat(const SnapshotState& snapshot, const IndexShape& shape,
                                 std::span<const float> queries, const SearchOptions& options,
                                 MemoryBudget& budget, unsigned threads, ReadCounters& counters,
                                 std::vector<DamagedRows>& damaged);

}  // namespace similis::engine
