#include "engine/search.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <mutex>
#include <string>

#include "engine/simd/kernels.h"
#include "engine/top_k.h"

namespace similis::engine {
namespace {

constexpr float kHalfMax = 65504;
// Rows scored at once: of 1280 dimensions 160 KB, which stay in the second-level cache while
// further queries of the batch go over them.
constexpr std::size_t kTileRows = 64;
// Below this share of a chunk's rows only the wanted ones are read from disk.
constexpr std::uint32_t kSparseShare = 8;
// Rows this near on disk are read in one request.
constexpr std::uint64_t kGapBytesMax = 64 << 10;
// What is worth another thread.
constexpr std::uint64_t kBytesAThread = 512 << 10;

Status check_values(std::span<const float> vector, std::uint32_t dimensions,
                    const std::string& position) {
  if (vector.size() != dimensions) {
    return Error(ErrorCode::invalid_argument,
                 position + ": its vector has " + std::to_string(vector.size()) +
                     " dimensions, this index " + std::to_string(dimensions));
  }
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (!(std::abs(vector[i]) <= kHalfMax)) {
      return Error(ErrorCode::invalid_argument,
                   position + ": component " + std::to_string(i) + " is " +
                       (std::isfinite(vector[i]) ? "beyond ±65504, the range of fp16"
                                                 : "not a finite number"));
    }
  }
  return {};
}

double norm_of(std::span<const float> vector) {
  double sum = 0;
  for (const float v : vector) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

/// `vector` scaled to length 1, zeros for a vector without length.
std::vector<float> normalised(std::span<const float> vector) {
  const double norm = norm_of(vector);
  std::vector<float> out(vector.size());
  if (norm > 0)
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(vector[i] / norm);
  return out;
}

/// One search at work: chunks are taken from a counter by whichever thread is free.
class FlatSearch {
 public:
  FlatSearch(const SnapshotState& snapshot, const IndexShape& shape, const SearchOptions& options,
             ScratchPool& scratch)
      : snapshot_(snapshot), shape_(shape), options_(options), scratch_(scratch) {
    for (const auto& view : snapshot.segments) {
      const auto chunk_rows = view.segment->geometry().chunk_rows;
      for (std::uint32_t first = 0; first < view.rows;) {
        const std::uint32_t rows = std::min(chunk_rows, view.rows - first);
        units_.push_back({&view, first / chunk_rows, rows});
        bytes_ += std::uint64_t{rows} * view.segment->geometry().stride_bytes;
        if (view.rows - first <= chunk_rows) break;
        first += chunk_rows;
      }
    }
  }

  Result<SearchAnswer> run(std::span<const float> queries, ThreadPool& pool, unsigned threads,
                           ReadCounters& total, std::vector<DamagedRows>& damaged) {
    const std::size_t count = queries.size() / shape_.dimensions;
    for (std::size_t q = 0; q < count; ++q) {
      auto query = queries.subspan(q * shape_.dimensions, shape_.dimensions);
      if (shape_.metric == Metric::cosine) {
        owned_.push_back(normalised(query));
        query = owned_.back();
      }
      queries_.push_back(query.data());
    }
    merged_.assign(count, TopK(options_.k));
    const auto workers = static_cast<unsigned>(
        std::min<std::uint64_t>({threads, units_.size(), 1 + bytes_ * count / kBytesAThread}));
    pool.run(std::max(1U, workers), [&] { work(); });
    total.requests.fetch_add(counters_.requests, std::memory_order_relaxed);
    total.bytes.fetch_add(counters_.bytes, std::memory_order_relaxed);
    damaged = std::move(damaged_);
    TRY(std::move(status_));
    SearchAnswer answer;
    for (auto& top : merged_) answer.hits.push_back(top.take());
    if (shape_.metric == Metric::cosine) {
      // Halves of a vector's components make it a little longer or shorter than one.
      for (auto& hits : answer.hits)
        for (auto& hit : hits) hit.score = std::clamp(hit.score, -1.0F, 1.0F);
    }
    answer.reads = counters_.requests;
    answer.bytes_read = counters_.bytes;
    return answer;
  }

 private:
  struct Unit {
    const SegmentView* view;
    std::uint32_t chunk;
    std::uint32_t rows;
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

  void work() {
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
    for (std::size_t q = 0; q < merged_.size(); ++q) merged_[q].merge(local.tops[q]);
  }

  /// Marks the rows of the unit that live in this snapshot and pass the filter; returns how many.
  std::uint32_t mark_wanted(const Unit& unit, const Chunk& chunk,
                            std::vector<std::uint64_t>& wanted) const {
    const std::size_t words = (unit.rows + 63) / 64;
    wanted.assign(words, 0);
    if (options_.filter) {
      options_.filter(unit.view->segment->columns(),
                      unit.chunk * unit.view->segment->geometry().chunk_rows, unit.rows, wanted);
    } else {
      std::fill(wanted.begin(), wanted.end(), ~std::uint64_t{0});
    }
    std::uint32_t count = 0;
    for (std::size_t w = 0; w < words; ++w) {
      if (wanted[w] == 0) continue;
      const auto in_word = std::min<std::size_t>(64, unit.rows - w * 64);
      std::uint64_t alive = 0;
      for (std::size_t i = 0; i < in_word; ++i) {
        const bool lives = chunk.death[w * 64 + i].load(std::memory_order_relaxed) > snapshot_.lsn;
        alive |= static_cast<std::uint64_t>(lives) << i;
      }
      wanted[w] &= alive;
      count += static_cast<std::uint32_t>(std::popcount(wanted[w]));
    }
    return count;
  }

  /// Calls each(row in chunk) for the wanted rows of [begin, end), ascending.
  template <typename Each>
  static void for_wanted(const std::vector<std::uint64_t>& wanted, std::uint32_t begin,
                         std::uint32_t end, Each each) {
    for (std::uint32_t w = begin / 64; w * 64 < end; ++w) {
      std::uint64_t bits = wanted[w];
      if (w * 64 < begin) bits &= ~std::uint64_t{0} << (begin - w * 64);
      if (end - w * 64 < 64) bits &= (std::uint64_t{1} << (end - w * 64)) - 1;
      for (; bits != 0; bits &= bits - 1)
        each(w * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
  }

  Status scan(const Unit& unit, Local& local) {
    const Segment& segment = *unit.view->segment;
    const Geometry& geometry = segment.geometry();
    const Chunk& chunk = *(*unit.view->chunks)[unit.chunk];
    const std::uint32_t wanted = mark_wanted(unit, chunk, local.wanted);
    if (wanted == 0) return {};
    if (const auto block = chunk.block()) {
      for_wanted(local.wanted, 0, unit.rows, [&](std::uint32_t row) {
        add(local, chunk.ids[row], block->data() + std::size_t{row} * geometry.stride_bytes);
      });
      flush(local);
      return {};
    }
    return stream(unit, chunk, wanted, local);
  }

  /// Scores rows that are on disk only: the whole run of each part, or, when few are wanted, runs
  /// of wanted rows that lie near one another.
  Status stream(const Unit& unit, const Chunk& chunk, std::uint32_t wanted, Local& local) {
    const Segment& segment = *unit.view->segment;
    const Geometry& geometry = segment.geometry();
    const std::uint32_t chunk_begin = unit.chunk * geometry.chunk_rows;
    const bool sparse = wanted < unit.rows / kSparseShare;
    const auto gap_rows =
        static_cast<std::uint32_t>(kGapBytesMax / geometry.slot_bytes * geometry.rows_per_slot);
    ScratchPool::Lease scratch(scratch_);
    std::vector<std::uint32_t> damaged;
    const auto parts = segment.parts();
    for (const auto& part : *parts) {
      const std::uint64_t part_end = std::uint64_t{part->first_ordinal()} + part->rows();
      if (part_end <= chunk_begin || part->first_ordinal() >= chunk_begin + unit.rows) continue;
      const std::uint32_t begin = std::max(part->first_ordinal(), chunk_begin) - chunk_begin;
      const auto end =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(part_end - chunk_begin, unit.rows));

      std::uint32_t run_begin = 0, run_end = 0;  // rows of the chunk; empty: none yet
      auto read_run = [&]() -> Status {
        if (run_begin == run_end) return {};
        TRY(options_.call.check());
        const std::uint32_t to_part = chunk_begin - part->first_ordinal();  // modulo 2^32
        Part::Rows read;
        damaged.clear();
        TRY(part->read_rows(run_begin + to_part, run_end - run_begin, *scratch, read, &counters_,
                            damaged));
        if (!damaged.empty()) {
          for (std::uint32_t& row : damaged) {
            const std::uint32_t in_chunk = row - to_part;
            local.wanted[in_chunk / 64] &= ~(std::uint64_t{1} << (in_chunk % 64));
            row += part->first_ordinal();
          }
          std::lock_guard lock(mutex_);
          damaged_.push_back({unit.view->segment, damaged});
        }
        for_wanted(local.wanted, run_begin, run_end, [&](std::uint32_t row) {
          add(local, chunk.ids[row], read.row(geometry, row + to_part));
        });
        flush(local);  // before the next run overwrites the scratch buffer
        return {};
      };
      Status status;
      for_wanted(local.wanted, begin, end, [&](std::uint32_t row) {
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

  void add(Local& local, std::uint64_t id, const std::byte* vector) {
    local.ids[local.count] = id;
    local.rows[local.count] = reinterpret_cast<const std::uint16_t*>(vector);
    if (++local.count == kTileRows) flush(local);
  }

  void flush(Local& local) {
    if (local.count == 0) return;
    const auto& kernels = simd::kernels();
    const std::size_t queries = queries_.size();
    const auto pairs = shape_.metric == Metric::l2 ? kernels.l2 : kernels.dot;
    pairs(local.rows, local.count, queries_.data(), queries, shape_.dimensions,
          local.scores.data());
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

  const SnapshotState& snapshot_;
  const IndexShape& shape_;
  const SearchOptions& options_;
  ScratchPool& scratch_;
  std::vector<Unit> units_;
  std::uint64_t bytes_ = 0;
  std::vector<std::vector<float>> owned_;
  std::vector<const float*> queries_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  ReadCounters counters_;
  std::mutex mutex_;
  std::vector<TopK> merged_;
  std::vector<DamagedRows> damaged_;
  Status status_;
};

}  // namespace

Result<float> encode_vector(std::span<const float> vector, Metric metric, std::uint32_t dimensions,
                            std::span<std::uint16_t> out, const std::string& position) {
  TRY(check_values(vector, dimensions, position));
  const auto& kernels = simd::kernels();
  if (metric == Metric::cosine) {
    const auto unit = normalised(vector);
    kernels.to_half(unit.data(), unit.size(), out.data());
    return 1.0F;
  }
  kernels.to_half(vector.data(), vector.size(), out.data());
  return static_cast<float>(norm_of(vector));
}

Result<SearchAnswer> search_flat(const SnapshotState& snapshot, const IndexShape& shape,
                                 std::span<const float> queries, const SearchOptions& options,
                                 MemoryBudget& budget, unsigned threads, ReadCounters& counters,
                                 std::vector<DamagedRows>& damaged) {
  if (options.k < 1 || options.k > kSearchKMax) {
    return Error(ErrorCode::invalid_argument, "k is " + std::to_string(options.k) +
                                                  ", it must lie between 1 and " +
                                                  std::to_string(kSearchKMax));
  }
  if (queries.empty() || queries.size() % shape.dimensions != 0) {
    return Error(ErrorCode::invalid_argument, "the queries have " + std::to_string(queries.size()) +
                                                  " components, not a multiple of this index's " +
                                                  std::to_string(shape.dimensions) + " dimensions");
  }
  for (std::size_t q = 0; q * shape.dimensions < queries.size(); ++q)
    TRY(check_values(queries.subspan(q * shape.dimensions, shape.dimensions), shape.dimensions,
                     "query " + std::to_string(q)));
  TRY(options.call.check());
  return FlatSearch(snapshot, shape, options, budget.scratch())
      .run(queries, budget.pool(), threads, counters, damaged);
}

}  // namespace similis::engine
