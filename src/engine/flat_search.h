#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/index.h"
#include "engine/scratch_pool.h"
#include "engine/search.h"
#include "engine/segment.h"
#include "engine/thread_pool.h"
#include "engine/top_k.h"

namespace similis::engine {

/// Comparing with every row: chunks are taken from a counter by whichever thread is free.
class FlatSearch {
 public:
  /// The rows of a segment from `first` on.
  struct Range {
    const SegmentView* view;
    std::uint32_t first;
  };
  FlatSearch(const SnapshotState& snapshot, const IndexShape& shape, const SearchOptions& options,
             std::span<const Range> ranges, ScratchPool& scratch);

  /// `queries`: of cosine normalised. Offers the best rows to `tops`, one for each.
  Status run(std::span<const float* const> queries, ThreadPool& pool, unsigned threads,
             ReadCounters& counters, std::vector<TopK>& tops, std::vector<DamagedRows>& damaged);

 private:
  // Rows scored at once: of 1280 dimensions 160 KB, which stay in the second-level cache while
  // further queries of the batch go over them.
  static constexpr std::size_t kTileRows = 64;

  struct Unit {
    const SegmentView* view;
    std::uint32_t chunk;
    std::uint32_t begin, end;  // rows of the chunk
  };

  /// What one thread gathers.
  struct Local {
    std::vector<TopK> tops;
    std::vector<std::uint64_t> wanted;  // bit a row of the chunk
    std::vector<float> scores;
    const std::uint16_t* rows[kTileRows];
    std::uint64_t ids[kTileRows];
    std::size_t count = 0;
  };

  void work(std::vector<TopK>& tops);
  Status scan(const Unit& unit, Local& local);
  Status stream(const Unit& unit, const Chunk& chunk, std::uint32_t wanted, Local& local);
  void add(Local& local, std::uint64_t id, const std::byte* vector);
  void flush(Local& local);

  const SnapshotState& snapshot_;
  const IndexShape& shape_;
  const SearchOptions& options_;
  ScratchPool& scratch_;
  std::span<const float* const> queries_;
  std::vector<Unit> units_;
  std::uint64_t bytes_ = 0;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  ReadCounters* counters_ = nullptr;
  std::mutex mutex_;
  std::vector<DamagedRows>* damaged_ = nullptr;
  Status status_;
};

}  // namespace similis::engine
