#include <algorithm>
#include <chrono>

#include "engine/graph_maker.h"
#include "engine/index_impl.h"
#include "engine/without_bad_alloc.h"

namespace similis::engine {
namespace {

// After a building the index rests so many times as long, but for what is urgent.
constexpr int kRestFactor = 10;
// One that failed, for lack of space or memory, is not tried again at once.
constexpr auto kAfterFailure = std::chrono::minutes(1);

}  // namespace

Result<StoredGraph> IndexImpl::write_graph(const SegmentGraph& graph, const Segment& segment) {
  std::uint64_t file = 0;
  {
    std::lock_guard lock(commit_mutex);
    file = next_file++;
  }
  ASSIGN_OR_RETURN(const Manifest::Derived record,
                   write_segment_graph(graph, storage, directory, uuid, file, segment.number()));
  return StoredGraph{record, {graph.rows(), graph.bytes_beside_codes()}};
}

Result<IndexImpl::MadeGraph> IndexImpl::make_graph(const SegmentView& view, std::uint32_t rows,
                                                   std::uint64_t lsn, unsigned thread_count,
                                                   const CallOptions& call) {
  const RowSource source(*this, view, rows, thread_count, call);
  float longest = 0;
  {
    std::lock_guard lock(commit_mutex);
    longest = norm_max;
  }
  const CodeLayout layout = layout_of(CodeTier::large, code_dimensions());
  ASSIGN_OR_RETURN(auto graph, make_segment_graph(*this, source, lsn, layout, longest));
  ASSIGN_OR_RETURN(const StoredGraph stored, write_graph(*graph, *view.segment));
  return MadeGraph{std::move(graph), stored};
}

// Codes in memory may lack bits that files have: a graph that is to be written grows from the one
// in the file, or, where there is none, has all of its codes written anew.
Result<IndexImpl::MadeGraph> IndexImpl::grow_graph(const GraphTask& task, const SegmentView& view,
                                                   std::uint32_t rows, unsigned thread_count,
                                                   const CallOptions& call) {
  const RowSource source(*this, view, rows, thread_count, call);
  const Segment& segment = *task.segment;
  const CodeLayout full = layout_of(CodeTier::large, code_dimensions());
  const CodeLayout layout = task.write ? full : task.from->codes.layout();
  MadeGraph made;
  if (task.from == segment.graph() && task.from->codes.layout() == layout) {
    made.graph = task.from;
  } else if (const auto stored = stored_graph_of(segment); task.write && stored) {
    auto file = GraphFile::open(storage, directory, uuid, segment.number(), code_dimensions(),
                                stored->record);
    auto graph = file.ok() ? file->read(full) : std::move(file).error();
    if (graph.ok()) made.graph = std::move(graph).value();
  }
  if (!made.graph) {
    ASSIGN_OR_RETURN(made.graph, begin_segment_graph(*this, source, *task.from, layout));
  } else if (made.graph->rows() < rows) {
    ASSIGN_OR_RETURN(made.graph, extend_segment_graph(*this, source, *made.graph));
  }
  if (task.write) {
    ASSIGN_OR_RETURN(made.stored, write_graph(*made.graph, segment));
  }
  return made;
}

// Longer rows than it was made for would not fit its frame; other machines add up a length in
// another order.
bool IndexImpl::takes_in(const SegmentGraph& graph) const {
  constexpr float kRounding = 1.0001F;
  return shape.metric != Metric::inner_product || norm_max <= kRounding * graph.norm_bound;
}

std::optional<IndexImpl::GraphTask> IndexImpl::choose_graph(GraphDue wanted) const {
  if (!read_only.empty()) return {};
  const bool by_itself = wanted == GraphDue::urgent || wanted == GraphDue::worth;
  if (by_itself && std::chrono::steady_clock::now() < graph_not_before) return {};
  const std::uint32_t rows_min = std::max<std::uint32_t>(1, options.graph_rows_min);
  // A new segment begins in the frame of the one that has most rows in a graph.
  std::shared_ptr<const SegmentGraph> elder;
  for (const auto& segment : segments)
    if (segment->graph() && (!elder || segment->graph()->rows() > elder->rows()))
      elder = segment->graph();
  for (const auto& segment : segments) {
    const auto& graph = segment->graph();
    // Of a graph that lies in its file alone, as there is no room for it, all but that is unknown.
    const bool absent = !graph && segment->stored_graph();
    const std::uint32_t rows = segment->rows();
    const auto covered = static_cast<std::uint32_t>(segment->graph_size().rows);
    const std::uint32_t behind = rows - covered;
    // Learning by doubling costs twice what once at the end would; between, a graph is extended.
    const std::uint32_t learnt = graph ? graph->learnt_rows : covered;
    const bool doubled = rows - std::min(rows, learnt) >= std::max(rows_min, learnt);
    const bool unlike = graph && behind > 0 && !takes_in(*graph) && wanted != GraphDue::urgent;
    // Asked last: it adds up the memory of all tables, and this runs with every commit.
    const auto fits = [&](const GraphSize& size) { return may_have_graph(size, {&segment, 1}); };
    const auto extended_fits = [&] {
      GraphSize size = graph_size_at_most(graph ? behind : rows);
      if (graph) {
        size.rows += covered;
        size.bytes_beside_codes += graph->bytes_beside_codes();
      }
      return fits(size);
    };
    const bool anew = rows >= rows_min && (doubled || unlike) && fits(graph_size_at_most(rows));
    if (absent && !anew) continue;
    GraphTask task{segment, anew ? nullptr : graph ? graph : elder, anew, rows};
    // Extending takes a walk a row behind, and copying what is there; a row behind costs each
    // search a comparison.
    bool extend = task.from != nullptr && behind > 0 && takes_in(*task.from);
    if (!graph) extend = extend && rows >= std::max(1U, rows_min / 16);
    if (wanted == GraphDue::urgent)
      extend = extend && behind >= std::max({1U, rows_min / 16, covered / 16});
    if (wanted == GraphDue::worth)
      extend = extend && behind >= std::max({1U, rows_min / 64, covered / 1024});
    const std::uint32_t written =
        segment->stored_graph() ? static_cast<std::uint32_t>(segment->stored_graph()->size.rows)
                                : 0;
    const bool lasts = rows - written >= std::max({1U, rows_min / 64, written / 128});
    if (wanted == GraphDue::lasting) extend = extend && lasts;
    extend = extend && !anew && extended_fits();
    // What lies in no file is to be done again after a crash.
    const std::uint32_t will_cover = extend ? rows : covered;
    if (!anew && will_cover > written) {
      const bool worth = will_cover - written >= std::max({1U, rows_min / 8, written / 16});
      task.write = wanted == GraphDue::any || (wanted == GraphDue::worth && worth) ||
                   (wanted == GraphDue::lasting && lasts);
    }
    if (!anew && !extend && task.write && !(takes_in(*task.from) && extended_fits()))
      task.rows = covered;
    if (anew || extend || task.write) return task;
  }
  return {};
}

Result<bool> IndexImpl::make_graph_once(GraphDue wanted, unsigned thread_count,
                                        const CallOptions& call) {
  ASSIGN_OR_RETURN(const auto turn, take_turn(call));
  std::optional<GraphTask> task;
  {
    std::lock_guard lock(commit_mutex);
    task = choose_graph(wanted);
  }
  if (!task) return false;
  // A graph in a file is of rows that parts hold, so that it never outlives one of them.
  if (task->write) TRY(checkpoint(Seal::when_full, nullptr));
  Segment& segment = *task->segment;  // stays: nothing is compacted meanwhile
  SegmentView view;
  std::uint32_t rows = 0;
  std::uint64_t lsn = 0;
  {
    std::lock_guard lock(commit_mutex);
    view = segment.view(task->segment);
    rows = task->write ? std::min(segment.persisted_rows(), task->rows) : view.rows;
    const bool adds = task->from && (task->from != segment.graph() || rows > task->from->rows());
    if (adds && !takes_in(*task->from)) return false;  // a longer one was written a moment ago
    lsn = last_lsn;
  }
  const auto begin = std::chrono::steady_clock::now();
  auto made = without_bad_alloc([&] {
    return task->from ? grow_graph(*task, view, rows, thread_count, call)
                      : make_graph(view, rows, lsn, thread_count, call);
  });
  const auto now = std::chrono::steady_clock::now();
  {
    std::lock_guard lock(commit_mutex);
    if (!made.ok()) {
      const ErrorCode code = made.error().code;
      if (code != ErrorCode::cancelled && code != ErrorCode::deadline_exceeded)
        graph_not_before = now + kAfterFailure;
      return std::move(made).error();
    }
    graph_rest_until = std::max(graph_rest_until, now + kRestFactor * (now - begin));
    segment.set_graph(std::move(made->graph));
    if (task->write) {
      if (segment.stored_graph())
        obsolete_files.push_back(derived_name(segment.stored_graph()->record.file));
      segment.set_stored_graph(made->stored);
      graphs_changed = true;
    }
    budget_tables();
    publish();
  }
  if (task->write) TRY(checkpoint(Seal::when_full, nullptr));
  fit_graphs();
  return true;
}

}  // namespace similis::engine
