#include <algorithm>

#include "base/log.h"
#include "engine/graph/build.h"
#include "engine/index_impl.h"

namespace similis::engine {
namespace {

constexpr std::uint32_t kSegmentRowsLimit = UINT32_MAX / 2;
constexpr std::uint32_t kDegree = GraphOptions().degree;
// Edges are counted in 32 bits.
constexpr std::uint64_t kGraphRowsMax = UINT32_MAX / kDegree;
// Of other vectors codes say too little, or the frame costs too much.
constexpr std::uint32_t kDimensionsMin = 32, kDimensionsMost = 8192;

}  // namespace

bool IndexImpl::suits_graph(std::uint64_t rows) const {
  return shape.kind == IndexKind::graph && shape.dimensions >= kDimensionsMin &&
         shape.dimensions <= kDimensionsMost && rows <= kGraphRowsMax &&
         build_plan.rows_max >= std::max(1U, options.graph_rows_min);
}

std::uint32_t IndexImpl::largest_segment() const {
  const std::uint64_t makeable = std::min(build_plan.rows_max, kGraphRowsMax);
  return suits_graph(0) ? static_cast<std::uint32_t>(makeable) : kSegmentRowsLimit;
}

std::uint64_t IndexImpl::available_to_graphs() const {
  std::uint64_t graphs = 0;
  for (const auto& segment : segments)
    if (segment->graph()) graphs += segment->graph()->bytes_in_memory();
  const std::uint64_t others = budget->tables() - budgeted_tables + table_bytes() - graphs;
  return budget->limit() - std::min(budget->limit(), others);
}

GraphSize IndexImpl::graph_size_at_most(std::uint64_t rows) const {
  return engine::graph_size_at_most(rows, code_dimensions(), kDegree);
}

bool IndexImpl::may_have_graph(const GraphSize& size,
                               std::span<const std::shared_ptr<Segment>> replaced) const {
  if (!suits_graph(size.rows)) return false;
  std::vector<GraphSize> sizes{size};
  for (const auto& segment : segments) {
    if (!segment->graph() || std::find(replaced.begin(), replaced.end(), segment) != replaced.end())
      continue;
    sizes.push_back(segment->graph_size());
  }
  return plan_codes(sizes, code_dimensions(), available_to_graphs()).tier.has_value();
}

MemoryPlan IndexImpl::plan_graphs(Graphs which) const {
  std::vector<GraphSize> sizes;
  for (const auto& segment : segments) {
    if (segment->graph() || (segment->stored_graph() && which != Graphs::in_memory)) {
      sizes.push_back(segment->graph_size());
    } else if (which == Graphs::there_and_wanting && segment->rows() >= options.graph_rows_min &&
               suits_graph(segment->rows())) {
      sizes.push_back(graph_size_at_most(segment->rows()));
    }
  }
  return plan_codes(sizes, code_dimensions(), available_to_graphs());
}

void IndexImpl::lose_graph(const Manifest::Derived& record, const std::string& why,
                           const std::string& what_follows) {
  similis::log(LogLevel::warning, why + "; " + what_follows);
  obsolete_files.push_back(derived_name(record.file));
  lost_graphs.push_back({derived_name(record.file), 0, why});
}

// Searches are slower without a graph, but there are searches. One that is damaged is made again
// in time.
void IndexImpl::load_graphs(const Manifest& manifest) {
  constexpr const char* kMeanwhile = "until it is made again every vector is compared";
  struct Found {
    Segment* segment;
    Manifest::Derived record;
    GraphFile file;
  };
  std::vector<Found> found;
  for (const Manifest::Segment& listed : manifest.segments) {
    Segment* const segment = find_segment(listed.number);
    for (const Manifest::Derived& record : listed.derived) {
      auto file =
          GraphFile::open(storage, directory, uuid, listed.number, code_dimensions(), record);
      if (!file.ok()) {
        lose_graph(record, file.error().message, kMeanwhile);
      } else if (file->rows() > segment->rows()) {
        lose_graph(record, derived_name(record.file) + " is of another segment", kMeanwhile);
      } else {
        segment->set_stored_graph(StoredGraph{record, {file->rows(), file->bytes_beside_codes()}});
        found.push_back({segment, record, std::move(file).value()});
      }
    }
  }
  // Where there is not room for all, the smallest stay out.
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.file.rows() > b.file.rows(); });
  const MemoryPlan all = plan_graphs(Graphs::there);
  MemoryPlan plan = all;
  while (!plan.tier && !found.empty()) {
    found.pop_back();
    std::vector<GraphSize> sizes;
    for (const Found& one : found) sizes.push_back(one.segment->graph_size());
    plan = plan_codes(sizes, code_dimensions(), all.available);
  }
  if (!all.tier) {
    similis::log(LogLevel::warning, directory.native() + ": its graphs take " +
                                        std::to_string(all.bytes.back()) +
                                        " bytes of memory at least, the limit leaves " +
                                        std::to_string(all.available) +
                                        "; what has none compares every vector (index.memory_max)");
  }
  for (const Found& one : found) {
    auto graph = one.file.read(layout_of(*plan.tier, code_dimensions()));
    if (graph.ok()) {
      one.segment->set_graph(std::move(graph).value());
    } else {
      one.segment->set_stored_graph({});
      lose_graph(one.record, graph.error().message, kMeanwhile);
    }
  }
}

