#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/graph/segment_graph.h"
#include "engine/graph/walk.h"
#include "engine/search.h"
#include "engine/storage/storage.h"
#include "engine/top_k.h"
#include "engine/walk_plan.h"

namespace similis::engine {

/// A segment's graph in one search.
struct GraphSource {
  const SegmentView* view = nullptr;
  std::vector<std::uint64_t> wanted = {};  // with a filter: bit a row that may be returned
  std::uint32_t matches = 0;               // with a filter: how many
  std::shared_ptr<const PartList> parts = {};
};

/// What one thread needs to search graphs; goes from search to search.
class GraphWorker;
class GraphWorkers {
 public:
  explicit GraphWorkers(Storage& storage);
  ~GraphWorkers();
  std::unique_ptr<GraphWorker> take();
  void give(std::unique_ptr<GraphWorker> worker);

 private:
  static constexpr std::size_t kKeptMax = 16;
  Storage& storage_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<GraphWorker>> free_;
};

/// Walks over graphs in memory, then one wave of reads for the rows that the codes leave in doubt,
/// whose exact scores decide. A thread has several queries under way, so that it computes while
/// others' reads are.
class GraphSearch {
 public:
  GraphSearch(const SnapshotState& snapshot, const IndexShape& shape, const SearchOptions& options,
              std::vector<GraphSource> sources, GraphWorkers& workers);

  /// As FlatSearch::run, but that queries need not be of length 1. `tops`: what was found among
  /// rows that no graph covers.
  Status run(std::span<const float* const> queries, ThreadPool& pool, unsigned threads,
             ReadCounters& counters, std::vector<TopK>& tops, std::vector<DamagedRows>& damaged);

 private:
  /// A row that may be among the nearest, by its code.
  struct Estimate {
    float score = 0;
    float margin = 0;      // that the score may be wrong by
    bool certain = false;  // it need not be read
    std::uint32_t source = 0;
    std::uint32_t node = 0;  // the row in the graph
    std::uint32_t row = 0;   // it, or one of equal bytes, that may be returned
  };
  struct Flight;
  struct Walker;
  class Landing;
  friend class GraphWorker;

  Status mark();
  Status work(GraphWorker& worker);
  Status begin(GraphWorker& worker, std::span<Flight> flights, AlignedBuffer& buffer,
               std::size_t first);
  [[nodiscard]] WalkPlan plan(const GraphSource& source) const;
  Status gather(GraphWorker& worker, std::span<Walker> walkers,
                std::span<const float* const> queries, std::uint32_t source);
  void turn(GraphWorker& worker, std::span<Walker> walkers, std::span<const float* const> queries,
            const SegmentGraph& graph) const;
  /// The query as it is compared: with metric cosine a copy of length 1.
  const float* prepared(Flight& flight) const;
  Status collect(Walker& walker, std::uint32_t source, WalkPlan plan, bool walked) const;
  void choose(Walker& walker, const std::vector<Hit>& known) const;
  /// Bytes that its reads need.
  Result<std::size_t> find_vectors(Flight& flight, std::span<const Estimate> chosen);
  void place_reads(Flight& flight, std::byte* at);
  Status finish(Flight& flight);
  Status find_copy(const GraphSource& source, std::uint32_t node, std::uint32_t lost,
                   std::vector<std::byte>& out) const;
  static bool is_read(std::span<const Flight> flights);
  /// `lost`: a row of them that is damaged.
  void offer(TopK& top, const GraphSource& source, std::uint32_t node, Hit hit,
             std::optional<std::uint32_t> lost = {}) const;
  void offer_zeros(TopK& top) const;
  /// The node, or the first of its copies, that may be returned.
  [[nodiscard]] std::optional<std::uint32_t> wanted_of(const GraphSource& source,
                                                       std::uint32_t node) const;
  [[nodiscard]] bool is_wanted(const GraphSource& source, std::uint32_t row) const;

  const SnapshotState& snapshot_;
  const IndexShape& shape_;
  const SearchOptions& options_;
  std::vector<GraphSource> sources_;
  GraphWorkers& workers_;
  std::span<const float* const> queries_;
  std::size_t group_ = 1;  // queries a thread takes at a time
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  ReadCounters* counters_ = nullptr;
  std::vector<TopK>* tops_ = nullptr;
  std::mutex mutex_;
  std::vector<DamagedRows>* damaged_ = nullptr;
  Status status_;
};

}  // namespace similis::engine
