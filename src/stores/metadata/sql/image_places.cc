#include "stores/metadata/sql/image_places.h"

namespace similis::sql {
namespace {

const std::string& select_images() {
  static const std::string text = "SELECT " + column_list<ImageRecord>() + " FROM image WHERE ";
  return text;
}

}  // namespace

std::optional<ImageRecord> image_at(Connection& c, CollectionId collection, FolderId folder,
                                    std::string_view name) {
  static const std::string text =
      select_images() +
      "collection_id = :collection AND folder_id = :folder AND name = :name AND removing = 0" +
      c.dialect().for_update;
  auto& statement = ColumnsOf<ImageRecord>::select(c, text, collection, folder, name);
  if (!statement.one()) return std::nullopt;
  return unpack<ImageRecord>(statement);
}

std::optional<ImageRecord> upload_of(Connection& c, CollectionId collection,
                                     const std::string& hash) {
  static const std::string text =
      select_images() + "collection_id = :collection AND upload_hash = :hash AND removing = 0" +
      c.dialect().for_update;
  auto& statement = ColumnsOf<ImageRecord>::select(c, text, collection, hash);
  if (!statement.one()) return std::nullopt;
  return unpack<ImageRecord>(statement);
}

std::optional<ImageRecord> live_image(Connection& c, CollectionId collection, ImageId id) {
  auto record = load<ImageRecord>(c, id);
  if (!record || record->collection_id != collection || record->removing != 0) return std::nullopt;
  return record;
}

ImageRecord new_image(CollectionChange& change, FolderId folder, std::string_view name) {
  ImageRecord record;
  record.id = change.next_image_id();
  record.collection_id = change.record().id;
  if (folder != 0) record.folder_id = folder;
  record.name = name;
  record.added_at = now_s();
  return record;
}

bool ready_elsewhere(Connection& c, ImageId image, IndexId index) {
  return c
      .run<std::int64_t>(
          "SELECT index_id FROM embedding WHERE image_id = :image AND index_id <> :index"
          " AND state IN (:ready, :replacing) LIMIT 1",
          image, index, StoredState::ready, StoredState::replacing)
      .one();
}

void save_embedding(Connection& c, CollectionChange& change,
                    const std::optional<EmbeddingRecord>& before, const EmbeddingRecord& after) {
  if (before) {
    update(c, after);
    change.count(after.index_id, stored_state(before->state), stored_state(after.state));
  } else {
    insert(c, after);
    change.count(after.index_id, std::nullopt, stored_state(after.state));
  }
}

}  // namespace similis::sql
