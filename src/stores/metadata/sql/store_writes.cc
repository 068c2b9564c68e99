#include <algorithm>

#include "stores/metadata/sql/image_places.h"
#include "stores/metadata/sql/sql_metadata_store.h"
#include "stores/metadata/sql/text_codec.h"

namespace similis::sql {
namespace {

EmbeddingRecord embedding_or_new(const std::optional<EmbeddingRecord>& loaded, ImageId image,
                                 IndexId index) {
  if (loaded) return *loaded;
  EmbeddingRecord record;
  record.image_id = image;
  record.index_id = index;
  return record;
}

void set_state(EmbeddingRecord& record, StoredState state) {
  record.state = static_cast<Int>(state);
}

bool answers_searches(const std::optional<EmbeddingRecord>& record) {
  return record && row_state(stored_state(record->state)) == RowState::ready;
}

/// Step 1 of an insert for one picture.
void put_one_pending(Connection& c, CollectionChange& change, IndexId index, PendingImage& item) {
  const CollectionId collection = change.record().id;
  const auto hash = encode_hash(item.facts.content_hash);
  item.existed = false;
  item.was_ready = false;

  std::optional<ImageRecord> record;
  if (item.id != 0) record = live_image(c, collection, item.id);
  if (!record && item.folder != 0) record = image_at(c, collection, item.folder, item.name);
  if (!record && item.folder == 0) {
    if (!hash) fail(ErrorCode::invalid_argument, "an upload needs a content hash");
    record = upload_of(c, collection, *hash);
  }

  if (!record) {
    record = new_image(change, item.folder, item.name);
    if (item.folder == 0) record->upload_hash = hash;
    apply_facts(*record, item.facts, item.mtime_ns);
    insert(c, *record);
    save_embedding(c, change, std::nullopt, embedding_or_new(std::nullopt, record->id, index));
    item.id = record->id;
    return;
  }

  item.id = record->id;
  item.existed = true;
  const auto before = load<EmbeddingRecord>(c, Checked::yes, record->id, index);
  EmbeddingRecord after = embedding_or_new(before, record->id, index);
  if (answers_searches(before)) {
    // The old answer stays, and so do the facts it is shown with.
    item.was_ready = stored_state(before->state) == StoredState::ready &&
                     record->content_hash == hash &&
                     before->content_version == record->content_version;
    if (!item.was_ready) set_state(after, StoredState::replacing);
  } else {
    set_state(after, StoredState::pending);
    if (!ready_elsewhere(c, record->id, index)) {
      apply_facts(*record, item.facts, item.mtime_ns);
      update(c, *record);
    }
  }
  if (!before || before->state != after.state) save_embedding(c, change, before, after);
}

void mark_one_ready(Connection& c, CollectionChange& change, IndexId index,
                    const ReadyImage& item) {
  auto record = live_image(c, change.record().id, item.id);
  if (!record) return;
  const std::int64_t checksum_before = row_checksum(*record);
  apply_facts(*record, item.facts, item.mtime_ns);
  if (row_checksum(*record) != checksum_before) update(c, *record);

  const auto before = load<EmbeddingRecord>(c, Checked::yes, item.id, index);
  EmbeddingRecord after = embedding_or_new(before, item.id, index);
  set_state(after, StoredState::ready);
  after.content_version = record->content_version;
  after.attempts = 0;
  after.error_code.clear();
  after.error.clear();
  after.error_hint.clear();
  apply_classes(after, item.classes);
  save_embedding(c, change, before, after);
}

/// The id of the failed row; 0 when the row went in the meantime.
ImageId mark_one_failed(Connection& c, CollectionChange& change, IndexId index,
                        const FailedImage& item) {
  const CollectionId collection = change.record().id;
  std::optional<ImageRecord> record;
  if (item.id != 0) record = live_image(c, collection, item.id);
  if (!record && item.folder != 0) record = image_at(c, collection, item.folder, item.name);
  if (!record && item.folder == 0) {
    if (item.id != 0) return 0;
    fail(ErrorCode::invalid_argument, "a failed upload has no row");
  }

  const bool is_new = !record;
  if (is_new) record = new_image(change, item.folder, item.name);
  const auto before =
      is_new ? std::nullopt : load<EmbeddingRecord>(c, Checked::yes, record->id, index);
  const bool is_file = record->folder_id.has_value();
  if (is_file && (is_new || !ready_elsewhere(c, record->id, index))) {
    // What the scan compares with next time. A hash of bytes that are no longer there goes.
    if (record->size_bytes != item.size_bytes || record->mtime_ns != item.mtime_ns ||
        answers_searches(before)) {
      if (record->content_hash) ++record->content_version;
      record->content_hash.reset();
    }
    record->size_bytes = item.size_bytes;
    record->mtime_ns = item.mtime_ns;
    refresh_date(*record);
    if (is_new) {
      insert(c, *record);
    } else {
      update(c, *record);
    }
  }

  EmbeddingRecord after = embedding_or_new(before, record->id, index);
  set_state(after, StoredState::failed);
  after.content_version = 0;
  ++after.attempts;
  after.error_code = error_code_name(item.error.code);
  after.error = item.error.message;
  after.error_hint = item.error.hint;
  apply_classes(after, {});
  save_embedding(c, change, before, after);
  if (answers_searches(before)) change.raise_epoch();
  return record->id;
}

}  // namespace

Status SqlMetadataStore::put_pending(const Context& ctx, CollectionId id, IndexId index,
                                     std::span<PendingImage> batch) {
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    change.index(index);
    for (PendingImage& item : batch) put_one_pending(c, change, index, item);
    change.save();
  });
}

