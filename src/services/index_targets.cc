#include "services/index_targets.h"

#include <algorithm>
#include <mutex>
#include <string>

#include "base/log.h"
#include "base/scope_exit.h"

namespace similis {

namespace {

/// An upload and a build may meet at a collection's first picture: one of them makes the index.
std::mutex first_index_mutex;

Result<IndexInfo> make_first_index(const Context& ctx, const Ports& ports, CollectionId collection,
                                   std::string_view model) {
  ASSIGN_OR_RETURN(const auto embedder, ports.models.load(model));
  const ModelInfo& info = embedder->info();
  IndexInfo wanted;
  wanted.collection = collection;
  wanted.model_name = info.name;
  wanted.model_version = info.version;
  wanted.identity = info.identity;
  wanted.dimensions = static_cast<std::int32_t>(info.dimensions);
  return ports.metadata.create_index(ctx, wanted);
}

}  // namespace

Result<std::vector<IndexTarget>> ensure_indexes(const Context& ctx, const Ports& ports,
                                                CollectionId collection, std::string_view model) {
  std::lock_guard lock(first_index_mutex);
  ASSIGN_OR_RETURN(auto indexes, ports.metadata.list_indexes(ctx, collection));
  std::erase_if(indexes, [](const IndexInfo& i) { return i.state == IndexState::retired; });
  if (indexes.empty()) {
    ASSIGN_OR_RETURN(IndexInfo made, make_first_index(ctx, ports, collection, model));
    indexes.push_back(std::move(made));
  }
  std::stable_partition(indexes.begin(), indexes.end(),
                        [](const IndexInfo& i) { return i.state == IndexState::active; });
  std::vector<IndexTarget> targets;
  for (IndexInfo& index : indexes) {
    // The row comes before the files: a process that died in between left none. Opens otherwise.
    TRY(ports.vectors.create_index(ctx, collection, index.id, index.dimensions));
    ASSIGN_OR_RETURN(auto embedder, ports.models.load_identity(index.identity, index.model_name));
    targets.push_back({std::move(index), std::move(embedder)});
  }
  return targets;
}

Status optimize_indexes(const Context& ctx, const Ports& ports, CollectionId collection,
                        IngestCounters& counters) {
  ASSIGN_OR_RETURN(const auto indexes, ports.metadata.list_indexes(ctx, collection));
  counters.optimizing = true;
  const ScopeExit done([&] { counters.optimizing = false; });
  Status cancelled;
  for (const IndexInfo& index : indexes) {
    if (index.state == IndexState::retired || !cancelled.ok()) continue;
    const Status optimized = ports.vectors.optimize(ctx, index.id);
    cancelled = ctx.check();
    if (optimized.ok() || !cancelled.ok()) continue;
    const Error& error = optimized.error();
    const bool damaged = error.code == ErrorCode::corruption;
    log(damaged ? LogLevel::error : LogLevel::warning,
        "index " + std::to_string(index.id) +
            (damaged ? " is damaged: " : " is not as quick as it could be: ") + error.message +
            (error.hint.empty() ? "" : ". " + error.hint));
  }
  return cancelled;
}

}  // namespace similis
