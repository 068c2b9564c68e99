#include "services/picture_writer.h"

#include <algorithm>
#include <unordered_map>

#include "services/picture_locks.h"

namespace similis {

namespace {

std::unordered_map<ImageId, const ImageRow*> by_id(std::span<const ImageRow> rows) {
  std::unordered_map<ImageId, const ImageRow*> out;
  for (const ImageRow& row : rows) out.emplace(row.id, &row);
  return out;
}

FolderId folder_of(const IngestSource& source) {
  return source.place ? source.place->id : 0;
}

/// The row as it will be, for what filters see of it.
ImageRow row_to_be(const IngestPicture& picture, std::size_t target, ImageId id,
                   const std::vector<std::string>& tags) {
  ImageRow row;
  row.id = id;
  if (picture.source.place) row.folder_path = picture.source.place->path;
  row.name = picture.source.name;
  row.mtime_ns = picture.source.mtime_ns;
  row.facts = picture.facts;
  row.tags = tags;
  row.classes = picture.embeddings[target].classes;
  return row;
}

}  // namespace

Status PictureWriter::write(const Context& ctx, std::span<IngestPicture> batch) {
  using Step = IngestPicture::Step;
  TRY(intern_folders(ctx, batch));
  Pictures failures, touched, moved, ready;
  for (IngestPicture& picture : batch) {
    switch (picture.step) {
      case Step::fail:
        failures.push_back(&picture);
        break;
      case Step::touch:
        touched.push_back(&picture);
        break;
      case Step::move:
        moved.push_back(&picture);
        break;
      case Step::store:
        ready.push_back(&picture);
        break;
      case Step::embed:
        return Error(ErrorCode::internal, "a picture reached the writer without its vector");
    }
  }
  if (!failures.empty()) TRY(write_failures(ctx, failures));
  if (!touched.empty()) TRY(write_touched(ctx, touched));
  if (!moved.empty()) TRY(write_moved(ctx, moved));
  if (!ready.empty()) TRY(write_ready(ctx, std::move(ready)));
  return {};
}

Status PictureWriter::write_failures(const Context& ctx, const Pictures& pictures) {
  std::vector<FailedImage> rows;
  std::vector<ImageId> had_vector;
  Pictures files;
  for (IngestPicture* picture : pictures) {
    const IngestSource& source = picture->source;
    if (source.is_upload() && !source.known) {  // of a failed upload nothing is kept
      report(*picture, IngestOutcome::Kind::failed, 0);
      continue;
    }
    FailedImage row;
    row.folder = folder_of(source);
    row.id = source.known ? source.known->id : 0;
    row.name = source.name;
    row.size_bytes = source.size_bytes;
    // A time that no file has makes the next scan take it for changed.
    row.mtime_ns = picture->try_again ? 0 : source.mtime_ns;
    row.error = picture->error;
    if (source.known && source.known->state != RowState::failed) had_vector.push_back(row.id);
    rows.push_back(std::move(row));
    files.push_back(picture);
  }
  if (rows.empty()) return {};
  WriteToken token = 0;
  if (!had_vector.empty()) {
    ASSIGN_OR_RETURN(token, erase_vectors(ctx, had_vector));
  }
  std::vector<ImageId> ids;
  for (const IndexTarget& target : targets_) {
    ASSIGN_OR_RETURN(ids,
                     ports_.metadata.mark_failed(ctx, collection_, target.index.id, rows, token));
    for (std::size_t i = 0; i < ids.size() && i < rows.size(); ++i) rows[i].id = ids[i];
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    report(*files[i], IngestOutcome::Kind::failed, rows[i].id);
  }
  return {};
}

Status PictureWriter::write_touched(const Context& ctx, const Pictures& pictures) {
  std::vector<ImageId> ids;
  std::vector<TouchedImage> touched;
  std::unordered_map<ImageId, std::int64_t> mtimes;
  for (const IngestPicture* picture : pictures) {
    ids.push_back(picture->id);
    touched.push_back({picture->id, picture->source.mtime_ns});
    mtimes[picture->id] = picture->source.mtime_ns;
  }
  const PictureLocks locks(ids);
  ASSIGN_OR_RETURN(auto rows, ports_.metadata.get_images(ctx, collection_, ids));
  for (ImageRow& row : rows) row.mtime_ns = mtimes[row.id];
  // Only a date that is the file's own time changes with it.
  std::erase_if(rows, [](const ImageRow& row) { return row.facts.taken_at.has_value(); });
  ASSIGN_OR_RETURN(const WriteToken token, update_attributes(ctx, rows));
  TRY(ports_.metadata.touch_images(ctx, collection_, touched, token));
  for (const IngestPicture* picture : pictures) {
    report(*picture, IngestOutcome::Kind::unchanged, picture->id);
  }
  return {};
}

Status PictureWriter::write_moved(const Context& ctx, const Pictures& pictures) {
  std::vector<ImageId> ids;
  std::vector<MovedImage> moved;
  std::unordered_map<ImageId, const IngestSource*> sources;
  for (const IngestPicture* picture : pictures) {
    const IngestSource& source = picture->source;
    ids.push_back(picture->id);
    moved.push_back({picture->id, folder_of(source), source.name, source.mtime_ns});
    sources[picture->id] = &source;
  }
  const PictureLocks locks(ids);
  ASSIGN_OR_RETURN(auto rows, ports_.metadata.get_images(ctx, collection_, ids));
  for (ImageRow& row : rows) {
    const IngestSource& source = *sources[row.id];
    row.folder_path = source.place->path;
    row.name = source.name;
    row.mtime_ns = source.mtime_ns;
  }
  ASSIGN_OR_RETURN(const WriteToken token, update_attributes(ctx, rows));
  TRY(ports_.metadata.move_images(ctx, collection_, moved, token));
  for (const IngestPicture* picture : pictures) {
    report(*picture, IngestOutcome::Kind::moved, picture->id);
  }
  return {};
}

Status PictureWriter::write_ready(const Context& ctx, Pictures pictures) {
  std::vector<PendingImage> rows(pictures.size());
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const IngestPicture& picture = *pictures[i];
    const IngestSource& source = picture.source;
    rows[i].id = source.known ? source.known->id : 0;
    rows[i].folder = folder_of(source);
    rows[i].name = source.name;
    rows[i].mtime_ns = source.mtime_ns;
    rows[i].facts = picture.facts;
  }
  for (const IndexTarget& target : targets_) {
    TRY(ports_.metadata.put_pending(ctx, collection_, target.index.id, rows));
  }
  // Bytes uploaded before, by somebody else in this very moment: the row is there.
  for (std::size_t i = pictures.size(); i-- > 0;) {
    const IngestSource& source = pictures[i]->source;
    if (!source.is_upload() || source.known || !rows[i].was_ready) continue;
    report(*pictures[i], IngestOutcome::Kind::unchanged, rows[i].id);
    pictures.erase(pictures.begin() + static_cast<std::ptrdiff_t>(i));
    rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (pictures.empty()) return {};
  std::vector<ImageId> ids;
  for (const PendingImage& row : rows) ids.push_back(row.id);
  const PictureLocks locks(ids);  // the tags that are read now are those that are written
  ASSIGN_OR_RETURN(const auto tags, tags_of(ctx, pictures, rows));
  for (std::size_t t = 0; t < targets_.size(); ++t)
    TRY(write_vectors(ctx, t, pictures, rows, tags));
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    report(*pictures[i], IngestOutcome::Kind::ready, rows[i].id);
  }
  return {};
}