Status SqlMetadataStore::mark_ready(const Context& ctx, CollectionId id, IndexId index,
                                    std::span<const ReadyImage> batch, WriteToken token) {
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    change.raise_token(index, token);
    for (const ReadyImage& item : batch) mark_one_ready(c, change, index, item);
    change.raise_epoch();
    change.save();
  });
}

Result<std::vector<ImageId>> SqlMetadataStore::mark_failed(const Context& ctx, CollectionId id,
                                                           IndexId index,
                                                           std::span<const FailedImage> batch,
                                                           WriteToken token) {
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    change.raise_token(index, token);
    std::vector<ImageId> ids;
    for (const FailedImage& item : batch) ids.push_back(mark_one_failed(c, change, index, item));
    change.save();
    return ids;
  });
}

Status SqlMetadataStore::move_images(const Context& ctx, CollectionId id,
                                     std::span<const MovedImage> batch, WriteToken token) {
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    std::vector<std::pair<ImageRecord, const MovedImage*>> moving;
    for (const MovedImage& item : batch) {
      auto record = live_image(c, id, item.id);
      if (!record) continue;
      if (!record->folder_id || item.folder == 0) {
        fail(ErrorCode::invalid_argument, "picture " + std::to_string(item.id) +
                                              " is an upload: it has no place to move from or to");
      }
      // All leave their places before any takes a new one, so that two may trade theirs.
      record->removing = record->id;
      update(c, *record);
      moving.emplace_back(std::move(*record), &item);
    }
    for (auto& [record, item] : moving) {
      if (const auto other = image_at(c, id, item->folder, item->name)) {
        fail(ErrorCode::conflict, "picture " + std::to_string(other->id) + " is where picture " +
                                      std::to_string(item->id) + " is to be moved");
      }
      record.folder_id = item->folder;
      record.name = item->name;
      record.mtime_ns = item->mtime_ns;
      record.removing = 0;
      refresh_date(record);
      update(c, record);
    }
    change.raise_token(change.record().active_index, token);
    change.raise_epoch();
    change.save();
  });
}

Status SqlMetadataStore::touch_images(const Context& ctx, CollectionId id,
                                      std::span<const TouchedImage> batch, WriteToken token) {
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    const IndexId active = change.record().active_index;
    change.raise_token(active, token);
    for (const TouchedImage& item : batch) {
      auto record = live_image(c, id, item.id);
      if (!record || record->mtime_ns == item.mtime_ns) continue;
      const std::int64_t date_before = record->date_s;
      record->mtime_ns = item.mtime_ns;
      refresh_date(*record);
      update(c, *record);
      if (record->date_s != date_before &&
          answers_searches(load<EmbeddingRecord>(c, Checked::yes, item.id, active))) {
        change.raise_epoch();
      }
    }
    change.save();
  });
}

Status SqlMetadataStore::set_tags(const Context& ctx, CollectionId id, ImageId image,
                                  std::span<const std::string> tags, WriteToken token) {
  constexpr std::size_t kTagBytesMax = 255;
  std::vector<std::string> wanted(tags.begin(), tags.end());
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  for (const auto& tag : wanted) {
    if (tag.empty() || tag.size() > kTagBytesMax) {
      return Error(ErrorCode::invalid_argument,
                   "a tag of " + std::to_string(tag.size()) + " bytes cannot be kept",
                   "Use 1 to " + std::to_string(kTagBytesMax) + " bytes.");
    }
  }
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    auto record = live_image(c, id, image);
    if (!record) {
      fail(ErrorCode::not_found,
           "collection " + change.record().name + " has no picture " + std::to_string(image));
    }
    c.run<>("DELETE FROM tag WHERE image_id = :image", image);
    for (const auto& tag : wanted) insert(c, TagRecord{image, tag});
    record->tag_count = static_cast<Int>(wanted.size());
    update(c, *record);
    change.raise_token(change.record().active_index, token);
    change.raise_epoch();
    change.save();
  });
}

Status SqlMetadataStore::raise_next_id(const Context& ctx, ImageId id) {
  return db_->write(ctx, [&](Connection& c) { raise_counter(c, "image", id); });
}

}  // namespace similis::sql
