#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/index.h"
#include "engine/memory_budget.h"
#include "engine/memory_plan.h"
#include "engine/storage/format.h"
#include "engine/storage/part.h"

namespace similis::engine {

/// The vectors of one chunk, `stride_bytes` apart.
class VectorBlock {
 public:
  /// Filled at once: the kernel may give it huge pages, which makes a search a fifth quicker. One
  /// that fills row by row takes pages as it goes.
  enum class Filled { at_once, by_and_by };
  VectorBlock(Reserved memory, Filled filled);
  VectorBlock(const VectorBlock&) = delete;
  VectorBlock& operator=(const VectorBlock&) = delete;
  [[nodiscard]] std::byte* data() const { return buffer_.data(); }

 private:
  Reserved memory_;
  AlignedBuffer buffer_;
};

inline constexpr std::uint64_t kAlive = UINT64_MAX;

/// The write that erased or replaced each row of a chunk; kAlive when none did. Takes memory once
/// one did. One thread writes at a time, any may read.
class Deaths {
 public:
  explicit Deaths(std::uint32_t rows) : rows_(rows) {}
  [[nodiscard]] std::uint64_t of(std::uint32_t row) const {
    const Lsn* const lsns = lsns_.load(std::memory_order_acquire);
    return lsns == nullptr ? kAlive : lsns[row].load(std::memory_order_relaxed);
  }
  /// The bytes of memory that it took in addition.
  std::uint64_t set(std::uint32_t row, std::uint64_t lsn) {
    std::uint64_t taken = 0;
    if (!owned_) {
      owned_ = std::make_unique<Lsn[]>(rows_);
      for (std::uint32_t i = 0; i < rows_; ++i) owned_[i].store(kAlive, std::memory_order_relaxed);
      lsns_.store(owned_.get(), std::memory_order_release);
      taken = rows_ * sizeof(Lsn);
    }
    owned_[row].store(lsn, std::memory_order_relaxed);
    return taken;
  }

 private:
  using Lsn = std::atomic<std::uint64_t>;
  std::uint32_t rows_;
  std::unique_ptr<Lsn[]> owned_;
  std::atomic<Lsn*> lsns_{nullptr};
};

/// A run of chunk_rows rows of a segment; never moves. The vectors may be absent (on disk only).
class Chunk {
 public:
  explicit Chunk(std::uint32_t rows) : ids(std::make_unique<std::uint64_t[]>(rows)), deaths(rows) {}

  [[nodiscard]] std::shared_ptr<VectorBlock> block() const {
    std::lock_guard lock(mutex_);
    return block_;
  }
  /// Null drops the vectors from memory; readers that hold the block keep it.
  void set_block(std::shared_ptr<VectorBlock> block) {
    std::lock_guard lock(mutex_);
    block_.swap(block);
  }

  const std::unique_ptr<std::uint64_t[]> ids;
  Deaths deaths;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<VectorBlock> block_;
};

class Segment;
using ChunkList = std::vector<std::shared_ptr<Chunk>>;
using PartList = std::vector<std::shared_ptr<const Part>>;

struct SegmentGraph;  // graph/segment_graph.h

/// What a snapshot holds of a segment: rows below the limit never move and never change, but that
/// `deaths` may come to hold a write later than the snapshot's.
struct SegmentView {
  std::shared_ptr<const Segment> segment;
  std::shared_ptr<const ChunkList> chunks;
  std::uint32_t rows = 0;
  std::uint32_t dead = 0;                     // of the rows, when this was made
  std::shared_ptr<const SegmentGraph> graph;  // of the first rows; may be null
};

struct SnapshotState {
  std::vector<SegmentView> segments;
  std::uint64_t lsn = 0;
};

/// The file that a segment's graph lies in, or one of fewer rows that it grew from.
struct StoredGraph {
  Manifest::Derived record;
  GraphSize size;
};

/// Rows in ordinal order: in parts on disk up to persisted_rows(), behind that in memory and the
/// log only. Members marked (writer) belong to whoever holds the index's commit lock.
class Segment {
 public:
  Segment(std::uint32_t number, const Geometry& geometry, std::unique_ptr<AttributeColumns> columns,
          std::shared_ptr<MemoryBudget> budget);

  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] const Geometry& geometry() const { return geometry_; }
  [[nodiscard]] AttributeColumns& columns() { return *columns_; }
  [[nodiscard]] const AttributeColumns& columns() const { return *columns_; }

