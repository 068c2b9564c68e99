#include <algorithm>

#include "engine/index_impl.h"

namespace similis::engine {

IndexStatistics IndexImpl::statistics() {
  IndexStatistics out;
  std::lock_guard lock(commit_mutex);
  std::uint64_t vectors = 0, blocks = 0;
  for (const auto& segment : segments) {
    if (segment->rows() == 0) continue;
    ++out.segments;
    out.dead_rows += segment->dead();
    out.rows += segment->rows() - segment->dead();
    for (const auto& part : *segment->parts()) {
      ++out.files;
      out.bytes_on_disk += part->bytes();
    }
    if (segment->stored_graph()) {
      ++out.files;
      out.bytes_on_disk += segment->stored_graph()->record.bytes;
    }
    if (segment->graph()) {
      out.graph_rows += segment->graph()->rows();
      out.graph_bytes_in_memory += segment->graph()->bytes_in_memory();
    }
    const SegmentView view = segment->view(segment);
    for (std::uint32_t c = 0; c < view.chunks->size(); ++c) {
      const std::uint32_t rows = std::min(geometry.chunk_rows, view.rows - c * geometry.chunk_rows);
      if ((*view.chunks)[c]->block()) {
        vectors += std::uint64_t{rows} * geometry.stride_bytes;
        blocks += geometry.chunk_bytes();
      } else {
        out.vector_bytes_on_disk_only += geometry.slots(rows) * geometry.slot_bytes;
      }
    }
  }
  const MemoryPlan plan = plan_graphs(Graphs::there_and_wanting);
  out.graph_bytes_available = plan.available;
  for (std::size_t t = 0; t < kCodeTiers && plan.bytes[t] > 0; ++t) {
    const auto tier = static_cast<CodeTier>(t);
    const CodeLayout layout = layout_of(tier, code_dimensions());
    out.code_tiers.push_back({std::string(name_of(tier)),
                              static_cast<std::uint32_t>(layout.record_bytes()), plan.bytes[t]});
    for (const auto& segment : segments)
      if (out.code_tier.empty() && segment->graph() && segment->graph()->codes.layout() == layout)
        out.code_tier = name_of(tier);
  }
  for (const LogFile& file : logs) {
    ++out.files;
    out.bytes_on_disk += file.bytes;
    out.log_bytes += file.bytes;
  }
  ++out.files;
  out.bytes_on_disk += manifest_bytes;
  out.vector_bytes_in_memory = vectors;
  out.bytes_in_memory = blocks + table_bytes();
  out.read_buffer_bytes = budget->scratch_bytes();
  out.reads = counters.requests.load(std::memory_order_relaxed);
  out.bytes_read = counters.bytes.load(std::memory_order_relaxed);
  out.lsn = last_lsn;
  out.norm_max = norm_max;
  out.read_only = read_only;
  out.damaged_rows = damaged_rows;
  out.graph_rows_wanted = graph_rows_wanted;
  out.graph_rows_done = std::min(graph_rows_done.load(), out.graph_rows_wanted);
  return out;
}

}  // namespace similis::engine
