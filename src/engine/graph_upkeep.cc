#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "engine/graph/build.h"
#include "engine/graph/lift.h"
#include "engine/graph_maker.h"
#include "engine/index_impl.h"

namespace similis::engine {
namespace {

// The leading coordinates, with six bits each, hold three quarters of the variance of image
// features (docs/engine.md); the rest take two, and half of them a third.
constexpr std::uint32_t kLead = 256;

CodeLayout layout_for(std::uint32_t dimensions) {
  CodeLayout layout;
  layout.lead = std::min(kLead, dimensions / 64 * 64);
  layout.tail = dimensions - layout.lead;
  layout.fine_words = static_cast<std::uint32_t>(layout.tail_words() / 2);
  return layout;
}

// Edges are counted in 32 bits.
constexpr std::uint64_t kGraphRowsMax = UINT32_MAX / GraphOptions().degree;
// Of other vectors codes say too little, or the frame costs too much.
constexpr std::uint32_t kDimensionsMin = 32, kDimensionsMost = 8192;
// After a building the index rests so many times as long, but for what is urgent.
constexpr int kRestFactor = 10;
// One that failed, for lack of space or memory, is not tried again at once.
constexpr auto kAfterFailure = std::chrono::minutes(1);

}  // namespace

Result<Segment::GraphFile> IndexImpl::write_graph(const SegmentGraph& graph,
                                                  const Segment& segment) {
  std::uint64_t file = 0;
  {
    std::lock_guard lock(commit_mutex);
    file = next_file++;
  }
  ASSIGN_OR_RETURN(const Manifest::Derived record,
                   write_segment_graph(graph, storage, directory, uuid, file, segment.number()));
  return Segment::GraphFile{record, graph.rows()};
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
  const CodeLayout layout = layout_for(lifted_dimensions(shape.metric, shape.dimensions));
  ASSIGN_OR_RETURN(auto graph, make_segment_graph(*this, source, lsn, layout, longest));
  ASSIGN_OR_RETURN(const Segment::GraphFile file, write_graph(*graph, *view.segment));
  return MadeGraph{std::move(graph), file};
}

bool IndexImpl::may_have_graph(std::uint64_t rows, const SegmentGraph* former) const {
  if (shape.kind != IndexKind::graph || shape.dimensions < kDimensionsMin ||
      shape.dimensions > kDimensionsMost || rows > kGraphRowsMax)
    return false;
  const CodeLayout layout = layout_for(lifted_dimensions(shape.metric, shape.dimensions));
  // With the frame, and something for copies, so that it fits when the index is opened again.
  const std::uint64_t frame = std::uint64_t{geometry.dimensions} * (2 * layout.lead + 20);
  const std::uint64_t bytes =
      rows * (layout.record_bytes() + GraphOptions().degree * sizeof(std::uint32_t) + 8) + frame;
  const std::uint64_t freed = former != nullptr ? former->bytes_in_memory() : 0;
  return budget->tables() - budgeted_tables + table_bytes() - freed + bytes <= budget->limit();
}

// Longer rows than it was made for would not fit its frame.
bool IndexImpl::takes_in(const SegmentGraph& graph) const {
  return shape.metric != Metric::inner_product || norm_max <= graph.norm_bound;
}

std::optional<IndexImpl::GraphTask> IndexImpl::choose_graph(GraphDue wanted) const {
  if (!read_only.empty()) return {};
  if (wanted != GraphDue::any && std::chrono::steady_clock::now() < graph_not_before) return {};
  const std::uint32_t rows_min = options.graph_rows_min;
  // A new segment begins in the frame of the one that has most rows in a graph.
  std::shared_ptr<const SegmentGraph> elder;
  for (const auto& segment : segments)
    if (segment->graph() && (!elder || segment->graph()->rows() > elder->rows()))
      elder = segment->graph();
  for (const auto& segment : segments) {
    const auto& graph = segment->graph();
    const std::uint32_t rows = segment->rows(), covered = graph ? graph->rows() : 0;
    const std::uint32_t behind = rows - covered;
    // Learning by doubling costs twice what once at the end would; between, a graph is extended.
    const std::uint32_t learnt = graph ? graph->learnt_rows : 0;
    const bool doubled = rows - std::min(rows, learnt) >= std::max(rows_min, learnt);
    const bool unlike = graph && behind > 0 && !takes_in(*graph) && wanted != GraphDue::urgent;
    const bool anew = rows >= rows_min && (doubled || unlike);
    GraphTask task{segment, anew ? nullptr : graph ? graph : elder, anew};
    // Extending takes a walk a row behind, and copying what is there; a row behind costs each
    // search a comparison.
    bool extend = task.from != nullptr && behind > 0 && takes_in(*task.from);
    if (!graph) extend = extend && rows >= std::max(1U, rows_min / 16);
    if (wanted == GraphDue::urgent)
      extend = extend && behind >= std::max({1U, rows_min / 16, covered / 16});
    if (wanted == GraphDue::worth)
      extend = extend && behind >= std::max({1U, rows_min / 64, covered / 1024});
    // What lies in no file is to be done again after a crash.
    const std::uint32_t will_cover = extend ? rows : covered;
    const std::uint32_t written = segment->graph_file() ? segment->graph_file()->rows : 0;
    if (!anew && will_cover > written) {
      const bool worth = will_cover - written >= std::max({1U, rows_min / 8, written / 16});
      task.write = wanted == GraphDue::any || (wanted == GraphDue::worth && worth);
    }
    // Asked last: it adds up the memory of all tables, and this runs with every commit.
    if ((anew || extend || task.write) && (!(anew || extend) || may_have_graph(rows, graph.get())))
      return task;
  }
  return {};
}

Result<bool> IndexImpl::make_graph_once(GraphDue wanted, unsigned thread_count,
                                        const CallOptions& call) {
  std::lock_guard one_at_a_time(compaction_mutex);
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
    if (task->from && !takes_in(*task->from)) return false;  // it was written a moment ago
    view = segment.view(task->segment);
    rows = task->write ? segment.persisted_rows() : view.rows;
    lsn = last_lsn;
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto run = [&]() -> Result<MadeGraph> {
    if (!task->from) return make_graph(view, rows, lsn, thread_count, call);
    MadeGraph made{segment.graph(), {}};
    if (!made.graph || rows > made.graph->rows()) {
      const RowSource source(*this, view, rows, thread_count, call);
      ASSIGN_OR_RETURN(made.graph, extend_segment_graph(*this, source, *task->from,
                                                        task->from == segment.graph()));
    }
    if (task->write) {
      ASSIGN_OR_RETURN(made.file, write_graph(*made.graph, segment));
    }
    return made;
  };
  auto made = run();
  const auto now = std::chrono::steady_clock::now();
  {
    std::lock_guard lock(commit_mutex);
    if (!made.ok()) {
      graph_not_before = now + kAfterFailure;
      return std::move(made).error();
    }
    graph_rest_until = now + kRestFactor * (now - begin);
    segment.set_graph(std::move(made->graph));
    if (task->write) {
      if (segment.graph_file())
        obsolete_files.push_back(derived_name(segment.graph_file()->record.file));
      segment.set_graph_file(made->file);
      graphs_changed = true;
    }
    budget_tables();
    publish();
  }
  if (task->write) TRY(checkpoint(Seal::when_full, nullptr));
  return true;
}

}  // namespace similis::engine