  // --- (writer)
  /// A new row with its vector; in memory until a part holds it.
  std::uint32_t append(std::uint64_t id, std::span<const std::byte> vector);
  /// A row that a part holds, its vector not in memory.
  std::uint32_t append_stored(std::uint64_t id, bool dead);
  /// True when the row was alive.
  bool kill(std::uint32_t ordinal, std::uint64_t lsn);
  /// The row's state differs from what parts hold; the next checkpoint writes it.
  void mark_changed(std::uint32_t ordinal);
  [[nodiscard]] std::uint32_t rows() const { return rows_; }
  [[nodiscard]] std::uint32_t dead() const { return dead_; }
  /// Whether any row ever died, damaged ones included. Any thread.
  [[nodiscard]] bool has_dead() const { return has_dead_.load(std::memory_order_relaxed); }
  /// Whether the next row comes behind others, in its chunk, whose vectors are on disk alone: they
  /// are to be loaded before it is appended.
  [[nodiscard]] bool tail_is_absent() const {
    return rows_ % geometry_.chunk_rows != 0 && !chunks_->back()->block();
  }
  /// Of ids and deaths.
  [[nodiscard]] std::uint64_t table_bytes() const {
    return chunks_->size() * std::uint64_t{geometry_.chunk_rows} * sizeof(std::uint64_t) +
           death_bytes_;
  }
  /// Some of what its parts hold is not what was written: it is to be written anew.
  [[nodiscard]] bool damaged() const { return damaged_; }
  void set_damaged(bool damaged) {
    damaged_ = damaged;
    rests_until_ = {};
  }
  /// After a compaction of it failed: two seconds, twice as long each time, ten minutes at most.
  void rest() {
    rest_ = std::clamp<std::chrono::seconds>(2 * rest_, kRestMin, kRestMax);
    rests_until_ = std::chrono::steady_clock::now() + rest_;
  }
  [[nodiscard]] std::chrono::steady_clock::time_point rests_until() const { return rests_until_; }
  [[nodiscard]] bool sealed() const { return sealed_; }
  void seal() { sealed_ = true; }
  [[nodiscard]] std::uint32_t persisted_rows() const { return persisted_rows_; }
  /// In memory; null: there is none, or no room for it.
  void set_graph(std::shared_ptr<const SegmentGraph> graph) { graph_ = std::move(graph); }
  [[nodiscard]] const std::shared_ptr<const SegmentGraph>& graph() const { return graph_; }
  void set_stored_graph(const std::optional<StoredGraph>& stored) { stored_graph_ = stored; }
  [[nodiscard]] const std::optional<StoredGraph>& stored_graph() const { return stored_graph_; }
  /// Of the graph in memory, or else of the one in the file.
  [[nodiscard]] GraphSize graph_size() const;
  [[nodiscard]] SegmentView view(std::shared_ptr<const Segment> self) const;
  [[nodiscard]] bool alive(std::uint32_t ordinal) const;
  [[nodiscard]] std::uint64_t id(std::uint32_t ordinal) const;
  /// Hands over the changed ordinals below persisted_rows(), ascending, each once.
  std::vector<std::uint32_t> take_changed();
  /// From here on changed ordinals are also gathered for the compaction that is reading this.
  void start_tracking() { tracked_.emplace(); }
  std::vector<std::uint32_t> stop_tracking();

  // --- any thread
  /// With the count of rows they hold in all (writer).
  void set_parts(std::shared_ptr<const PartList> parts, std::uint32_t persisted_rows);
  [[nodiscard]] std::shared_ptr<const PartList> parts() const;
  /// Reads the vectors of a chunk whose rows all lie in parts, into a new block. `memory`: a
  /// chunk's; `rows`: how many of the chunk exist. Ordinals whose bytes are not what was written
  /// are added to `damaged`.
  Result<std::shared_ptr<VectorBlock>> read_block(Reserved memory, std::uint32_t chunk,
                                                  std::uint32_t rows, AlignedBuffer& scratch,
                                                  std::vector<std::uint32_t>& damaged) const;
  /// One row's vector, from memory or its part. `out` stays empty when its bytes are not what was
  /// written. `chunks`: of a view.
  Status read_row(const ChunkList& chunks, std::uint32_t ordinal, AlignedBuffer& scratch,
                  std::vector<std::byte>& out, ReadCounters* counters) const;

 private:
  Chunk& tail();

  const std::uint32_t number_;
  const Geometry geometry_;
  const std::unique_ptr<AttributeColumns> columns_;
  const std::shared_ptr<MemoryBudget> budget_;

  std::shared_ptr<ChunkList> chunks_ = std::make_shared<ChunkList>();
  mutable bool chunks_viewed_ = false;  // a snapshot may hold the list: it is copied to grow
  std::uint32_t rows_ = 0;
  std::uint32_t dead_ = 0;
  std::uint64_t death_bytes_ = 0;
  std::atomic<bool> has_dead_{false};
  bool damaged_ = false;
  static constexpr std::chrono::seconds kRestMin{2}, kRestMax{600};
  std::chrono::seconds rest_{};
  std::chrono::steady_clock::time_point rests_until_{};
  bool sealed_ = false;
  std::uint32_t persisted_rows_ = 0;
  std::vector<std::uint32_t> changed_;
  std::optional<std::vector<std::uint32_t>> tracked_;
  std::shared_ptr<const SegmentGraph> graph_;
  std::optional<StoredGraph> stored_graph_;

  mutable std::mutex parts_mutex_;
  std::shared_ptr<const PartList> parts_ = std::make_shared<PartList>();
};

}  // namespace similis::engine
