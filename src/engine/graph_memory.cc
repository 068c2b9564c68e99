#include <algorithm>

#include "base/log.h"
#include "engine/graph/build.h"
#include "engine/index_impl.h"

namespace similis::engine {
namespace {

constexpr std::uint32_t kDegree = GraphOptions().degree;
// Edges are counted in 32 bits.
constexpr std::uint64_t kGraphRowsMax = UINT32_MAX / kDegree;
// Of other vectors codes say too little, or the frame costs too much.
constexpr std::uint32_t kDimensionsMin = 32, kDimensionsMost = 8192;

}  // namespace

bool IndexImpl::suits_graph(std::uint64_t rows) const {
  return shape.kind == IndexKind::graph && shape.dimensions >= kDimensionsMin &&
         shape.dimensions <= kDimensionsMost && rows <= kGraphRowsMax;
}

std::uint64_t IndexImpl::available_to_graphs() const {
  std::uint64_t graphs = 0;
  for (const auto& segment : segments)
    if (segment->graph()) graphs += segment->graph()->bytes_in_memory();
  const std::uint64_t others = budget->tables() - budgeted_tables + table_bytes() - graphs;
  return budget->limit() - std::min(budget->limit(), others);
}

bool IndexImpl::may_have_graph(std::uint64_t rows, const Segment* replaced) const {
  if (!suits_graph(rows)) return false;
  std::vector<GraphSize> sizes{graph_size_at_most(rows, code_dimensions(), kDegree)};
  for (const auto& segment : segments)
    if (segment->graph() && segment.get() != replaced) sizes.push_back(segment->graph_size());
  return plan_codes(sizes, code_dimensions(), available_to_graphs()).tier.has_value();
}

MemoryPlan IndexImpl::plan_graphs(Graphs which) const {
  std::vector<GraphSize> sizes;
  for (const auto& segment : segments) {
    if (segment->graph() || segment->stored_graph()) {
      sizes.push_back(segment->graph_size());
    } else if (which == Graphs::there_and_wanting && segment->rows() >= options.graph_rows_min &&
               suits_graph(segment->rows())) {
      sizes.push_back(graph_size_at_most(segment->rows(), code_dimensions(), kDegree));
    }
  }
  return plan_codes(sizes, code_dimensions(), available_to_graphs());
}

// Searches are slower without a graph, but there are searches. One that is damaged is made again
// in time.
void IndexImpl::load_graphs(const Manifest& manifest) {
  const auto lose = [&](const Manifest::Derived& record, const std::string& why) {
    similis::log(LogLevel::warning, why + "; until it is made again every vector is compared");
    obsolete_files.push_back(derived_name(record.file));
    lost_graphs.push_back({derived_name(record.file), 0, why});
  };
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
        lose(record, file.error().message);
      } else if (file->rows() > segment->rows()) {
        lose(record, derived_name(record.file) + " is of another segment");
      } else {
        segment->set_stored_graph(StoredGraph{record, {file->rows(), file->bytes_beside_codes()}});
        found.push_back({segment, record, std::move(file).value()});
      }
    }
  }
  if (found.empty()) return;
  const MemoryPlan plan = plan_graphs(Graphs::there);
  if (!plan.tier) {
    similis::log(LogLevel::warning,
                 directory.native() + ": its graphs take " + std::to_string(plan.bytes.back()) +
                     " bytes of memory at least, the limit leaves " +
                     std::to_string(plan.available) +
                     "; without them every vector is compared (index.memory_max)");
    return;
  }
  for (const Found& one : found) {
    auto graph = one.file.read(layout_of(*plan.tier, code_dimensions()));
    if (graph.ok()) {
      one.segment->set_graph(std::move(graph).value());
    } else {
      one.segment->set_stored_graph({});
      lose(one.record, graph.error().message);
    }
  }
}

void IndexImpl::fit_graphs() {
  std::vector<std::shared_ptr<Segment>> unfit;
  CodeLayout layout;
  {
    std::lock_guard lock(commit_mutex);
    const MemoryPlan plan = plan_graphs(Graphs::there);
    // What searches use already stays, though the limit is passed; the next opening goes without.
    layout = layout_of(plan.tier.value_or(CodeTier::smallest), code_dimensions());
    for (const auto& segment : segments) {
      if (!segment->stored_graph()) continue;
      if (!segment->graph()) {
        if (plan.tier) unfit.push_back(segment);
        continue;
      }
      const CodeLayout& has = segment->graph()->codes.layout();
      // Longer codes are read once the file has all rows; shorter ones at once, and what the file
      // lacks is taken in again.
      const bool whole = segment->stored_graph()->size.rows == segment->graph()->rows();
      if (has != layout && (whole || has.holds(layout))) unfit.push_back(segment);
    }
  }
  for (const auto& segment : unfit) {
    auto file = GraphFile::open(storage, directory, uuid, segment->number(), code_dimensions(),
                                segment->stored_graph()->record);
    auto graph = file.ok() ? file->read(layout) : std::move(file).error();
    if (!graph.ok()) {
      similis::log(LogLevel::warning, "codes stay as they are: " + graph.error().message);
      continue;
    }
    std::lock_guard lock(commit_mutex);
    segment->set_graph(std::move(graph).value());
  }
  if (!unfit.empty()) {
    std::lock_guard lock(commit_mutex);
    publish();
    budget_tables();
  }
  return_free_memory();
}

}  // namespace similis::engine
