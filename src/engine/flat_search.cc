#include "engine/flat_search.h"

#include <algorithm>

#include "engine/simd/kernels.h"

namespace similis::engine {
namespace {

// Below this share of a chunk's rows only the wanted ones are read from disk.
constexpr std::uint32_t kSparseShare = 8;
// Rows this near on disk are read in one request.
constexpr std::uint64_t kGapBytesMax = 64 << 10;
// What is worth another thread.
constexpr std::uint64_t kBytesAThread = 512 << 10;

}  // namespace

FlatSearch::FlatSearch(const SnapshotState& snapshot, const IndexShape& shape,
                       const SearchOptions& options, std::span<const Range> ranges,
                       ScratchPool& scratch)
    : snapshot_(snapshot), shape_(shape), options_(options), scratch_(scratch) {
  for (const Range& range : ranges) {
    const Geometry& geometry = range.view->segment->geometry();
    const std::uint64_t chunk_rows = geometry.chunk_rows;
    for (std::uint64_t first = range.first; first < range.view->rows;) {
      const std::uint64_t chunk = first / chunk_rows;
      const std::uint64_t end = std::min<std::uint64_t>((chunk + 1) * chunk_rows, range.view->rows);
      units_.push_back({range.view, static_cast<std::uint32_t>(chunk),
                        static_cast<std::uint32_t>(first - chunk * chunk_rows),
                        static_cast<std::uint32_t>(end - chunk * chunk_rows)});
      bytes_ += (end - first) * geometry.stride_bytes;
      first = end;
    }
  }
}

Status FlatSearch::run(std::span<const float* const> queries, ThreadPool& pool, unsigned threads,
                       ReadCounters& counters, std::vector<TopK>& tops,
                       std::vector<DamagedRows>& damaged) {
  queries_ = queries;
  counters_ = &counters;
  damaged_ = &damaged;
  const auto workers = static_cast<unsigned>(std::min<std::uint64_t>(
      {threads, units_.size(), 1 + bytes_ * queries.size() / kBytesAThread}));
  pool.run(std::max(1U, workers), [&] { work(tops); });
  return std::move(status_);
}

void FlatSearch::work(std::vector<TopK>& tops) {
  Local local;
  local.tops.assign(queries_.size(), TopK(options_.k));
  local.scores.resize(kTileRows * queries_.size());
  for (;;) {
    const std::size_t next = next_.fetch_add(1, std::memory_order_relaxed);
    if (next >= units_.size() || failed_.load(std::memory_order_relaxed)) break;
    Status status = options_.call.check();
    if (status.ok()) status = scan(units_[next], local);
    if (!status.ok()) {
      failed_.store(true, std::memory_order_relaxed);
      std::lock_guard lock(mutex_);
      if (status_.ok()) status_ = std::move(status);
      return;
    }
  }
  std::lock_guard lock(mutex_);
  for (std::size_t q = 0; q < tops.size(); ++q) tops[q].merge(local.tops[q]);
}

Status FlatSearch::scan(const Unit& unit, Local& local) {
  const Geometry& geometry = unit.view->segment->geometry();
  const Chunk& chunk = *(*unit.view->chunks)[unit.chunk];
  local.wanted.assign((unit.end + 63) / 64, 0);
  const std::uint32_t wanted = mark_wanted(*unit.view, unit.chunk, unit.begin, unit.end,
                                           snapshot_.lsn, options_.filter, local.wanted);
  if (wanted == 0) return {};
  if (const auto block = chunk.block()) {
    for_set_bits(local.wanted, unit.begin, unit.end, [&](std::uint32_t row) {
      add(local, chunk.ids[row], block->data() + std::size_t{row} * geometry.stride_bytes);
    });
    flush(local);
    return {};
  }
  return stream(unit, chunk, wanted, local);
}

/// Scores rows that are on disk only: the whole run of each part, or, when few are wanted, runs
/// of wanted rows that lie near one another.
Status FlatSearch::stream(const Unit& unit, const Chunk& chunk, std::uint32_t wanted,
                          Local& local) {
  const Segment& segment = *unit.view->segment;
  const Geometry& geometry = segment.geometry();
  const std::uint32_t chunk_begin = unit.chunk * geometry.chunk_rows;
  const bool sparse = wanted < (unit.end - unit.begin) / kSparseShare;
  const auto gap_rows =
      static_cast<std::uint32_t>(kGapBytesMax / geometry.slot_bytes * geometry.rows_per_slot);
  ScratchPool::Lease scratch(scratch_);
  std::vector<std::uint32_t> damaged;
  const auto parts = segment.parts();
  for (const auto& part : *parts) {
    const std::uint64_t part_end = std::uint64_t{part->first_ordinal()} + part->rows();
    if (part_end <= chunk_begin || part->first_ordinal() >= chunk_begin + unit.end) continue;
    const std::uint32_t begin = std::max(part->first_ordinal(), chunk_begin) - chunk_begin;
    const auto end =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(part_end - chunk_begin, unit.end));

    std::uint32_t run_begin = 0, run_end = 0;  // rows of the chunk; empty: none yet
    auto read_run = [&]() -> Status {
      if (run_begin == run_end) return {};
      TRY(options_.call.check());
      const std::uint32_t to_part = chunk_begin - part->first_ordinal();  // modulo 2^32
      Part::Rows read;
      damaged.clear();
      TRY(part->read_rows(run_begin + to_part, run_end - run_begin, *scratch, read, counters_,
                          damaged));
      if (!damaged.empty()) {
        for (std::uint32_t& row : damaged) {
          const std::uint32_t in_chunk = row - to_part;
          local.wanted[in_chunk / 64] &= ~(std::uint64_t{1} << (in_chunk % 64));
          row += part->first_ordinal();
        }
        std::lock_guard lock(mutex_);
        damaged_->push_back({unit.view->segment, damaged});
      }
      for_set_bits(local.wanted, run_begin, run_end, [&](std::uint32_t row) {
        add(local, chunk.ids[row], read.row(geometry, row + to_part));
      });
      flush(local);  // before the next run overwrites the scratch buffer
      return {};
    };
    Status status;
    for_set_bits(local.wanted, begin, end, [&](std::uint32_t row) {
      if (!status.ok()) return;
      if (sparse && run_begin != run_end && row - run_end > gap_rows) {
        status = read_run();
        run_begin = run_end = 0;
      }
      if (run_begin == run_end) run_begin = row;
      run_end = row + 1;
    });
    TRY(std::move(status));
    TRY(read_run());
  }
  return {};
}

void FlatSearch::add(Local& local, std::uint64_t id, const std::byte* vector) {
  local.ids[local.count] = id;
  local.rows[local.count] = reinterpret_cast<const std::uint16_t*>(vector);
  if (++local.count == kTileRows) flush(local);
}

void FlatSearch::flush(Local& local) {
  if (local.count == 0) return;
  const auto& kernels = simd::kernels();
  const std::size_t queries = queries_.size();
  const auto pairs = shape_.metric == Metric::l2 ? kernels.l2 : kernels.dot;
  pairs(local.rows, local.count, queries_.data(), queries, shape_.dimensions, local.scores.data());
  for (std::size_t q = 0; q < queries; ++q) {
    TopK& top = local.tops[q];
    for (std::size_t r = 0; r < local.count; ++r) {
      const float raw = local.scores[r * queries + q];
      const float score = shape_.metric == Metric::l2 ? -raw : raw;
      if (score >= top.floor()) top.offer(local.ids[r], score);
    }
  }
  local.count = 0;
}

}  // namespace similis::engine
