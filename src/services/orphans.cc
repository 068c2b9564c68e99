#include "services/orphans.h"

#include <algorithm>
#include <vector>

namespace similis {

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