void IndexImpl::fit_graphs() {
  std::vector<std::shared_ptr<Segment>> unfit;
  CodeLayout layout;
  {
    std::lock_guard lock(commit_mutex);
    MemoryPlan plan = plan_graphs(Graphs::there);
    const bool all = plan.tier.has_value();
    if (!all) plan = plan_graphs(Graphs::in_memory);
    // What searches use already stays, though the limit is passed; the next opening goes without.
    layout = layout_of(plan.tier.value_or(CodeTier::smallest), code_dimensions());
    for (const auto& segment : segments) {
      const auto& graph = segment->graph();
      if (!graph && !segment->stored_graph()) continue;
      if (graph ? graph->codes.layout() != layout : all) unfit.push_back(segment);
    }
  }
  for (const auto& segment : unfit) fit_graph(*segment, layout);
  if (!unfit.empty()) {
    std::lock_guard lock(commit_mutex);
    publish();
    budget_tables();
  }
  return_free_memory();
}

void IndexImpl::load_absent_graphs() {
  const std::unique_lock turn(compaction_mutex, std::try_to_lock);
  if (!turn.owns_lock()) return;  // whoever has it fits graphs in the end
  bool absent = false;
  {
    std::lock_guard lock(commit_mutex);
    for (const auto& segment : segments)
      absent = absent || (segment->stored_graph() && !segment->graph());
    absent = absent && plan_graphs(Graphs::there).tier.has_value();
  }
  if (absent) fit_graphs();
}

std::optional<StoredGraph> IndexImpl::stored_graph_of(const Segment& segment) {
  std::lock_guard lock(commit_mutex);
  return segment.stored_graph();
}

// Longer codes are read from the file, once it has all rows that the graph in memory has.
void IndexImpl::fit_graph(Segment& segment, const CodeLayout& layout) {
  const std::shared_ptr<const SegmentGraph> has = segment.graph();
  const std::optional<StoredGraph> stored = stored_graph_of(segment);
  std::shared_ptr<const SegmentGraph> graph;
  if (has && has->codes.layout().holds(layout)) {
    graph = shortened(*has, layout);
  } else if (stored && (!has || stored->size.rows == has->rows())) {
    auto file = GraphFile::open(storage, directory, uuid, segment.number(), code_dimensions(),
                                stored->record);
    auto read = file.ok() ? file->read(layout) : std::move(file).error();
    if (!read.ok()) {
      std::lock_guard lock(commit_mutex);
      if (!segment.stored_graph()) return;  // verify came upon it, too
      lose_graph(stored->record, read.error().message, "it is written again");
      segment.set_stored_graph({});
      graphs_changed = true;
      return;
    }
    graph = std::move(read).value();
  }
  if (!graph) return;
  std::lock_guard lock(commit_mutex);
  segment.set_graph(std::move(graph));
}

}  // namespace similis::engine
