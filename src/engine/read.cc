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
  std::vector<std::byte> row;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!places[i]) continue;
    TRY(call.check());
    const auto view =
        std::find_if(state->segments.begin(), state->segments.end(),
                     [&](const auto& v) { return v.segment->number() == places[i]->segment; });
    const std::uint32_t ordinal = places[i]->ordinal;
    // Of a write that memory ran out under: it was never published.
    if (view == state->segments.end() || ordinal >= view->rows) continue;
    TRY(view->segment->read_row(*view->chunks, ordinal, *buffer, row, &counters));
    if (row.empty()) {
      drop_damaged(*view->segment, {&ordinal, 1});
      continue;
    }
    out[i].resize(geometry.dimensions);
    simd::kernels().to_float(reinterpret_cast<const std::uint16_t*>(row.data()),
                             geometry.dimensions, out[i].data());
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

}  // namespace similis::engine
