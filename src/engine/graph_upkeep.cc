#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>
#include <unordered_set>

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
// What searches are tried with.
constexpr std::size_t kTriedK[] = {10, 100};
constexpr std::size_t kTriedLists[][12] = {{20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400, 600},
                                           {120, 150, 200, 250, 300, 400, 500, 600, 800, 1000}};
constexpr float kRecallEnough = 0.9995F;
constexpr float kTie = 1e-6F;
// After a building the index rests so many times as long, but for what is urgent.
constexpr int kRestFactor = 10;
// One that failed, for lack of space or memory, is not tried again at once.
constexpr auto kAfterFailure = std::chrono::minutes(1);

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
    const CodeLayout layout = layout_of(CodeTier::large, geometry_.dimensions);
    Frame frame = Frame::learn(sample_, geometry_.dimensions, layout.lead, kSeed);
    sample_ = {};
    TRY(check());
    CodeTable codes(layout, rows_);
    fingerprints_.resize(rows_);
    kinds_.assign(rows_, Kind::absent);
    TRY(for_chunks(
        [&](std::uint32_t first, const VectorBlock& block, std::span<const std::uint32_t> sound) {
          encode(frame, codes, first, block, sound);
        }));
    auto out = std::make_shared<SegmentGraph>(
        SegmentGraph{std::move(frame), std::move(codes), Edges(), Graph::kNone, {}, {}, {}});
    out->copies = find_copies(out->codes);
    out->mark_copies();
    std::vector<std::uint32_t> members;
    for (std::uint32_t row = 0; row < rows_; ++row) {
      if (kinds_[row] == Kind::member) members.push_back(row);
      if (kinds_[row] == Kind::zero) out->zeros.push_back(row);
    }
    fingerprints_ = {};
    if (!members.empty()) {
      const GraphTrial trial = [&](BuiltGraph tried, std::span<const std::uint32_t> held) {
        {
          const BuiltGraph built = std::move(tried);  // not kept beside its edges
          out->graph = Edges(built.graph);
          out->entry = built.entry;
        }
        out->find_entries();
        return calibrate(*out, {held.begin(), held.end()});
      };
      ASSIGN_OR_RETURN(BuiltGraph built,
                       build_graph(out->codes, members, {}, index_.budget->pool(), threads_, trial,
                                   [&](std::size_t) { return check().ok(); }));
      out->graph = Edges(built.graph);
      out->entry = built.entry;
      out->find_entries();
    } else {
      out->graph = Edges(Graph(rows_, 1));
    }
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

  /// The vectors of a chunk, from memory or disk. Rows whose bytes are not what was written are
  /// added to `damaged`, and die of it.
  Result<std::shared_ptr<VectorBlock>> block_of(std::uint32_t number, AlignedBuffer& buffer,
                                                std::vector<std::uint32_t>& damaged) const {
    const Chunk& chunk = *(*view_.chunks)[number];
    if (auto block = chunk.block()) return block;
    const std::uint32_t count =
        std::min(geometry_.chunk_rows, rows_ - number * geometry_.chunk_rows);
    index_.budget->reserve(geometry_.chunk_bytes());
    ASSIGN_OR_RETURN(auto block, view_.segment->read_block(number, count, buffer, damaged));
    if (!damaged.empty()) index_.drop_damaged(*view_.segment, damaged);
    return block;
  }

  /// Calls each(first row, vectors, sound rows of the chunk) for all chunks, on several threads.
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
          std::vector<std::uint32_t> damaged, sound;
          auto block = block_of(c, *buffer, damaged);
          if (block.ok()) {
            const Chunk& chunk = *(*view_.chunks)[c];
            const std::uint32_t first = c * geometry_.chunk_rows;
            for (std::uint32_t at = 0; at < std::min(geometry_.chunk_rows, rows_ - first); ++at)
              if (lives(chunk, at) &&
                  std::find(damaged.begin(), damaged.end(), first + at) == damaged.end())
                sound.push_back(at);
            each(first, **block, sound);
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
    return for_chunks(
        [&](std::uint32_t first, const VectorBlock& block, std::span<const std::uint32_t> sound) {
          std::vector<float> here;
          for (const std::uint32_t at : sound) {
            if ((first + at) % step != 0) continue;
            here.resize(here.size() + geometry_.dimensions);
            simd::kernels().to_float(vector(block, at), geometry_.dimensions,
                                     here.data() + here.size() - geometry_.dimensions);
          }
          std::lock_guard lock(mutex);
          sample_.insert(sample_.end(), here.begin(), here.end());
        });
  }

  void encode(const Frame& frame, CodeTable& codes, std::uint32_t first, const VectorBlock& block,
              std::span<const std::uint32_t> sound) {
    std::vector<float> values(geometry_.dimensions), turned(geometry_.dimensions);
    for (const std::uint32_t at : sound) {
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

  /// Moves each vector half-way to the nearest other one. A stored row has the likes of it near by
  /// and is found too easily; a point between two rows is as hard to find the nearest of as a new
  /// picture is (docs/engine.md has the figures).
  void move_between(std::vector<float>& values, std::span<const float* const> vectors) const {
    const std::size_t dimensions = geometry_.dimensions;
    const auto& kernels = simd::kernels();
    std::vector<std::uint16_t> halves(values.size());
    kernels.to_half(values.data(), values.size(), halves.data());
    std::vector<const std::uint16_t*> rows;
    for (std::size_t i = 0; i < vectors.size(); ++i) rows.push_back(halves.data() + i * dimensions);
    std::vector<float> distances(rows.size() * vectors.size());
    kernels.l2(rows.data(), rows.size(), vectors.data(), vectors.size(), dimensions,
               distances.data());
    const std::vector<float> given = values;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      std::size_t other = i;
      float nearest = std::numeric_limits<float>::infinity();
      for (std::size_t j = 0; j < vectors.size(); ++j) {
        const float distance = distances[i * vectors.size() + j];
        if (j == i || distance >= nearest) continue;
        nearest = distance;
        other = j;
      }
      float* const out = values.data() + i * dimensions;
      double squared = 0;
      for (std::size_t d = 0; d < dimensions; ++d) {
        out[d] = (out[d] + given[other * dimensions + d]) / 2;
        squared += static_cast<double>(out[d]) * out[d];
      }
      if (index_.shape.metric != Metric::cosine || squared == 0) continue;
      for (std::size_t d = 0; d < dimensions; ++d)
        out[d] = static_cast<float>(out[d] / std::sqrt(squared));
    }
  }

  /// Tries searches between rows that the graph does not hold yet, against the truth without them.
  Status calibrate(SegmentGraph& graph, std::vector<std::uint32_t> held) {
    std::sort(held.begin(), held.end());
    std::vector<float> values(held.size() * geometry_.dimensions);
    std::vector<const float*> queries;
    std::unordered_set<std::uint64_t> left_out;
    {
      ScratchPool::Lease buffer(index_.scratch);
      std::uint32_t loaded = UINT32_MAX;
      std::shared_ptr<VectorBlock> block;
      std::vector<std::uint32_t> damaged;
      for (std::size_t i = 0; i < held.size(); ++i) {
        const std::uint32_t number = held[i] / geometry_.chunk_rows;
        if (number != loaded) {
          ASSIGN_OR_RETURN(block, block_of(number, *buffer, damaged));
          loaded = number;
        }
        if (!damaged.empty()) return {};  // it was sound a moment ago: nothing is to be learnt here
        const std::uint32_t at = held[i] % geometry_.chunk_rows;
        float* const out = values.data() + i * geometry_.dimensions;
        simd::kernels().to_float(vector(*block, at), geometry_.dimensions, out);
        queries.push_back(out);
        left_out.insert((*view_.chunks)[number]->ids[at]);
      }
    }
    // Their copies are left out as well: they go with them.
    for (const std::uint32_t row : held)
      for (const auto& copy : graph.copies_of(row))
        left_out.insert(
            (*view_.chunks)[copy.row / geometry_.chunk_rows]->ids[copy.row % geometry_.chunk_rows]);
    move_between(values, queries);
    // Lent for the length of this call.
    SegmentView view = view_;
    view.graph = std::shared_ptr<const SegmentGraph>(std::shared_ptr<void>(), &graph);
    std::vector<DamagedRows> damaged;
    ReadCounters counters;
    std::size_t tried = 0;
    while (tried < std::size(kTriedK) && 2 * kTriedK[tried] < rows_) ++tried;
    if (tried == 0) return {};
    SearchOptions options;
    options.call = call_;
    const std::size_t largest = kTriedK[tried - 1];
    options.k = std::min({largest + left_out.size(), 2 * largest + 50, kSearchKMax});
    std::vector<TopK> tops(queries.size(), TopK(options.k));
    const FlatSearch::Range range{&view, 0};
    FlatSearch flat(state_, index_.shape, options, {&range, 1}, index_.scratch);
    TRY(flat.run(queries, index_.budget->pool(), threads_, counters, tops, damaged));
    std::vector<std::vector<Hit>> truth;
    for (TopK& top : tops) {
      truth.push_back(top.take());
      std::erase_if(truth.back(), [&](const Hit& hit) { return left_out.contains(hit.id); });
    }
    for (std::size_t t = 0; t < tried; ++t) {
      const std::size_t k = kTriedK[t];
      std::vector<float> floors;
      std::size_t wanted = 0;
      for (const auto& hits : truth) {
        const std::size_t count = std::min(k, hits.size());
        wanted += count;
        floors.push_back(count == 0 ? 0 : hits[count - 1].score - kTie);
      }
      options.k = k;
      options.recall = kRecallEnough;  // what is kept is read
      GraphSource source;
      source.view = &view;
      source.parts = view.segment->parts();
      for (const std::size_t list : kTriedLists[t]) {
        if (list == 0) break;
        TRY(check());
        options.list_size = list;
        std::vector<TopK> found(queries.size(), TopK(k));
        GraphSearch search(state_, index_.shape, options, {source}, index_.graph_workers);
        TRY(search.run(queries, index_.budget->pool(), threads_, counters, found, damaged));
        std::size_t right = 0;
        for (std::size_t q = 0; q < found.size(); ++q)
          for (const Hit& hit : found[q].take()) right += hit.score >= floors[q];
        const float recall =
            wanted == 0 ? 1
                        : std::min(1.0F, static_cast<float>(right) / static_cast<float>(wanted));
        graph.efforts.push_back(
            {static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(list), recall});
        if (recall >= kRecallEnough || list >= rows_) break;
      }
    }
    return {};
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
  if (segment.has_graph_file()) obsolete_files.push_back(derived_name(segment.graph_record().file));
  segment.set_graph(std::move(made.graph), made.record);
  graphs_changed = true;
}

std::shared_ptr<Segment> IndexImpl::choose_graph(GraphDue wanted) const {
  if (!read_only.empty()) return nullptr;
  if (wanted != GraphDue::any && std::chrono::steady_clock::now() < graph_not_before)
    return nullptr;
  for (const auto& segment : segments) {
    const auto covered = static_cast<std::uint32_t>(segment->graph_size().rows);
    const std::uint32_t rows = segment->rows();
    if (rows == covered) continue;
    const std::uint32_t open = rows - covered;
    // Growing by doubling costs twice what one building at the end would. Beyond that a few rows
    // are compared one by one until there is time.
    const bool needed = open >= std::max(options.graph_rows_min, covered);
    const bool worth = open >= std::max({1U, options.graph_rows_min / 8, covered / 16});
    const bool asked = wanted == GraphDue::any || needed || (wanted == GraphDue::worth && worth);
    // Asked last: it adds up the memory of all tables, and this runs with every commit.
    if (asked && may_have_graph(rows, segment.get())) return segment;
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
  making_graph = true;
  auto made = make_graph(view, rows, lsn, thread_count, call);
  making_graph = false;
  const auto now = std::chrono::steady_clock::now();
  {
    std::lock_guard lock(commit_mutex);
    if (!made.ok()) {
      graph_not_before = now + kAfterFailure;
      return std::move(made).error();
    }
    graph_rest_until = now + kRestFactor * (now - begin);
    set_graph(*segment, std::move(made).value());
    publish();
  }
  TRY(checkpoint(Seal::when_full, nullptr));
  fit_graphs();
  return true;
}

}  // namespace similis::engine
