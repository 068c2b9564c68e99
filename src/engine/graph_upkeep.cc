#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <optional>
#include <random>
#include <tuple>

#include "base/crc32c.h"
#include "base/log.h"
#include "engine/flat_search.h"
#include "engine/graph/build.h"
#include "engine/graph_search.h"
#include "engine/index_impl.h"
#include "engine/simd/kernels.h"

namespace similis::engine {
namespace {

// What the principal components are learnt from.
constexpr std::size_t kSampleRows = 8192;
constexpr std::uint64_t kSeed = 1;
// The leading coordinates, with eight bits each, hold three quarters of the variance of image
// features (docs/engine.md); the rest take two.
constexpr std::uint32_t kLead = 256;
constexpr std::uint32_t kTailBits = 2;
// Stored rows that searches are tried with, and what is tried.
constexpr std::size_t kTrials = 200;
constexpr std::size_t kTriedK[] = {10, 100};
constexpr std::size_t kTriedLists[][12] = {{20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400, 600},
                                           {120, 150, 200, 250, 300, 400, 500, 600, 800, 1000}};
constexpr float kRecallEnough = 0.9995F;
constexpr float kTie = 1e-6F;
// After a building the index rests so many times as long, but for what is urgent.
constexpr int kRestFactor = 10;

/// Tells rows of equal bytes from all others, but for chances that never come.
struct Fingerprint {
  std::uint64_t mixed = 0;
  std::uint32_t checksum = 0;
  friend auto operator<=>(const Fingerprint&, const Fingerprint&) = default;
};

Fingerprint fingerprint(std::span<const std::byte> bytes) {
  Fingerprint out{0x9e3779b97f4a7c15, crc32c(bytes)};
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
    out.mixed = (std::rotl(out.mixed, 23) ^ word) * 0xd6e8feb86659fd93;
  }
  return out;
}

}  // namespace

/// Builds the graph of a segment's first rows.
class GraphMaker {
 public:
  GraphMaker(IndexImpl& index, SegmentView view, std::uint32_t rows, std::uint64_t lsn,
             unsigned threads, const CallOptions& call)
      : index_(index),
        view_(std::move(view)),
        rows_(rows),
        threads_(threads),
        call_(call),
        geometry_(index.geometry) {
    view_.rows = rows;
    view_.graph = nullptr;
    state_.lsn = lsn;
  }

  Result<std::shared_ptr<const SegmentGraph>> make() {
    TRY(take_sample());
    if (sample_.empty()) sample_.resize(geometry_.dimensions);  // every row is dead: any frame fits
    const std::uint32_t lead = std::min(kLead, geometry_.dimensions / 64 * 64);
    Frame frame = Frame::learn(sample_, geometry_.dimensions, lead, kSeed);
    sample_ = {};
    TRY(check());
    const CodeLayout layout{lead, geometry_.dimensions - lead, kTailBits};
    CodeTable codes(layout, rows_);
    fingerprints_.resize(rows_);
    kinds_.assign(rows_, Kind::absent);
    TRY(for_chunks([&](std::uint32_t first, const Chunk& chunk, const VectorBlock& block,
                       std::uint32_t count) { encode(frame, codes, first, chunk, block, count); }));
    std::vector<SegmentGraph::Copy> copies = find_copies(codes);
    std::vector<std::uint32_t> members, zeros;
    for (std::uint32_t row = 0; row < rows_; ++row) {
      if (kinds_[row] == Kind::member) members.push_back(row);
      if (kinds_[row] == Kind::zero) zeros.push_back(row);
    }
    fingerprints_ = {};
    BuiltGraph built{Graph(0, 1), Graph::kNone};
    if (members.empty()) {
      built.graph = Graph(rows_, GraphOptions().degree);
    } else {
      ASSIGN_OR_RETURN(built, connect(codes, members));
    }
    auto out = std::make_shared<SegmentGraph>(SegmentGraph{std::move(frame),
                                                           std::move(codes),
                                                           std::move(built.graph),
                                                           built.entry,
                                                           std::move(copies),
                                                           std::move(zeros),
                                                           {}});
    if (!members.empty()) TRY(calibrate(*out, members));
    return std::shared_ptr<const SegmentGraph>(std::move(out));
  }

 private:
  enum class Kind : std::uint8_t { absent, member, copy, zero };

