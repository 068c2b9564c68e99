#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "core/collection.h"
#include "core/context.h"
#include "core/image.h"
#include "services/ports.h"

namespace similis {

struct CollectionSummary {
  Collection collection;
  CollectionCounts counts;
  std::vector<Root> roots;
  std::int64_t skipped = 0;  // files that are not pictures, of the last scans
  std::string model_name;    // "" before the first picture
  std::string model_version;
  std::string precision;
  std::int32_t dimensions = 0;
  Calibration calibration;  // of the model's scores; empty when the model has gone missing
  VectorIndexStats index;
  std::optional<Error> index_error;  // why the index cannot be opened; `index` is empty then
};

/// A stored file, open to be sent from.
struct PictureFile {
  File file;
  std::int64_t size_bytes = 0;
  std::string media_type;
  std::string etag;  // as file_etag(); "" when the file has changed since it was indexed
  std::string name;  // for Content-Disposition
};

/// Bytes to send.
struct PictureBytes {
  std::vector<std::byte> bytes;
  std::string media_type;
  std::string etag;  // strong: derived from the content hash
  std::string name;  // for Content-Disposition
};

/// Collections and the pictures in them: what is there, apart from searching.
class LibraryService {
 public:
  explicit LibraryService(const Ports& ports);
  ~LibraryService();

  Result<CollectionSummary> create_collection(const Context& ctx, std::string_view name);
  Result<std::vector<CollectionSummary>> list_collections(const Context& ctx);
  Result<CollectionSummary> get_collection(const Context& ctx, std::string_view name);
  /// Rows and vectors; thumbnails and uploads that no other collection holds go when JobService has
  /// a quiet moment. Pictures in folders are not touched.
  Status delete_collection(const Context& ctx, std::string_view name);

  Result<ListPage> list_images(const Context& ctx, std::string_view collection,
                               ListRequest request);
  Result<ListPage> list_failures(const Context& ctx, std::string_view collection, std::size_t limit,
                                 std::string_view cursor);
  Result<ImageRow> get_image(const Context& ctx, std::string_view collection, ImageId id);
  Result<ImageRow> set_tags(const Context& ctx, std::string_view collection, ImageId id,
                            std::vector<std::string> tags);
  /// Adds those that it does not have, as far as there is room. `tags`: as a picture may have them.
  Result<ImageRow> add_tags(const Context& ctx, std::string_view collection, ImageId id,
                            std::span<const std::string> tags);
  /// Also one whose row is damaged. Takes the picture out of the collection; a file in a folder
  /// stays (and comes back with the next scan).
  Status remove_image(const Context& ctx, std::string_view collection, ImageId id);

  /// The file as it is: of a folder, or the uploaded bytes. not_found when the file has gone since.
  Result<PictureFile> file(const Context& ctx, const ImageRow& row);
  /// The tag of what a row says its file is.
  static std::string file_etag(const ImageRow& row);
  Result<PictureBytes> thumbnail(const Context& ctx, std::string_view collection, ImageId id);
  /// A JPEG at most `width_max` wide that any browser shows, made on demand and kept in a bounded
  /// cache.
  Result<PictureBytes> preview(const Context& ctx, std::string_view collection, ImageId id,
                               std::int32_t width_max);

  Result<std::vector<ModelProvider::Listed>> models(const Context& ctx);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace similis
