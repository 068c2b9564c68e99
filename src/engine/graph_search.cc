#include "engine/graph_search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <limits>
#include <utility>

#include "engine/graph_worker.h"
#include "engine/simd/kernels.h"

namespace similis::engine {
namespace {

// So many rows ahead the rest of their records is fetched.
constexpr std::size_t kAhead = 6;
// Of a group's reads: more than most take, as pages that nobody touched cost nothing.
constexpr std::size_t kBufferMin = 512 << 10, kBufferKeptMax = 1 << 20;
// A walk that came upon too few of the rows that may be returned was drawn away by others: it is
// made again, to look at more.
constexpr int kRoundsMax = 4;
constexpr float kScanDoubt = 3;
// After so much of a walk or a scan it is asked whether anybody still waits.
constexpr std::size_t kStepsUnasked = 256, kRowsUnasked = 4096;

}  // namespace

GraphSearch::GraphSearch(const SnapshotState& snapshot, const IndexShape& shape,
                         const SearchOptions& options, std::vector<GraphSource> sources,
                         GraphWorkers& workers)
    : snapshot_(snapshot),
      shape_(shape),
      options_(options),
      sources_(std::move(sources)),
      workers_(workers) {}

// The filter's bits for the rows of the graphs. Zero vectors keep theirs, for offer_zeros(), and
// are not counted.
Status GraphSearch::mark() {
  for (GraphSource& source : sources_) {
    const SegmentGraph& graph = *source.view->graph;
    const std::uint32_t chunk_rows = source.view->segment->geometry().chunk_rows;
    const std::uint32_t rows = graph.rows();
    source.wanted.assign((rows + 63) / 64, 0);
    for (std::uint32_t chunk = 0; std::uint64_t{chunk} * chunk_rows < rows; ++chunk) {
      TRY(options_.call.check());
      const std::uint32_t first = chunk * chunk_rows;
      const std::uint32_t count = std::min(chunk_rows, rows - first);
      source.matches +=
          mark_wanted(*source.view, chunk, 0, count, snapshot_.lsn, options_.filter,
                      std::span(source.wanted).subspan(first / 64, (count + 63) / 64));
    }
    for (const std::uint32_t row : graph.zeros)
      if (is_wanted(source, row)) --source.matches;
  }
  return {};
}

bool GraphSearch::is_wanted(const GraphSource& source, std::uint32_t row) const {
  if (options_.filter) return (source.wanted[row / 64] >> (row % 64) & 1) != 0;
  if (!source.view->segment->has_dead()) return true;
  const std::uint32_t chunk_rows = source.view->segment->geometry().chunk_rows;
  const Chunk& chunk = *(*source.view->chunks)[row / chunk_rows];
  return chunk.deaths.of(row % chunk_rows) > snapshot_.lsn;
}

Status GraphSearch::run(std::span<const float* const> queries, ThreadPool& pool, unsigned threads,
                        ReadCounters& counters, std::vector<TopK>& tops,
                        std::vector<DamagedRows>& damaged) {
  queries_ = queries;
  counters_ = &counters;
  tops_ = &tops;
  damaged_ = &damaged;
  if (options_.filter) TRY(mark());
  const auto workers =
      static_cast<unsigned>(std::min<std::size_t>(threads, (queries.size() + 3) / 4));
  group_ = std::clamp<std::size_t>(queries.size() / std::max(workers, 1U), 1, kGroup);
  pool.run(workers, [&] {
    auto worker = workers_.take();
    Status status;
    {
      // However it ends, the kernel writes to a flight's memory until its reads have come.
      const Landing landing(*worker);
      status = work(*worker);
    }
    workers_.give(std::move(worker));
    if (status.ok()) return;
    failed_.store(true, std::memory_order_relaxed);
    std::lock_guard lock(mutex_);
    if (status_.ok()) status_ = std::move(status);
  });
  return std::move(status_);
}

Status GraphSearch::work(GraphWorker& worker) {
  std::span<Flight> groups[kGroups];
  std::size_t begun = 0, finished = 0;  // the groups between them have reads at work
  const auto finish_oldest = [&]() -> Status {
    for (Flight& flight : groups[finished % kGroups]) {
      while (flight.reads.pending > 0) worker.queue->reap(true);
      TRY(finish(flight));
    }
    // What a search of many hits took is not kept.
    AlignedBuffer& buffer = worker.buffers[finished % kGroups];
    if (buffer.size() > kBufferKeptMax) buffer = {};
    ++finished;
    return {};
  };
  for (;;) {
    const std::size_t first = next_.fetch_add(group_, std::memory_order_relaxed);
    if (first >= queries_.size() || failed_.load(std::memory_order_relaxed)) break;
    TRY(options_.call.check());
    if (begun - finished == kGroups) TRY(finish_oldest());
    std::span<Flight>& group = groups[begun % kGroups];
    group = std::span(worker.flights)
                .subspan(begun % kGroups * kGroup, std::min(group_, queries_.size() - first));
    TRY(begin(worker, group, worker.buffers[begun % kGroups], first));
    ++begun;
    worker.queue->reap(false);
    while (finished < begun && is_read(groups[finished % kGroups])) TRY(finish_oldest());
  }
  while (finished < begun) TRY(finish_oldest());
  return {};
}

bool GraphSearch::is_read(std::span<const Flight> flights) {
  return std::all_of(flights.begin(), flights.end(),
                     [](const Flight& flight) { return flight.reads.pending == 0; });
}

/// The queries from `first` on, as many as there are flights.
Status GraphSearch::begin(GraphWorker& worker, std::span<Flight> flights, AlignedBuffer& buffer,
                          std::size_t first) {
  const std::span<Walker> walkers = std::span(worker.walkers).first(flights.size());
  for (Walker& walker : walkers) walker.estimates.clear();
  const float* queries[kGroup];
  for (std::size_t i = 0; i < flights.size(); ++i) {
    flights[i].query = first + i;
    queries[i] = flights[i].vector = prepared(flights[i]);
  }
  for (std::uint32_t source = 0; source < sources_.size(); ++source)
    TRY(gather(worker, walkers, std::span(queries).first(flights.size()), source));
  std::size_t bytes[kGroup], total = 0;
  for (std::size_t i = 0; i < flights.size(); ++i) {
    choose(walkers[i], (*tops_)[flights[i].query].hits());
    ASSIGN_OR_RETURN(bytes[i], find_vectors(flights[i], walkers[i].estimates));
    total += bytes[i];
  }
  if (total > buffer.size()) buffer.ensure(std::bit_ceil(std::max(total, kBufferMin)));
  std::array<ReadGroup*, kGroup> reads{};
  std::size_t count = 0;
  std::byte* at = buffer.data();
  for (std::size_t i = 0; i < flights.size(); at += bytes[i++]) {
    if (flights[i].reads.requests.empty()) continue;
    place_reads(flights[i], at);
    reads[count++] = &flights[i].reads;
  }
  worker.queue->submit(std::span(reads).first(count));
  return {};
}

const float* GraphSearch::prepared(Flight& flight) const {
  const float* const given = queries_[flight.query];
  if (shape_.metric != Metric::cosine) return given;
  flight.unit.resize(shape_.dimensions);
  normalise({given, shape_.dimensions}, flight.unit);
  return flight.unit.data();
}

WalkPlan GraphSearch::plan(const GraphSource& source) const {
  const SegmentGraph& graph = *source.view->graph;
  return plan_walk(options_, graph,
                   options_.filter ? source.matches : live_nodes(graph, source.view->dead));
}

// The queries in the graph's frame.
void GraphSearch::turn(GraphWorker& worker, std::span<Walker> walkers,
                       std::span<const float* const> queries, const SegmentGraph& graph) const {
  worker.turned.turn(graph, shape_.metric, queries, shape_.dimensions);
  for (std::size_t i = 0; i < walkers.size(); ++i) {
    walkers[i].scale = worker.turned.scale(i);
    walkers[i].code_for(graph.codes.layout()).set(worker.turned[i]);
  }
}

// Walks one graph, or scans the codes of what passes the filter when that is less work.
Status GraphSearch::gather(GraphWorker& worker, std::span<Walker> walkers,
                           std::span<const float* const> queries, std::uint32_t source_number) {
  const GraphSource& source = sources_[source_number];
  const SegmentGraph& graph = *source.view->graph;
  if (graph.entry == Graph::kNone || (options_.filter && source.matches == 0)) return {};
  turn(worker, walkers, queries, graph);
  const WalkPlan plan = this->plan(source);
  const bool walks = !plan.scanning_is_less();
  if (walks) {
    for (Walker& walker : walkers)
      walker.walk.begin(graph.graph, graph.codes, *walker.code, graph.entries, plan.limits());
    std::size_t steps = 0;
    for (bool more = true; more;) {
      more = false;
      for (Walker& walker : walkers) more = walker.walk.step() || more;
      if (++steps % kStepsUnasked == 0) TRY(options_.call.check());
    }
  }
  for (Walker& walker : walkers) TRY(collect(walker, source_number, plan, walks));
  return {};
}

// Takes what the walk found. Where that is too little, as it was led away, the walk is made again
// with a longer list, and in the end the codes are scanned.
Status GraphSearch::collect(Walker& walker, std::uint32_t source_number, WalkPlan plan,
                            bool walked) const {
  const GraphSource& source = sources_[source_number];
  const SegmentGraph& graph = *source.view->graph;
  const QueryCode& code = *walker.code;
  std::vector<Estimate>& out = walker.estimates;
  const bool squared = shape_.metric == Metric::l2;
  const float factor = squared ? 2.0F : walker.scale;
  const float offset =
      squared ? -code.squared_length() : walker.scale * (1.0F - code.squared_length() / 2);
  float doubt = doubt_of(options_, graph);
  // Rows of equal bytes are one candidate: one is read for all.
  const auto consider = [&](std::uint32_t node) {
    const auto row = wanted_of(source, node);
    if (!row) return;
    const QueryCode::Estimate e = code.refine(graph.codes.record(node));
    out.push_back(
        {factor * e.nearness + offset, doubt * factor * e.error, false, source_number, node, *row});
  };

  const std::size_t before = out.size();
  bool found = false;
  for (int round = 0; walked && !found && round < kRoundsMax; ++round) {
    if (round > 0) {
      TRY(options_.call.check());
      if (plan.scanning_is_less()) break;
      out.resize(before);
      walker.walk.run(graph.graph, graph.codes, code, graph.entries, plan.limits());
    }
    const auto near = walker.walk.found();
    double count = 0;
    for (std::size_t i = 0; i < near.size(); ++i) {
      if (i + kAhead < near.size()) graph.codes.prefetch_refinement(near[i + kAhead].row);
      consider(near[i].row);
      if (static_cast<double>(i) < plan.within) count = static_cast<double>(out.size() - before);
    }
    found = count >= plan.wanted || plan.within >= plan.rows;
    plan.widen_after(count, static_cast<double>(walker.walk.comparisons()));
  }
  if (found) return {};
  out.resize(before);
  // What is worth comparing all is worth a few more reads.
  if (options_.doubt == 0) doubt = std::max(doubt, kScanDoubt);
  auto zero = graph.zeros.begin();
  Status wanted;
  std::size_t scanned = 0;
  const auto scan = [&](std::uint32_t row) {
    if (++scanned % kRowsUnasked == 0 && wanted.ok()) wanted = options_.call.check();
    if (!wanted.ok()) return;
    while (zero != graph.zeros.end() && *zero < row) ++zero;
    if (zero != graph.zeros.end() && *zero == row) return;
    if (!graph.is_copy.empty() && (graph.is_copy[row / 64] >> (row % 64) & 1) != 0) return;
    consider(row);
  };
  if (!options_.filter) {
    for (std::uint32_t row = 0; row < graph.rows(); ++row)
      if (is_wanted(source, row)) scan(row);
  } else {
    for_set_bits(source.wanted, 0, graph.rows(), scan);
  }
  TRY(std::move(wanted));
  // Copies whose original may not be returned.
  for (std::size_t i = 0; i < graph.copies.size(); ++i) {
    const std::uint32_t node = graph.copies[i].original;
    if (i > 0 && graph.copies[i - 1].original == node) continue;
    if (!is_wanted(source, node)) consider(node);
  }
  return {};
}

std::optional<std::uint32_t> GraphSearch::wanted_of(const GraphSource& source,
                                                    std::uint32_t node) const {
  if (is_wanted(source, node)) return node;
  for (const auto& copy : source.view->graph->copies_of(node))
    if (is_wanted(source, copy.row)) return copy.row;
  return std::nullopt;
}

/// Leaves the rows that, by their margins better, reach the k best that are by theirs worse; marks
/// those that need not be read. `known`: rows that no graph covers, with their scores.
void GraphSearch::choose(Walker& walker, const std::vector<Hit>& known) const {
  std::vector<Estimate>& estimates = walker.estimates;
  if (estimates.size() + known.size() > options_.k) {
    std::vector<float>& worst = walker.bounds;
    worst.clear();
    for (const Estimate& e : estimates) worst.push_back(e.score - e.margin);
    for (const Hit& hit : known) worst.push_back(hit.score);
    const auto kth = worst.begin() + static_cast<std::ptrdiff_t>(options_.k) - 1;
    std::nth_element(worst.begin(), kth, worst.end(), std::greater());
    std::erase_if(estimates, [&](const auto& e) { return e.score + e.margin < *kth; });
  }
  if (options_.scores != ScoreMode::bounded) return;
  // Certain is what would be among the k best though all others were by their margins better. A
  // node counts as many times as it has rows.
  std::vector<std::pair<float, std::size_t>>& best = walker.rivals;
  best.clear();
  std::size_t rows = known.size();
  for (const GraphSource& source : sources_) {  // zeros, whose cosine is 0
    const std::size_t zeros = source.view->graph->zeros.size();
    if (zeros > 0) best.emplace_back(0.0F, zeros);
    rows += zeros;
  }
  for (const Estimate& e : estimates) {
    best.emplace_back(e.score + e.margin,
                      1 + sources_[e.source].view->graph->copies_of(e.node).size());
    rows += best.back().second;
  }
  float ceiling = -std::numeric_limits<float>::infinity();
  if (rows > options_.k) {
    for (const Hit& hit : known) best.emplace_back(hit.score, 1);
    std::sort(best.begin(), best.end(), std::greater());
    auto first_too_many = best.begin();
    for (std::size_t before = 0; before + first_too_many->second <= options_.k; ++first_too_many)
      before += first_too_many->second;
    ceiling = first_too_many->first;
  }
  for (Estimate& e : estimates) e.certain = e.score - e.margin > ceiling;
}

// In memory, or where it is to be read from.
Result<std::size_t> GraphSearch::find_vectors(Flight& flight, std::span<const Estimate> chosen) {
  flight.chosen.clear();
  flight.blocks.clear();
  flight.newer_parts.clear();
  flight.reads.requests.clear();
  std::size_t bytes = 0;
  for (const Estimate& estimate : chosen) {
    const GraphSource& source = sources_[estimate.source];
    const Geometry& geometry = source.view->segment->geometry();
    Flight::Chosen one;
    one.source = estimate.source;
    one.node = estimate.node;
    one.row = estimate.row;
    const Chunk& chunk = *(*source.view->chunks)[estimate.row / geometry.chunk_rows];
    if (auto block = chunk.block()) {
      one.vector =
          block->data() + std::size_t{estimate.row % geometry.chunk_rows} * geometry.stride_bytes;
      if (flight.blocks.empty() || flight.blocks.back() != block)
        flight.blocks.push_back(std::move(block));
    } else if (estimate.certain) {
      one.estimate = estimate.score;
    } else {
      one.part = flight.find_part(source, estimate.row);
      if (one.part == nullptr)
        return Error(ErrorCode::internal, "a row of a graph lies in no part");
      one.row_in_part = estimate.row - one.part->first_ordinal();
      one.place = one.part->place(one.row_in_part);
      one.request = flight.reads.requests.size();
      flight.reads.requests.push_back({&one.part->file(), one.place.offset, {}, {}});
      bytes += one.place.bytes;
    }
    flight.chosen.push_back(one);
  }
  return bytes;
}

void GraphSearch::place_reads(Flight& flight, std::byte* at) {
  for (const Flight::Chosen& one : flight.chosen) {
    if (one.part == nullptr) continue;
    flight.reads.requests[one.request].out = {at, one.place.bytes};
    at += one.place.bytes;  // a multiple of the file's alignment
    counters_->bytes.fetch_add(one.place.bytes, std::memory_order_relaxed);
  }
  counters_->requests.fetch_add(flight.reads.requests.size(), std::memory_order_relaxed);
}

Status GraphSearch::finish(Flight& flight) {
  const auto& kernels = simd::kernels();
  const auto pairs = shape_.metric == Metric::l2 ? kernels.l2 : kernels.dot;
  const float* query = flight.vector;
  TopK& top = (*tops_)[flight.query];
  std::vector<std::byte> again;
  for (const Flight::Chosen& one : flight.chosen) {
    const GraphSource& source = sources_[one.source];
    const std::byte* vector = one.vector;
    std::optional<std::uint32_t> lost;
    if (vector == nullptr && one.part == nullptr) {
      offer(top, source, one.node, {0, one.estimate, true});
      continue;
    }
    if (one.part != nullptr) {
      const ReadRequest& request = flight.reads.requests[one.request];
      vector = request.out.data() + one.place.row_at;
      if (!request.status.ok() ||
          !one.part->is_intact(one.row_in_part, one.place, request.out.data())) {
        // A second time, alone, which tells a row that is lost from a disk out of reach.
        AlignedBuffer buffer;
        TRY(source.view->segment->read_row(*source.view->chunks, one.row, buffer, again,
                                           counters_));
        if (again.empty()) {
          {
            std::lock_guard lock(mutex_);
            damaged_->push_back({source.view->segment, {one.row}});
          }
          lost = one.row;
          // One of equal bytes may be sound.
          TRY(find_copy(source, one.node, one.row, again));
          if (again.empty()) continue;
        }
        vector = again.data();
      }
    }
    const auto* row = reinterpret_cast<const std::uint16_t*>(vector);
    float raw = 0;
    pairs(&row, 1, &query, 1, shape_.dimensions, &raw);
    offer(top, source, one.node, {0, shape_.metric == Metric::l2 ? -raw : raw}, lost);
  }
  if (shape_.metric == Metric::cosine) offer_zeros(top);
  flight.blocks.clear();
  return {};
}

// Of a row that is not what was written: another one of the same node, as it was read.
Status GraphSearch::find_copy(const GraphSource& source, std::uint32_t node, std::uint32_t lost,
                              std::vector<std::byte>& out) const {
  AlignedBuffer buffer;
  const auto try_row = [&](std::uint32_t row) -> Status {
    if (row == lost || !out.empty() || !is_wanted(source, row)) return {};
    return source.view->segment->read_row(*source.view->chunks, row, buffer, out, counters_);
  };
  out.clear();
  TRY(try_row(node));
  for (const auto& copy : source.view->graph->copies_of(node)) TRY(try_row(copy.row));
  return {};
}

// The row of a node and those of equal bytes to it, as far as they may be returned.
void GraphSearch::offer(TopK& top, const GraphSource& source, std::uint32_t node, Hit hit,
                        std::optional<std::uint32_t> lost) const {
  if (hit.score < top.floor()) return;
  const std::uint32_t chunk_rows = source.view->segment->geometry().chunk_rows;
  const auto one = [&](std::uint32_t row) {
    if (row == lost || !is_wanted(source, row)) return;
    hit.id = (*source.view->chunks)[row / chunk_rows]->ids[row % chunk_rows];
    top.offer(hit);
  };
  one(node);
  for (const auto& copy : source.view->graph->copies_of(node)) one(copy.row);
}

// A zero vector's cosine is 0: it counts only where not enough rows are better.
void GraphSearch::offer_zeros(TopK& top) const {
  if (top.floor() > 0) return;
  for (const GraphSource& source : sources_) {
    const std::uint32_t chunk_rows = source.view->segment->geometry().chunk_rows;
    for (const std::uint32_t row : source.view->graph->zeros)
      if (is_wanted(source, row))
        top.offer((*source.view->chunks)[row / chunk_rows]->ids[row % chunk_rows], 0);
  }
}

}  // namespace similis::engine
