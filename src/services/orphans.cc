#include "services/orphans.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"

namespace similis {

Status drop_orphaned_indexes(const Context& ctx, const Ports& ports) {
  ASSIGN_OR_RETURN(const auto stored, ports.vectors.list_indexes(ctx));  // before the rows
  if (stored.empty()) return {};
  // Not even their ids are given again.
  const auto max_id = ports.vectors.max_id(ctx);
  if (max_id.ok() && *max_id > 0) TRY(ports.metadata.raise_next_id(ctx, *max_id));
  std::set<std::pair<CollectionId, IndexId>> named;
  ASSIGN_OR_RETURN(const auto collections, ports.metadata.list_collections(ctx));
  for (const Collection& collection : collections) {
    ASSIGN_OR_RETURN(const auto indexes, ports.metadata.list_indexes(ctx, collection.id));
    for (const IndexInfo& index : indexes) named.emplace(collection.id, index.id);
  }
  for (const StoredIndex& index : stored) {
    if (named.contains({index.collection, index.index})) continue;
    log(LogLevel::warning, "index " + std::to_string(index.index) +
                               " belongs to no collection any more; it is removed");
    TRY(ports.vectors.drop_index(ctx, index.collection, index.index));
  }
  return {};
}

Status sweep_orphans(const Context& ctx, const Ports& ports) {
  for (const BlobKind kind : {BlobKind::thumbnail, BlobKind::upload}) {
    std::vector<ContentHash> candidates;
    TRY(ports.blobs.for_each(ctx, kind, [&](const ContentHash& hash, std::int64_t age_s) {
      if (age_s >= kOrphanAgeMinS) candidates.push_back(hash);
      return true;
    }));
    for (const ContentHash& hash : candidates) {
      TRY(ctx.check());
      ASSIGN_OR_RETURN(const bool used, ports.metadata.hash_in_use(ctx, hash));
      if (!used) TRY(ports.blobs.erase_aged(ctx, kind, hash, kOrphanAgeMinS));
    }
  }
  return {};
}

Status complete_removal(const Context& ctx, const Ports& ports, CollectionId collection,
                        std::span<const ImageId> ids) {
  if (ids.empty()) return {};
  ASSIGN_OR_RETURN(const Collection found, ports.metadata.get_collection(ctx, collection));
  ASSIGN_OR_RETURN(const auto indexes, ports.metadata.list_indexes(ctx, collection));
  WriteToken active_token = found.token;
  for (const IndexInfo& index : indexes) {
    if (index.state == IndexState::retired) continue;
    ASSIGN_OR_RETURN(const WriteToken token, ports.vectors.erase(ctx, index.id, ids));
    if (index.id == found.active_index) active_token = token;
  }
  ASSIGN_OR_RETURN(const auto unheld,
                   ports.metadata.finish_removal(ctx, collection, ids, active_token));
  for (const ContentHash& hash : unheld) {
    for (const BlobKind kind : {BlobKind::thumbnail, BlobKind::upload}) {
      TRY(ports.blobs.erase_aged(ctx, kind, hash, kOrphanAgeMinS));
    }
  }
  return {};
}

Status remove_images(const Context& ctx, const Ports& ports, CollectionId collection,
                     std::span<const ImageId> ids) {
  constexpr std::size_t kBatch = 500;
  for (; !ids.empty(); ids = ids.subspan(std::min(kBatch, ids.size()))) {
    TRY(ctx.check());
    const auto batch = ids.first(std::min(kBatch, ids.size()));
    TRY(ports.metadata.begin_removal(ctx, collection, batch));
    TRY(complete_removal(ctx, ports, collection, batch));
  }
  return {};
}

}  // namespace similis
