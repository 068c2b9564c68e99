#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
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
/// The length of a vector as it is stored.
float stored_norm(std::span<const std::uint16_t> halves);

/// `vector` scaled to length 1, zeros for a vector without length. `out`: as long.
void normalise(std::span<const float> vector, std::span<float> out);

/// Rows that a search met on disk and that are not what was written.
struct DamagedRows {
  std::shared_ptr<const Segment> segment;
  std::vector<std::uint32_t> ordinals;
};

/// Sets the bits of rows [begin, end) of a chunk that live as of `lsn` and that pass the filter;
/// returns how many. `wanted`: zeros, a bit a row of the chunk, from its first to `end`.
std::uint32_t mark_wanted(const SegmentView& view, std::uint32_t chunk, std::uint32_t begin,
                          std::uint32_t end, std::uint64_t lsn, const RowFilter& filter,
                          std::span<std::uint64_t> wanted);

/// Calls each(i) for the set bits of [begin, end), ascending.
template <typename Each>
void for_set_bits(std::span<const std::uint64_t> words, std::uint32_t begin, std::uint32_t end,
                  Each each) {
  for (std::uint32_t w = begin / 64; w * 64 < end; ++w) {
    std::uint64_t bits = words[w];
    if (w * 64 < begin) bits &= ~std::uint64_t{0} << (begin - w * 64);
    if (end - w * 64 < 64) bits &= (std::uint64_t{1} << (end - w * 64)) - 1;
    for (; bits != 0; bits &= bits - 1)
      each(w * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
  }
}

class GraphWorkers;  // graph_search.h

/// What searches share.
struct SearchMeans {
  ThreadPool& pool;
  unsigned threads;  // of one search
  ScratchPool& scratch;
  GraphWorkers& graph_workers;
  ReadCounters& counters;
};

/// Searches everything a snapshot shows: by graphs what they cover, comparing with every other row,
/// or with all of them when the recall asked for is 1. Rows that turn out to be damaged are left
/// out; `damaged` receives them. `queries`: whole vectors, one after another.
Result<SearchAnswer> search_snapshot(const SnapshotState& snapshot, const IndexShape& shape,
                                     std::span<const float> queries, const SearchOptions& options,
                                     const SearchMeans& means, std::vector<DamagedRows>& damaged);

}  // namespace similis::engine