  Status check() const {
    if (index_.stopping) return Error(ErrorCode::cancelled, "the index is being closed");
    return call_.check();
  }

  [[nodiscard]] std::uint32_t chunk_count() const {
    return static_cast<std::uint32_t>((std::uint64_t{rows_} + geometry_.chunk_rows - 1) /
                                      geometry_.chunk_rows);
  }

  /// The vectors of a chunk, from memory or disk; damaged rows die of it.
  Result<std::shared_ptr<VectorBlock>> block_of(std::uint32_t number, AlignedBuffer& buffer) const {
    const Chunk& chunk = *(*view_.chunks)[number];
    if (auto block = chunk.block()) return block;
    const std::uint32_t count =
        std::min(geometry_.chunk_rows, rows_ - number * geometry_.chunk_rows);
    std::vector<std::uint32_t> damaged;
    index_.budget->reserve(geometry_.chunk_bytes());
    ASSIGN_OR_RETURN(auto block, view_.segment->read_block(number, count, buffer, damaged));
    if (!damaged.empty()) index_.drop_damaged(*view_.segment, damaged);
    return block;
  }

  /// Calls each(first row, chunk, vectors, rows) for all chunks, on several threads.
  template <typename Each>
  Status for_chunks(const Each& each) {
    std::atomic<std::uint32_t> next{0};
    std::mutex mutex;
    Status status;
    index_.budget->pool().run(threads_, [&] {
      ScratchPool::Lease buffer(index_.scratch);
      for (std::uint32_t c = next++; c < chunk_count(); c = next++) {
        Status here = check();
        if (here.ok()) {
          auto block = block_of(c, *buffer);
          if (block.ok()) {
            const std::uint32_t first = c * geometry_.chunk_rows;
            each(first, *(*view_.chunks)[c], **block,
                 std::min(geometry_.chunk_rows, rows_ - first));
            continue;
          }
          here = std::move(block).error();
        }
        std::lock_guard lock(mutex);
        status = std::move(here);
        next = chunk_count();
      }
    });
    return status;
  }

  static bool lives(const Chunk& chunk, std::uint32_t at) {
    return chunk.death[at].load(std::memory_order_relaxed) == kAlive;
  }
  [[nodiscard]] const std::uint16_t* vector(const VectorBlock& block, std::uint32_t at) const {
    return reinterpret_cast<const std::uint16_t*>(block.data() +
                                                  std::size_t{at} * geometry_.stride_bytes);
  }

  /// Rows spread evenly over the segment.
  Status take_sample() {
    const std::uint32_t step = std::max<std::uint32_t>(1, rows_ / kSampleRows);
    std::mutex mutex;
    return for_chunks([&](std::uint32_t first, const Chunk& chunk, const VectorBlock& block,
                          std::uint32_t count) {
      std::vector<float> here;
      for (std::uint32_t at = (step - first % step) % step; at < count; at += step) {
        if (!lives(chunk, at)) continue;
        here.resize(here.size() + geometry_.dimensions);
        simd::kernels().to_float(vector(block, at), geometry_.dimensions,
                                 here.data() + here.size() - geometry_.dimensions);
      }
      std::lock_guard lock(mutex);
      sample_.insert(sample_.end(), here.begin(), here.end());
    });
  }

  void encode(const Frame& frame, CodeTable& codes, std::uint32_t first, const Chunk& chunk,
              const VectorBlock& block, std::uint32_t count) {
    std::vector<float> values(geometry_.dimensions), turned(geometry_.dimensions);
    for (std::uint32_t at = 0; at < count; ++at) {
      if (!lives(chunk, at)) continue;
      simd::kernels().to_float(vector(block, at), geometry_.dimensions, values.data());
      const bool zero = std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
      if (zero && index_.shape.metric == Metric::cosine) {
        kinds_[first + at] = Kind::zero;
        continue;
      }
      kinds_[first + at] = Kind::member;
      fingerprints_[first + at] =
          fingerprint(std::as_bytes(std::span(vector(block, at), geometry_.dimensions)));
      frame.turn(values, true, turned);
      encode_record(codes.layout(), turned,
                    {codes.record(first + at), codes.layout().record_bytes()});
    }
  }

