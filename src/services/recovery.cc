#include "services/recovery.h"

#include <sys/stat.h>

#include <unordered_map>

#include "base/log.h"
#include "services/index_targets.h"
#include "services/ingest_pipeline.h"
#include "services/orphans.h"

namespace similis {

namespace {

constexpr std::size_t kPage = 500;

bool is_there(const std::string& path) {
  struct stat st{};
  return stat(path.c_str(), &st) == 0;
}

Status finish_removals(const Context& ctx, const Ports& ports, CollectionId collection) {
  for (ImageId after = 0;;) {
    // By id: damaged rows go the same way.
    ASSIGN_OR_RETURN(const auto ids, ports.metadata.scan_image_ids(
                                         ctx, collection, RowState::removing, after, kPage));
    if (ids.empty()) return {};
    TRY(complete_removal(ctx, ports, collection, ids));
    after = ids.back();
  }
}

/// Of rows whose picture cannot be had: an upload without its blob was never answered for; a file
/// that was deleted takes its row along when its folder is there to say so.
Status drop_lost(const Context& ctx, const Ports& ports, CollectionId collection,
                 const std::vector<ImageRow>& lost) {
  std::vector<ImageId> ids;
  for (const ImageRow& row : lost) {
    if (row.state == RowState::ready) continue;
    if (row.folder == 0 || is_there(row.folder_path)) ids.push_back(row.id);
  }
  return remove_images(ctx, ports, collection, ids);
}

Status finish_pending(const Context& ctx, const Ports& ports, CollectionId collection) {
  for (ImageId after = 0;;) {
    ASSIGN_OR_RETURN(const auto rows,
                     ports.metadata.scan_images(ctx, collection, RowState::pending, after, kPage));
    if (rows.empty()) return {};
    ASSIGN_OR_RETURN(const auto lost, take_in_again(ctx, ports, collection, rows));
    TRY(drop_lost(ctx, ports, collection, lost));
    after = rows.back().id;
  }
}

}  // namespace

Status recover_rows(const Context& ctx, const Ports& ports) {
  if (const auto max_id = ports.vectors.max_id(ctx); !max_id.ok()) {
    TRY(ctx.check());
    log(LogLevel::warning, "the largest id in use is not known: " + max_id.error().message);
  } else if (*max_id > 0) {
    TRY(ports.metadata.raise_next_id(ctx, *max_id));
  }
  ASSIGN_OR_RETURN(const auto collections, ports.metadata.list_collections(ctx));
  for (const Collection& collection : collections) {
    Status finished = finish_removals(ctx, ports, collection.id);
    if (finished.ok()) finished = finish_pending(ctx, ports, collection.id);
    if (finished.ok()) continue;
    TRY(ctx.check());
    // One collection's missing model or damaged index must not keep the others from starting.
    log(LogLevel::warning, "unfinished pictures of collection " + collection.name +
                               " stay as they are: " + finished.error().message);
  }
  return {};
}

Result<std::vector<ImageRow>> take_in_again(const Context& ctx, const Ports& ports,
                                            CollectionId collection,
                                            std::span<const ImageRow> rows) {
  std::vector<ImageRow> lost;
  if (rows.empty()) return lost;
  ASSIGN_OR_RETURN(auto targets, ensure_indexes(ctx, ports, collection, ""));
  IngestPipeline pipeline(ports, std::move(targets), {collection, "", nullptr, nullptr});
  std::unordered_map<FolderId, std::shared_ptr<FolderPlace>> places;
  for (const ImageRow& row : rows) {
    IngestSource source;
    source.name = row.name;
    source.mtime_ns = row.mtime_ns;
    source.size_bytes = row.facts.size_bytes;
    // As one whose vector cannot be relied on.
    source.known = KnownFile{
        row.id,           row.name, row.facts.size_bytes, row.mtime_ns, row.facts.content_hash,
        RowState::pending};
    if (row.folder != 0) {
      if (!is_there(row.path())) {
        lost.push_back(row);
        continue;
      }
      auto& place = places[row.folder];
      if (!place) place = std::make_shared<FolderPlace>(FolderPlace{row.folder_path, row.folder});
      source.place = place;
    } else {
      auto blob = ports.blobs.get(ctx, BlobKind::upload, row.facts.content_hash);
      if (!blob.ok() && blob.error().code != ErrorCode::not_found) return std::move(blob).error();
      if (!blob.ok()) {
        lost.push_back(row);
        continue;
      }
      source.bytes = std::make_shared<const std::vector<std::byte>>(std::move(blob->bytes));
    }
    TRY(pipeline.push(std::move(source)));
  }
  TRY(pipeline.drain(ctx));
  return lost;
}

}  // namespace similis
