#include <algorithm>

#include "base/log.h"
#include "engine/index_impl.h"
#include "engine/search.h"
#include "engine/simd/kernels.h"

namespace similis::engine {

std::shared_ptr<const SnapshotState> IndexImpl::snapshot() const {
  std::lock_guard lock(snapshot_mutex);
  return published;
}

Result<std::vector<std::vector<float>>> IndexImpl::fetch(std::span<const std::uint64_t> ids,
                                                         const CallOptions& call) {
  std::vector<std::optional<Location>> places;
  std::shared_ptr<const SnapshotState> state;
  {
    // Under the lock both belong to one moment.
    std::shared_lock lock(map_mutex);
    for (const std::uint64_t id : ids) places.push_back(map.find(id));
    state = snapshot();
  }
  std::vector<std::vector<float>> out(ids.size());
  ScratchPool::Lease buffer(scratch);
  std::vector<std::uint32_t> damaged;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!places[i]) continue;
    TRY(call.check());
    const auto view =
        std::find_if(state->segments.begin(), state->segments.end(),
                     [&](const auto& v) { return v.segment->number() == places[i]->segment; });
    const std::uint32_t ordinal = places[i]->ordinal;
    // Of a write that memory ran out under: it was never published.
    if (view == state->segments.end() || ordinal >= view->rows) continue;
    const std::uint32_t at = ordinal % geometry.chunk_rows;
    out[i].resize(geometry.dimensions);
    const auto to_float = [&](const std::byte* row) {
      simd::kernels().to_float(reinterpret_cast<const std::uint16_t*>(row), geometry.dimensions,
                               out[i].data());
    };
    if (const auto block = (*view->chunks)[ordinal / geometry.chunk_rows]->block()) {
      to_float(block->data() + std::size_t{at} * geometry.stride_bytes);
      continue;
    }
    const auto parts = view->segment->parts();
    for (const auto& part : *parts) {
      if (!part->holds(ordinal)) continue;
      Part::Rows rows;
      const std::uint32_t in_part = ordinal - part->first_ordinal();
      damaged.clear();
      TRY(part->read_rows(in_part, 1, *buffer, rows, &counters, damaged));
      if (damaged.empty()) {
        to_float(rows.row(geometry, in_part));
      } else {
        out[i].clear();
        drop_damaged(*view->segment, {&ordinal, 1});
      }
    }
  }
  return out;
}

Result<std::vector<std::optional<std::vector<std::byte>>>> IndexImpl::fetch_attributes(
    std::span<const std::uint64_t> ids, const CallOptions& call) {
  std::vector<std::optional<std::vector<std::byte>>> out(ids.size());
  // Under the lock place and segment belong to one moment.
  std::shared_lock lock(map_mutex);
  const auto state = snapshot();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    TRY(call.check());
    const auto place = map.find(ids[i]);
    if (!place) continue;
    const auto view =
        std::find_if(state->segments.begin(), state->segments.end(),
                     [&](const auto& v) { return v.segment->number() == place->segment; });
    // Of a write that memory ran out under: it was never published.
    if (view == state->segments.end()) continue;
    view->segment->columns().get(place->ordinal, out[i].emplace());
  }
  return out;
}

Result<SearchAnswer> IndexImpl::search(const SnapshotState& state, std::span<const float> queries,
                                       const SearchOptions& search_options) {
  std::vector<DamagedRows> damaged;
  auto answer =
      search_snapshot(state, shape, queries, search_options,
                      {budget->pool(), threads, scratch, graph_workers, counters}, damaged);
  for (const DamagedRows& rows : damaged) drop_damaged(*rows.segment, rows.ordinals);
  return answer;
}

bool IndexImpl::drop_damaged(const Segment& segment, std::span<const std::uint32_t> ordinals) {
  std::lock_guard lock(commit_mutex);
  Segment* current = find_segment(segment.number());
  if (current == nullptr)
    return false;  // compacted away: the rows that were good live on elsewhere
  std::unique_lock map_lock(map_mutex);
  bury(*current, ordinals);
  return true;
}

void IndexImpl::bury(Segment& segment, std::span<const std::uint32_t> ordinals) {
  std::uint64_t dropped = 0;
  for (const std::uint32_t ordinal : ordinals) {
    if (!segment.alive(ordinal)) continue;
    map.remove(segment.id(ordinal));
    // Dead to every snapshot, also one from before: nobody is to score these bytes.
    kill({segment.number(), ordinal}, 0);
    ++dropped;
  }
  if (dropped == 0) return;
  damaged_rows += dropped;
  similis::log(LogLevel::error, directory.native() + ": " + std::to_string(dropped) +
                                    " vectors are damaged on disk; their rows count as erased "
                                    "until they are written again (verify names the places)");
}

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
