#include "services/library_service.h"

#include <algorithm>
#include <functional>

#include "base/hex.h"
#include "base/log.h"
#include "services/orphans.h"
#include "services/picture_locks.h"
#include "services/stored_file.h"
#include "worker/decoder.h"

namespace similis {

namespace {

constexpr std::size_t kListLimitMax = 1000;
constexpr std::int32_t kPreviewWidthMinPx = 16;
constexpr std::int32_t kPreviewWidthMaxPx = 4096;
constexpr char kJpeg[] = "image/jpeg";

/// Strong: the content hash says which bytes, the suffix which rendering of them.
std::string etag_of(const ImageRow& row, std::string_view suffix = "") {
  return "\"" + to_hex(row.facts.content_hash).substr(0, 32) + std::string(suffix) + "\"";
}

}  // namespace

struct LibraryService::Impl {
  Ports ports;

  Result<ImageRow> row(const Context& ctx, std::string_view collection, ImageId id) {
    ASSIGN_OR_RETURN(const Collection found, ports.metadata.find_collection(ctx, collection));
    return row(ctx, found, id);
  }

  Result<ImageRow> row(const Context& ctx, const Collection& collection, ImageId id) {
    ASSIGN_OR_RETURN(ImageRow row, ports.metadata.get_image(ctx, collection.id, id));
    if (row.state == RowState::removing) {
      return Error(ErrorCode::not_found, "there is no picture " + std::to_string(id) +
                                             " in collection " + collection.name);
    }
    return row;
  }

  struct Rendering {
    bool thumbnail = false;
    std::int32_t preview_width_px = 0;
  };

  /// A small picture of the stored one, made now.
  Result<std::vector<std::byte>> render(const Context& ctx, const ImageRow& row, Rendering wanted) {
    // The worker reads it, through the descriptor that was found to lie where it may.
    ASSIGN_OR_RETURN(const StoredFile stored, open_stored_file(ctx, ports, row));
    DecodeJob job;
    job.source = &stored.file;
    job.name = row.name;
    job.request.thumbnail = wanted.thumbnail;
    job.request.preview_width_px = wanted.preview_width_px;
    ASSIGN_OR_RETURN(auto outcome, ports.decoder.decode(ctx, job));
    ASSIGN_OR_RETURN(auto picture, picture_or_error(std::move(outcome)));
    auto& made = wanted.thumbnail ? picture.thumbnail : picture.preview;
    if (!made) return read_all(stored, row);  // the file serves as its own thumbnail
    return std::move(made->bytes);
  }

  Result<CollectionSummary> summary(const Context& ctx, const Collection& collection) {
    CollectionSummary out;
    out.collection = collection;
    ASSIGN_OR_RETURN(out.counts, ports.metadata.counts(ctx, collection.id));
    ASSIGN_OR_RETURN(out.roots, ports.metadata.list_roots(ctx, collection.id));
    for (const Root& root : out.roots)
      for (const auto& [type, count] : root.skipped) out.skipped += count;
    if (collection.active_index == 0) return out;
    ASSIGN_OR_RETURN(const auto indexes, ports.metadata.list_indexes(ctx, collection.id));
    for (const IndexInfo& index : indexes) {
      if (index.id != collection.active_index) continue;
      out.model_name = index.model_name;
      out.model_version = index.model_version;
      out.dimensions = index.dimensions;
      // A model that has gone missing must not hide the collection from its owner.
      if (auto model = ports.models.load_identity(index.identity, index.model_name); model.ok()) {
        out.calibration = (*model)->info().calibration;
        out.precision = (*model)->info().precision;
      }
    }
    // Nor must an index that does not open.
    if (auto stats = ports.vectors.stats(ctx, collection.active_index); stats.ok()) {
      out.index = *std::move(stats);
    } else {
      TRY(ctx.check());
      out.index_error = std::move(stats).error();
    }
    return out;
  }

  /// What filters see of the row, in every index. The active index's token.
  Result<WriteToken> send_attributes(const Context& ctx, const Collection& collection,
                                     const ImageRow& row) {
    WriteToken token = collection.token;
    if (row.state != RowState::ready) return token;
    ASSIGN_OR_RETURN(const auto indexes, ports.metadata.list_indexes(ctx, collection.id));
    const AttributeUpdate update{row.id, attributes_of(row)};
    for (const IndexInfo& index : indexes) {
      if (index.state == IndexState::retired) continue;
      ASSIGN_OR_RETURN(const WriteToken t,
                       ports.vectors.update_attributes(ctx, index.id, std::span(&update, 1)));
      if (index.id == collection.active_index) token = t;
    }
    return token;
  }

