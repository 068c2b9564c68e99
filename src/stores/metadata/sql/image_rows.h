#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/image.h"
#include "stores/metadata/sql/collection_change.h"
#include "stores/metadata/sql/folder_paths.h"

namespace similis::sql {

/// Whole pictures, as the collection's active index sees them.
class ImageReader {
 public:
  ImageReader(Connection& c, FolderPaths& folders, const CollectionRecord& collection)
      : c_(c), folders_(folders), collection_(collection) {}

  /// nullopt when no row of the collection has this id; corruption when it is damaged.
  std::optional<ImageRow> row(ImageId id);
  /// Those that exist and are sound, in the order of `ids`; damaged ones are logged.
  std::vector<ImageRow> rows(std::span<const ImageId> ids);

 private:
  Connection& c_;
  FolderPaths& folders_;
  const CollectionRecord& collection_;
};

/// True when a row of any collection holds this content hash (hex).
bool hash_held(Connection& c, const std::string& hash);

std::vector<std::string> load_tags(Connection& c, ImageId id);

/// The file's facts into the row; content_version rises when the content hash changes. An upload
/// keeps its hash.
void apply_facts(ImageRecord& record, const PictureFacts& facts, std::int64_t mtime_ns);
/// `date_s` anew from taken_at and mtime_ns.
void refresh_date(ImageRecord& record);
/// The classes and the filterable clear class.
void apply_classes(EmbeddingRecord& record, const std::vector<ClassScore>& classes);

}  // namespace similis::sql
