#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/index.h"
#include "engine/scratch_pool.h"
#include "engine/segment.h"
#include "engine/thread_pool.h"

namespace similis::engine {

/// Checks one vector and writes it as fp16: `metric` cosine normalises it first. Returns the norm
/// of what was stored. `position` names it in errors ("row 3").
Result<float> encode_vector(std::span<const float> vector, Metric metric, std::uint32_t dimensions,
                            std::span<std::uint16_t> out, const std::string& position);

/// Exact search over everything a snapshot shows. `queries`: whole vectors, one after another.
Result<SearchAnswer> search_flat(const SnapshotState& snapshot, const IndexShape& shape,
                                 std::span<const float> queries, const SearchOptions& options,
                                 ThreadPool& pool, ScratchPool& scratch, ReadCounters& counters);

}  // namespace similis::engine