  /// Replaces the tags by what `change` makes of them (sorted, unique).
  Result<ImageRow> change_tags(
      const Context& ctx, std::string_view collection, ImageId id,
      const std::function<std::vector<std::string>(std::vector<std::string>)>& change) {
    ASSIGN_OR_RETURN(const Collection found, ports.metadata.find_collection(ctx, collection));
    const PictureLocks locks(id);
    ASSIGN_OR_RETURN(const ImageRow before, this->row(ctx, found, id));
    ImageRow row = before;
    row.tags = change(before.tags);
    if (row.tags == before.tags) return row;
    // What filters see comes first, as with vectors: the epoch that follows makes it part of every
    // answer.
    const auto token = send_attributes(ctx, found, row);
    const Status written = token.ok() ? ports.metadata.set_tags(ctx, found.id, id, row.tags, *token)
                                      : Status(token.error());
    if (written.ok()) return this->row(ctx, found, id);
    // What the row says now, also when the caller's time is up; a commit whose answer was lost
    // holds.
    const auto now = this->row(Context{}, found, id);
    if (const auto undone = send_attributes(Context{}, found, now.ok() ? *now : before);
        !undone.ok()) {
      log(LogLevel::error, "filters see tags of picture " + std::to_string(id) +
                               " that its row lacks, until verify: " + undone.error().message);
    }
    return written.error();
  }
};

LibraryService::LibraryService(const Ports& ports) : impl_(new Impl{ports}) {}
LibraryService::~LibraryService() = default;

Result<CollectionSummary> LibraryService::create_collection(const Context& ctx,
                                                            std::string_view name) {
  TRY(check_collection_name(name));
  ASSIGN_OR_RETURN(const Collection made, impl_->ports.metadata.create_collection(ctx, name));
  return impl_->summary(ctx, made);
}

Result<std::vector<CollectionSummary>> LibraryService::list_collections(const Context& ctx) {
  ASSIGN_OR_RETURN(const auto collections, impl_->ports.metadata.list_collections(ctx));
  std::vector<CollectionSummary> out;
  for (const Collection& collection : collections) {
    ASSIGN_OR_RETURN(CollectionSummary summary, impl_->summary(ctx, collection));
    out.push_back(std::move(summary));
  }
  return out;
}

Result<CollectionSummary> LibraryService::get_collection(const Context& ctx,
                                                         std::string_view name) {
  ASSIGN_OR_RETURN(const Collection found, impl_->ports.metadata.find_collection(ctx, name));
  return impl_->summary(ctx, found);
}

Status LibraryService::delete_collection(const Context& ctx, std::string_view name) {
  Ports& ports = impl_->ports;
  ASSIGN_OR_RETURN(const Collection found, ports.metadata.find_collection(ctx, name));
  ASSIGN_OR_RETURN(const auto jobs, ports.metadata.unfinished_jobs(ctx, found.id));
  if (!jobs.empty()) {
    return Error(ErrorCode::conflict,
                 "collection " + found.name + " is being worked on by job " +
                     std::to_string(jobs.front().id),
                 "Cancel the job first.");
  }
  ASSIGN_OR_RETURN(const auto indexes, ports.metadata.list_indexes(ctx, found.id));
  // Rows last: should we die in between, the collection is still there to be deleted again.
  for (const IndexInfo& index : indexes) TRY(ports.vectors.drop_index(ctx, found.id, index.id));
  // The thumbnails and uploads that nobody holds any more are swept by whoever runs the jobs, in a
  // quiet moment: looking for them takes long.
  return ports.metadata.delete_collection(ctx, found.id);
}

Result<ListPage> LibraryService::list_images(const Context& ctx, std::string_view collection,
                                             ListRequest request) {
  ASSIGN_OR_RETURN(const Collection found, impl_->ports.metadata.find_collection(ctx, collection));
  if (request.limit < 1 || request.limit > kListLimitMax) {
    return Error(ErrorCode::invalid_argument, "limit is " + std::to_string(request.limit),
                 "It must be 1 to " + std::to_string(kListLimitMax) + ".");
  }
  request.collection = found.id;
  return impl_->ports.metadata.list_images(ctx, request);
}

Result<ListPage> LibraryService::list_failures(const Context& ctx, std::string_view collection,
                                               std::size_t limit, std::string_view cursor) {
  ASSIGN_OR_RETURN(const Collection found, impl_->ports.metadata.find_collection(ctx, collection));
  return impl_->ports.metadata.list_failures(
      ctx, found.id, 0, std::clamp<std::size_t>(limit, 1, kListLimitMax), cursor);
}

Result<ImageRow> LibraryService::get_image(const Context& ctx, std::string_view collection,
                                           ImageId id) {
  return impl_->row(ctx, collection, id);
}

Result<ImageRow> LibraryService::set_tags(const Context& ctx, std::string_view collection,
                                          ImageId id, std::vector<std::string> tags) {
  for (const std::string& tag : tags) {
    if (tag.empty() || tag.size() > kTagBytesMax) {
      return Error(ErrorCode::invalid_argument, "a tag of " + std::to_string(tag.size()) + " bytes",
                   "A tag has 1 to " + std::to_string(kTagBytesMax) + " bytes.");
    }
  }
  if (tags.size() > kTagsMax) {
    return Error(ErrorCode::invalid_argument, std::to_string(tags.size()) + " tags",
                 "A picture has at most " + std::to_string(kTagsMax) + " tags.");
  }
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  return impl_->change_tags(ctx, collection, id,
                            [&](const std::vector<std::string>&) { return std::move(tags); });
}

Result<ImageRow> LibraryService::add_tags(const Context& ctx, std::string_view collection,
                                          ImageId id, std::span<const std::string> tags) {
  return impl_->change_tags(ctx, collection, id, [&](std::vector<std::string> all) {
    for (const std::string& tag : tags) {
      const auto at = std::lower_bound(all.begin(), all.end(), tag);
      if (all.size() < kTagsMax && (at == all.end() || *at != tag)) all.insert(at, tag);
    }
    return all;
  });
}

Status LibraryService::remove_image(const Context& ctx, std::string_view collection, ImageId id) {
  Ports& ports = impl_->ports;
  ASSIGN_OR_RETURN(const Collection found, ports.metadata.find_collection(ctx, collection));
  // Removal is the way out for a damaged row.
  if (auto row = impl_->row(ctx, found, id);
      !row.ok() && row.error().code != ErrorCode::corruption) {
    return std::move(row).error();
  }
  TRY(ports.metadata.begin_removal(ctx, found.id, std::span(&id, 1)));
  return complete_removal(ctx, ports, found.id, std::span(&id, 1));
}

Result<PictureFile> LibraryService::file(const Context& ctx, const ImageRow& row) {
  ASSIGN_OR_RETURN(StoredFile stored, open_stored_file(ctx, impl_->ports, row));
  return PictureFile{std::move(stored.file), stored.size_bytes, media_type_of(row.facts.format),
                     stored.as_indexed ? file_etag(row) : "", row.name};
}

std::string LibraryService::file_etag(const ImageRow& row) {
  return etag_of(row);
}

Result<PictureBytes> LibraryService::thumbnail(const Context& ctx, std::string_view collection,
                                               ImageId id) {
  ASSIGN_OR_RETURN(const ImageRow row, impl_->row(ctx, collection, id));
  const std::string etag = etag_of(row, "t");
  if (!row.facts.thumbnail_type.empty()) {
    auto blob = impl_->ports.blobs.get(ctx, BlobKind::thumbnail, row.facts.content_hash);
    if (blob.ok()) return PictureBytes{std::move(blob->bytes), blob->media_type, etag, row.name};
    if (blob.error().code != ErrorCode::not_found) return std::move(blob).error();
    // A thumbnail can always be made again: it is a cache, not data.
    ASSIGN_OR_RETURN(auto jpeg, impl_->render(ctx, row, {.thumbnail = true}));
    TRY(impl_->ports.blobs.put(ctx, BlobKind::thumbnail, row.facts.content_hash, jpeg, kJpeg));
    return PictureBytes{std::move(jpeg), kJpeg, etag, row.name};
  }
  ASSIGN_OR_RETURN(auto bytes, read_stored_file(ctx, impl_->ports, row));
  return PictureBytes{std::move(bytes), media_type_of(row.facts.format), etag, row.name};
}

Result<PictureBytes> LibraryService::preview(const Context& ctx, std::string_view collection,
                                             ImageId id, std::int32_t width_max) {
  if (width_max < kPreviewWidthMinPx || width_max > kPreviewWidthMaxPx) {
    return Error(ErrorCode::invalid_argument, "w is " + std::to_string(width_max),
                 "It must be " + std::to_string(kPreviewWidthMinPx) + " to " +
                     std::to_string(kPreviewWidthMaxPx) + ".");
  }
  ASSIGN_OR_RETURN(const ImageRow row, impl_->row(ctx, collection, id));
  const std::string size = std::to_string(width_max);
  const std::string key = "preview:" + to_hex(row.facts.content_hash) + ":" + size;
  std::vector<std::byte> jpeg;
  if (const auto cached = impl_->ports.cache.get(ctx, key)) {
    const auto bytes = std::as_bytes(std::span(*cached));
    jpeg.assign(bytes.begin(), bytes.end());
  } else {
    ASSIGN_OR_RETURN(jpeg, impl_->render(ctx, row, {.preview_width_px = width_max}));
    impl_->ports.cache.put(
        ctx, key, std::string(reinterpret_cast<const char*>(jpeg.data()), jpeg.size()), {});
  }
  return PictureBytes{std::move(jpeg), kJpeg, etag_of(row, "p" + size), row.name};
}

Result<std::vector<ModelProvider::Listed>> LibraryService::models(const Context& ctx) {
  TRY(ctx.check());
  return impl_->ports.models.list();
}

}  // namespace similis
