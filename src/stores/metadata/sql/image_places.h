#pragma once

#include <optional>

#include "stores/metadata/sql/image_rows.h"

namespace similis::sql {

/// Rows by their place, which is unique among the rows that are not being removed.
std::optional<ImageRecord> image_at(Connection& c, CollectionId collection, FolderId folder,
                                    std::string_view name);
std::optional<ImageRecord> upload_of(Connection& c, CollectionId collection,
                                     const std::string& hash);
/// The row with this id, if it is the collection's and is not being removed.
std::optional<ImageRecord> live_image(Connection& c, CollectionId collection, ImageId id);

/// A new row at a place, with an id of its own; facts are applied by the caller, then insert().
ImageRecord new_image(CollectionChange& change, FolderId folder, std::string_view name);

/// True when a search in another index than `index` still answers with this picture.
bool ready_elsewhere(Connection& c, ImageId image, IndexId index);

/// Writes the picture's state in one index and keeps the index's counts. `before` is the row as it
/// was loaded, nullopt when there was none.
void save_embedding(Connection& c, CollectionChange& change,
                    const std::optional<EmbeddingRecord>& before, const EmbeddingRecord& after);

}  // namespace similis::sql