/// Steps 2 and 3 for one index.
Status PictureWriter::write_vectors(const Context& ctx, std::size_t target,
                                    const Pictures& pictures, std::span<const PendingImage> rows,
                                    std::span<const std::vector<std::string>> tags) {
  std::vector<VectorUpsert> vectors;
  std::vector<ReadyImage> ready;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const Embedding& embedding = pictures[i]->embeddings[target];
    vectors.push_back({rows[i].id, embedding.vector,
                       attributes_of(row_to_be(*pictures[i], target, rows[i].id, tags[i]))});
    ready.push_back({rows[i].id, rows[i].mtime_ns, rows[i].facts, embedding.classes});
  }
  const IndexId index = targets_[target].index.id;
  ASSIGN_OR_RETURN(const WriteToken token, ports_.vectors.upsert(ctx, index, vectors));
  return ports_.metadata.mark_ready(ctx, collection_, index, ready, token);
}

/// The tags each picture's row has; those of a new upload are written first.
Result<std::vector<std::vector<std::string>>> PictureWriter::tags_of(
    const Context& ctx, const Pictures& pictures, std::span<const PendingImage> rows) {
  std::vector<std::vector<std::string>> tags(pictures.size());
  std::vector<ImageId> existing;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (rows[i].existed) {
      existing.push_back(rows[i].id);
    } else if (!pictures[i]->source.tags.empty()) {
      tags[i] = pictures[i]->source.tags;
      TRY(ports_.metadata.set_tags(ctx, collection_, rows[i].id, tags[i], 0));
    }
  }
  if (existing.empty()) return tags;
  ASSIGN_OR_RETURN(const auto found, ports_.metadata.get_images(ctx, collection_, existing));
  const auto lookup = by_id(found);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto it = lookup.find(rows[i].id);
    if (rows[i].existed && it != lookup.end()) tags[i] = it->second->tags;
  }
  return tags;
}

Result<WriteToken> PictureWriter::update_attributes(const Context& ctx,
                                                    std::span<const ImageRow> rows) {
  WriteToken active_token = 0;
  if (rows.empty()) return active_token;
  std::vector<AttributeUpdate> updates;
  for (const ImageRow& row : rows) updates.push_back({row.id, attributes_of(row)});
  for (const IndexTarget& target : targets_) {
    ASSIGN_OR_RETURN(const WriteToken token,
                     ports_.vectors.update_attributes(ctx, target.index.id, updates));
    if (target.index.state == IndexState::active) active_token = token;
  }
  return active_token;
}

Result<WriteToken> PictureWriter::erase_vectors(const Context& ctx, std::span<const ImageId> ids) {
  WriteToken active_token = 0;
  for (const IndexTarget& target : targets_) {
    ASSIGN_OR_RETURN(const WriteToken token, ports_.vectors.erase(ctx, target.index.id, ids));
    if (target.index.state == IndexState::active) active_token = token;
  }
  return active_token;
}

/// Gives the folders their ids, all new ones in one transaction.
Status PictureWriter::intern_folders(const Context& ctx, std::span<const IngestPicture> batch) {
  std::vector<FolderPlace*> places;
  std::vector<std::string> paths;
  for (const IngestPicture& picture : batch) {
    FolderPlace* place = picture.source.place.get();
    if (place == nullptr || place->id != 0) continue;
    if (std::find(places.begin(), places.end(), place) != places.end()) continue;
    places.push_back(place);
    paths.push_back(place->path);
  }
  if (paths.empty()) return {};
  ASSIGN_OR_RETURN(const auto ids, ports_.metadata.intern_folders(ctx, paths));
  for (std::size_t i = 0; i < places.size(); ++i) places[i]->id = ids[i];
  return {};
}

void PictureWriter::report(const IngestPicture& picture, IngestOutcome::Kind kind,
                           ImageId id) const {
  on_outcome_(picture.source, {kind, id, picture.error});
}

}  // namespace similis