  /// Of rows of equal bytes the first stays a member.
  std::vector<SegmentGraph::Copy> find_copies(const CodeTable& codes) {
    std::vector<std::uint32_t> order;
    for (std::uint32_t row = 0; row < rows_; ++row)
      if (kinds_[row] == Kind::member) order.push_back(row);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::tie(fingerprints_[a], a) < std::tie(fingerprints_[b], b);
    });
    std::vector<SegmentGraph::Copy> copies;
    std::uint32_t original = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::uint32_t row = order[i];
      const bool same = i > 0 && fingerprints_[row] == fingerprints_[original] &&
                        std::memcmp(codes.record(row), codes.record(original),
                                    codes.layout().record_bytes()) == 0;
      if (!same) {
        original = row;
        continue;
      }
      kinds_[row] = Kind::copy;
      copies.push_back({original, row});
    }
    std::sort(copies.begin(), copies.end());
    return copies;
  }

  Result<BuiltGraph> connect(const CodeTable& codes, std::span<const std::uint32_t> members) {
    std::stop_source stop;
    const std::stop_callback cancelled(call_.cancel, [&] { stop.request_stop(); });
    return build_graph(codes, members, {}, index_.budget->pool(), threads_, stop.get_token(),
                       [&](std::uint32_t) {
                         if (!check().ok()) stop.request_stop();
                       });
  }

  /// Tries searches for stored rows, which are left out of the answers, against the truth.
  Status calibrate(SegmentGraph& graph, std::span<const std::uint32_t> members) {
    std::vector<std::uint32_t> tried;
    std::mt19937_64 random(kSeed);
    std::sample(members.begin(), members.end(), std::back_inserter(tried), kTrials, random);
    std::vector<float> values(tried.size() * geometry_.dimensions);
    std::vector<const float*> queries;
    std::vector<std::uint64_t> ids;
    {
      ScratchPool::Lease buffer(index_.scratch);
      std::uint32_t loaded = UINT32_MAX;
      std::shared_ptr<VectorBlock> block;
      for (std::size_t i = 0; i < tried.size(); ++i) {  // ascending
        const std::uint32_t number = tried[i] / geometry_.chunk_rows;
        if (number != loaded) {
          ASSIGN_OR_RETURN(block, block_of(number, *buffer));
          loaded = number;
        }
        const std::uint32_t at = tried[i] % geometry_.chunk_rows;
        float* const out = values.data() + i * geometry_.dimensions;
        simd::kernels().to_float(vector(*block, at), geometry_.dimensions, out);
        queries.push_back(out);
        ids.push_back((*view_.chunks)[number]->ids[at]);
      }
    }
    // The graph is alive as long as this call; views share what they hold.
    SegmentView view = view_;
    view.graph = std::shared_ptr<const SegmentGraph>(std::shared_ptr<void>(), &graph);
    for (std::size_t t = 0; t < std::size(kTriedK); ++t) {
      const std::size_t k = std::min<std::size_t>(kTriedK[t], rows_ - 1);
      if (k < kTriedK[t] && t > 0) break;
      SearchOptions options;
      options.k = k + 1;
      options.call = call_;
      std::vector<DamagedRows> damaged;
      ReadCounters counters;
      std::vector<TopK> truth(queries.size(), TopK(options.k));
      const FlatSearch::Range range{&view, 0};
      FlatSearch flat(state_, index_.shape, options, {&range, 1}, index_.scratch);
      TRY(flat.run(queries, index_.budget->pool(), threads_, counters, truth, damaged));
      std::vector<float> floors;
      for (std::size_t q = 0; q < truth.size(); ++q) {
        const auto hits = others(truth[q].take(), ids[q], k);
        floors.push_back(hits.empty() ? 0 : hits.back().score - kTie);
      }
      for (const std::size_t list : kTriedLists[t]) {
        if (list == 0) break;
        TRY(check());
        options.list_size = list;
        std::vector<TopK> found(queries.size(), TopK(options.k));
        GraphSearch search(state_, index_.shape, options,
                           {GraphSource{&view, {}, 0, view.segment->parts()}},
                           index_.graph_workers);
        TRY(search.run(queries, index_.budget->pool(), threads_, counters, found, damaged));
        std::size_t right = 0;
        for (std::size_t q = 0; q < found.size(); ++q)
          for (const Hit& hit : others(found[q].take(), ids[q], k)) right += hit.score >= floors[q];
        const float recall = static_cast<float>(right) / static_cast<float>(k * queries.size());
        graph.efforts.push_back({static_cast<std::uint32_t>(kTriedK[t]),
                                 static_cast<std::uint32_t>(list), std::min(recall, 1.0F)});
        if (recall >= kRecallEnough || list >= rows_) break;
      }
    }
    return {};
  }

  static std::vector<Hit> others(std::vector<Hit> hits, std::uint64_t id, std::size_t k) {
    std::erase_if(hits, [&](const Hit& hit) { return hit.id == id; });
    if (hits.size() > k) hits.resize(k);
    return hits;
  }

  IndexImpl& index_;
  SegmentView view_;
  const std::uint32_t rows_;
  const unsigned threads_;
  const CallOptions& call_;
  const Geometry& geometry_;
  SnapshotState state_;
  std::vector<float> sample_;
  std::vector<Fingerprint> fingerprints_;
  std::vector<Kind> kinds_;
};

