#include "engine/search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <utility>

#include "engine/flat_search.h"
#include "engine/graph_search.h"
#include "engine/simd/kernels.h"
#include "engine/top_k.h"

namespace similis::engine {
namespace {

constexpr float kHalfMax = 65504;
// A comparison in a walk, which jumps about in memory, takes as long as so many in a scan.
constexpr double kScanShare = 0.5;

Status check_values(std::span<const float> vector, std::uint32_t dimensions,
                    const std::string& position) {
  if (vector.size() != dimensions) {
    return Error(ErrorCode::invalid_argument,
                 position + ": its vector has " + std::to_string(vector.size()) +
                     " dimensions, this index " + std::to_string(dimensions));
  }
  const simd::Extent extent = simd::kernels().extent(vector.data(), vector.size());
  if (extent.largest <= kHalfMax && std::isfinite(extent.squares)) return {};
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

void normalise_exactly(std::span<const float> vector, std::span<float> out) {
  const double norm = norm_of(vector);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = norm > 0 ? static_cast<float>(vector[i] / norm) : 0;
}

Status check_search(const IndexShape& shape, std::span<const float> queries,
                    const SearchOptions& options) {
  if (options.k < 1 || options.k > kSearchKMax) {
    return Error(ErrorCode::invalid_argument, "k is " + std::to_string(options.k) +
                                                  ", it must lie between 1 and " +
                                                  std::to_string(kSearchKMax));
  }
  if (!(options.recall > 0 && options.recall <= 1)) {
    return Error(ErrorCode::invalid_argument, "recall is " + std::to_string(options.recall) +
                                                  ", it must lie above 0, and 1 at most");
  }
  const std::pair<const char*, float> asked[] = {{"reach", options.reach},
                                                 {"doubt", options.doubt}};
  for (const auto& [name, value] : asked) {
    if (std::isfinite(value) && value >= 0) continue;
    return Error(ErrorCode::invalid_argument, std::string(name) + " is " + std::to_string(value) +
                                                  ", it must be 0 or more, and finite");
  }
  if (queries.empty() || queries.size() % shape.dimensions != 0) {
    return Error(ErrorCode::invalid_argument, "the queries have " + std::to_string(queries.size()) +
                                                  " components, not a multiple of this index's " +
                                                  std::to_string(shape.dimensions) + " dimensions");
  }
  for (std::size_t q = 0; q * shape.dimensions < queries.size(); ++q)
    TRY(check_values(queries.subspan(q * shape.dimensions, shape.dimensions), shape.dimensions,
                     "query " + std::to_string(q)));
  return options.call.check();
}

/// Whether a walk would compare so many rows that it is quicker to compare all vectors, which are
/// in memory: of many hits, or of vectors without any order that a graph could follow.
bool is_scanned_sooner(const SegmentView& view, const SearchOptions& options) {
  if (options.filter || options.list_size != 0 || options.reach != 0) return false;
  const auto comparisons =
      static_cast<double>(view.graph->effort(options.k, options.recall).comparisons);
  if (comparisons < static_cast<double>(view.graph->rows()) * kScanShare) return false;
  return std::all_of(view.chunks->begin(), view.chunks->end(),
                     [](const auto& chunk) { return chunk->block() != nullptr; });
}

/// All of them, one after another; pointers to each, to the queries themselves where the metric
/// takes them as they are.
std::vector<const float*> normalised(std::span<const float* const> queries, const IndexShape& shape,
                                     std::vector<float>& out) {
  if (shape.metric != Metric::cosine) return {queries.begin(), queries.end()};
  out.resize(queries.size() * shape.dimensions);
  std::vector<const float*> pointers;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const auto to = std::span(out).subspan(q * shape.dimensions, shape.dimensions);
    normalise({queries[q], shape.dimensions}, to);
    pointers.push_back(to.data());
  }
  return pointers;
}

}  // namespace

void normalise(std::span<const float> vector, std::span<float> out) {
  // What is too small to be squared takes its time.
  constexpr float kTiny = 1e-20F;
  const float squares = simd::kernels().extent(vector.data(), vector.size()).squares;
  if (squares <= kTiny) return normalise_exactly(vector, out);
  const float scale = 1 / std::sqrt(squares);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = vector[i] * scale;
}

Result<float> encode_vector(std::span<const float> vector, Metric metric, std::uint32_t dimensions,
                            std::span<std::uint16_t> out, const std::string& position) {
  TRY(check_values(vector, dimensions, position));
  const auto& kernels = simd::kernels();
  if (metric == Metric::cosine) {
    std::vector<float> unit(vector.size());
    normalise_exactly(vector, unit);  // as it is rounded once more
    kernels.to_half(unit.data(), unit.size(), out.data());
    return 1.0F;
  }
  kernels.to_half(vector.data(), vector.size(), out.data());
  return stored_norm(out);
}

float stored_norm(std::span<const std::uint16_t> halves) {
  std::vector<float> values(halves.size());
  simd::kernels().to_float(halves.data(), halves.size(), values.data());
  return std::sqrt(simd::kernels().extent(values.data(), values.size()).squares);
}

std::uint32_t mark_wanted(const SegmentView& view, std::uint32_t chunk_number, std::uint32_t begin,
                          std::uint32_t end, std::uint64_t lsn, const RowFilter& filter,
                          std::span<std::uint64_t> wanted) {
  const Chunk& chunk = *(*view.chunks)[chunk_number];
  if (filter) {
    filter(view.segment->columns(), chunk_number * view.segment->geometry().chunk_rows, end,
           wanted);
  } else {
    std::fill(wanted.begin(), wanted.end(), ~std::uint64_t{0});
  }
  std::uint32_t count = 0;
  for (std::uint32_t w = 0; w * 64 < end; ++w) {
    if (w * 64 + 64 <= begin) wanted[w] = 0;
    if (wanted[w] == 0) continue;
    std::uint64_t alive = 0;
    for (std::uint32_t i = std::max(begin, w * 64); i < std::min(end, w * 64 + 64); ++i) {
      const bool lives = chunk.deaths.of(i) > lsn;
      alive |= static_cast<std::uint64_t>(lives) << (i % 64);
    }
    wanted[w] &= alive;
    count += static_cast<std::uint32_t>(std::popcount(wanted[w]));
  }
  return count;
}

Result<SearchAnswer> search_snapshot(const SnapshotState& snapshot, const IndexShape& shape,
                                     std::span<const float> queries, const SearchOptions& options,
                                     const SearchMeans& means, std::vector<DamagedRows>& damaged) {
  TRY(check_search(shape, queries, options));
  std::vector<const float*> pointers;
  for (std::size_t at = 0; at < queries.size(); at += shape.dimensions)
    pointers.push_back(queries.data() + at);
  std::vector<TopK> tops(pointers.size(), TopK(options.k));
  ReadCounters counters;
  // Without direction nothing is near: every row is equally good, and the smallest ids count.
  const auto directed = [&](const float* query) {
    return shape.metric != Metric::cosine ||
           std::any_of(query, query + shape.dimensions, [](float v) { return v != 0; });
  };
  const auto search = [&](std::span<const float* const> some, bool by_graphs,
                          std::vector<TopK>& found) -> Status {
    std::vector<GraphSource> sources;
    std::vector<FlatSearch::Range> ranges;
    for (const SegmentView& view : snapshot.segments) {
      std::uint32_t searched = 0;
      if (by_graphs && view.graph && !is_scanned_sooner(view, options)) {
        GraphSource& source = sources.emplace_back();
        source.view = &view;
        source.parts = view.segment->parts();
        searched = view.graph->rows();
      }
      if (searched < view.rows) ranges.push_back({&view, searched});
    }
    if (!ranges.empty()) {
      std::vector<float> owned;
      const auto units = normalised(some, shape, owned);
      FlatSearch flat(snapshot, shape, options, ranges, means.scratch);
      TRY(flat.run(units, means.pool, means.threads, counters, found, damaged));
    }
    // By then the others' scores say what is worth reading.
    if (!sources.empty()) {
      GraphSearch graphs(snapshot, shape, options, std::move(sources), means.graph_workers);
      TRY(graphs.run(some, means.pool, means.threads, counters, found, damaged));
    }
    return {};
  };
  const bool by_graphs = options.recall < 1;
  if (std::all_of(pointers.begin(), pointers.end(), directed)) {
    TRY(search(pointers, by_graphs, tops));
  } else {
    for (std::size_t q = 0; q < pointers.size(); ++q) {
      std::vector<TopK> found(1, TopK(options.k));
      TRY(search({&pointers[q], 1}, by_graphs && directed(pointers[q]), found));
      tops[q].merge(found.front());
    }
  }
  means.counters.requests.fetch_add(counters.requests, std::memory_order_relaxed);
  means.counters.bytes.fetch_add(counters.bytes, std::memory_order_relaxed);
  SearchAnswer answer;
  answer.reads = counters.requests;
  answer.bytes_read = counters.bytes;
  for (TopK& top : tops) answer.hits.push_back(top.take());
  if (shape.metric == Metric::cosine) {
    // Halves of a vector's components make it a little longer or shorter than one.
    for (auto& hits : answer.hits)
      for (auto& hit : hits) hit.score = std::clamp(hit.score, -1.0F, 1.0F);
  }
  return answer;
}

}  // namespace similis::engine
