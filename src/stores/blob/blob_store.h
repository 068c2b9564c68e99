#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "core/context.h"
#include "core/image.h"
#include "stores/vector/vector_store.h"

namespace similis {

enum class BlobKind : std::uint8_t { upload, thumbnail };

struct Blob {
  std::vector<std::byte> bytes;
  std::string media_type;  // as given to put
};

struct BlobUsage {
  std::int64_t count = 0;
  std::int64_t bytes = 0;
};

/// Files under their content hash: uploaded pictures, and thumbnails under the hash of the picture
/// they show. Implementations: files (blobs/ab/cd/HASH, thumbs/ab/cd/HASH). Safe from several
/// threads.
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  /// Whole or not at all; an upload is durable on return, a thumbnail need not be (it can be made
  /// again). The same key again replaces a thumbnail; an upload's bytes stay as they are and
  /// its age begins anew.
  virtual Status put(const Context& ctx, BlobKind kind, const ContentHash& key,
                     std::span<const std::byte> bytes, std::string_view media_type) = 0;
  /// not_found when absent; corruption when an upload's bytes do not hash to its key.
  virtual Result<Blob> get(const Context& ctx, BlobKind kind, const ContentHash& key) = 0;
  /// The same, open for reading from its beginning: memory does not grow with the blob.
  virtual Result<File> open(const Context& ctx, BlobKind kind, const ContentHash& key) = 0;
  virtual Result<bool> contains(const Context& ctx, BlobKind kind, const ContentHash& key) = 0;
  /// Not an error when absent.
  virtual Status erase(const Context& ctx, BlobKind kind, const ContentHash& key) = 0;
  /// Erases only what is at least `age_min_s` seconds old, in one step: a put() that returned
  /// before keeps its blob. Not an error when absent or younger.
  virtual Status erase_aged(const Context& ctx, BlobKind kind, const ContentHash& key,
                            std::int64_t age_min_s) = 0;

  /// Visits every key with the file's age in seconds, for sweeping what no row holds. Stops when
  /// `visit` returns false.
  virtual Status for_each(
      const Context& ctx, BlobKind kind,
      const std::function<bool(const ContentHash&, std::int64_t age_s)>& visit) = 0;
  virtual Result<BlobUsage> usage(const Context& ctx, BlobKind kind) = 0;
  /// Reads every upload and reports those whose bytes do not hash to their key.
  virtual Result<std::vector<VerifyFinding>> verify(const Context& ctx) = 0;
};

}  // namespace similis