Result<IndexImpl::MadeGraph> IndexImpl::make_graph(const SegmentView& view, std::uint32_t rows,
                                                   std::uint64_t lsn, unsigned thread_count,
                                                   const CallOptions& call) {
  ASSIGN_OR_RETURN(auto graph, GraphMaker(*this, view, rows, lsn, thread_count, call).make());
  std::uint64_t file = 0;
  {
    std::lock_guard lock(commit_mutex);
    file = next_file++;
  }
  ASSIGN_OR_RETURN(
      const Manifest::Derived record,
      write_segment_graph(*graph, storage, directory, uuid, file, view.segment->number()));
  return MadeGraph{std::move(graph), record};
}

void IndexImpl::set_graph(Segment& segment, MadeGraph made) {
  if (segment.graph()) obsolete_files.push_back(derived_name(segment.graph_record().file));
  segment.set_graph(std::move(made.graph), made.record);
  graphs_changed = true;
}

bool IndexImpl::graph_fits(std::uint64_t rows) const {
  const std::uint32_t lead = std::min(kLead, geometry.dimensions / 64 * 64);
  const CodeLayout layout{lead, geometry.dimensions - lead, kTailBits};
  const std::uint64_t bytes =
      rows * (layout.record_bytes() + GraphOptions().degree * sizeof(std::uint32_t));
  return table_bytes() + bytes <= budget->limit();
}

std::shared_ptr<Segment> IndexImpl::choose_graph(GraphDue wanted) const {
  if (shape.kind != IndexKind::graph || !read_only.empty()) return nullptr;
  for (const auto& segment : segments) {
    const std::uint32_t covered = segment->graph() ? segment->graph()->rows() : 0;
    const std::uint32_t rows = segment->rows();
    if (rows < options.graph_rows_min || rows == covered) continue;
    const std::uint32_t open = rows - covered;
    // Growing by doubling costs twice what one building at the end would. Beyond that a few rows
    // are compared one by one until there is time.
    const bool needed = open >= std::max(options.graph_rows_min, covered);
    const bool worth = open >= std::max(1U, options.graph_rows_min / 8);
    if (wanted == GraphDue::any || needed || (wanted == GraphDue::worth && worth))
      return graph_fits(rows) ? segment : nullptr;
  }
  return nullptr;
}

Result<bool> IndexImpl::make_graph_once(GraphDue wanted, unsigned thread_count,
                                        const CallOptions& call) {
  std::lock_guard one_at_a_time(compaction_mutex);
  {
    std::lock_guard lock(commit_mutex);
    if (!choose_graph(wanted)) return false;
  }
  // A graph is of rows that parts hold, so that it never outlives one of them.
  TRY(checkpoint(Seal::when_full, nullptr));
  std::shared_ptr<Segment> segment;
  SegmentView view;
  std::uint32_t rows = 0;
  std::uint64_t lsn = 0;
  {
    std::lock_guard lock(commit_mutex);
    segment = choose_graph(wanted);
    if (!segment) return false;
    view = segment->view(segment);
    rows = segment->persisted_rows();
    lsn = last_lsn;
  }
  const auto begin = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(auto made, make_graph(view, rows, lsn, thread_count, call));
  const auto took = std::chrono::steady_clock::now() - begin;
  {
    std::lock_guard lock(commit_mutex);
    graph_rest_until = std::chrono::steady_clock::now() + kRestFactor * took;
    set_graph(*segment, std::move(made));
    publish();
  }
  TRY(checkpoint(Seal::when_full, nullptr));
  return true;
}

}  // namespace similis::engine
