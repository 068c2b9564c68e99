#include <set>

#include "stores/metadata/sql/image_places.h"
#include "stores/metadata/sql/sql_metadata_store.h"
#include "stores/metadata/sql/text_codec.h"

// Removal reads rows without asking for their checksum: it is also the way out for a damaged row.
namespace similis::sql {
namespace {

std::vector<EmbeddingRecord> embeddings_of(Connection& c, ImageId image) {
  static const std::string text =
      "SELECT " + column_list<EmbeddingRecord>() + " FROM embedding WHERE image_id = :image";
  std::vector<EmbeddingRecord> out;
  auto& statement = ColumnsOf<EmbeddingRecord>::select(c, text, image);
  while (statement.next()) out.push_back(unpack<EmbeddingRecord>(statement, Checked::no));
  return out;
}

std::optional<ImageRecord> image_of(Connection& c, CollectionId collection, ImageId id) {
  auto record = load<ImageRecord>(c, Checked::no, id);
  if (!record || record->collection_id != collection) return std::nullopt;
  return record;
}

}  // namespace

Status SqlMetadataStore::begin_removal(const Context& ctx, CollectionId id,
                                       std::span<const ImageId> ids) {
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    bool any = false;
    for (const ImageId image : ids) {
      auto record = image_of(c, id, image);
      if (!record || record->removing != 0) continue;
      any = true;
      record->removing = image;
      update(c, *record);
      for (const auto& before : embeddings_of(c, image)) {
        EmbeddingRecord after = before;
        after.state = static_cast<Int>(StoredState::removing);
        save_embedding(c, change, before, after);
      }
    }
    if (!any) return;
    change.raise_epoch();
    change.save();
  });
}

Result<std::vector<ContentHash>> SqlMetadataStore::finish_removal(const Context& ctx,
                                                                  CollectionId id,
                                                                  std::span<const ImageId> ids,
                                                                  WriteToken token) {
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    std::set<std::string> hashes;
    bool any = false;
    for (const ImageId image : ids) {
      const auto record = image_of(c, id, image);
      if (!record || record->removing == 0) continue;
      any = true;
      c.run<>("DELETE FROM tag WHERE image_id = :image", image);
      for (const auto& embedding : embeddings_of(c, image)) {
        erase<EmbeddingRecord>(c, image, embedding.index_id);
        change.count(embedding.index_id, stored_state(embedding.state), std::nullopt);
      }
      erase<ImageRecord>(c, image);
      if (record->content_hash) hashes.insert(*record->content_hash);
    }
    std::vector<ContentHash> unheld;
    for (const auto& hash : hashes) {
      const auto decoded = decode_hash(hash);
      if (decoded && !hash_held(c, hash)) unheld.push_back(*decoded);
    }
    change.raise_token(change.record().active_index, token);
    if (any) change.raise_epoch();
    change.save();
    return unheld;
  });
}

}  // namespace similis::sql
