#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "services/index_targets.h"
#include "services/ingest_types.h"
#include "services/ports.h"

namespace similis {

struct ContentHashHasher {
  std::size_t operator()(const ContentHash& hash) const;
};

/// The first stage: reads a source, finds out what is to be done with it, decodes it if need be.
/// Safe from several threads.
///
/// Bytes are hashed before anything else. Those of a known file whose bytes are the same, those of
/// a file that moved, and those that some ready row already has a vector of are not decoded. Of
/// several sources with equal bytes on their way at once, one leads and the others wait for it.
class PicturePreparer {
 public:
  /// `root`: only rows at or below it can hand their id to a new place; "" for uploads.
  PicturePreparer(const Ports& ports, CollectionId collection,
                  const std::vector<IndexTarget>& targets, std::string root);

  /// nullopt when the source waits for another one of equal bytes: release() returns it.
  /// Errors end the run: those of the stores, decoder unavailable, cancelled. What is wrong with
  /// one file is a picture with Step::fail (or `gone`).
  struct Prepared {
    IngestPicture picture;
    bool gone = false;                   // the file is not there any more
    std::optional<ImageId> existing;     // of an upload whose bytes were uploaded before
    std::vector<IngestSource> released;  // those that waited for it and need not any longer
  };
  /// `buffer` is for the file's bytes, the caller's so that it is not made anew for each.
  Result<std::optional<Prepared>> prepare(const Context& ctx, IngestSource source,
                                          std::vector<std::byte>& buffer);

  /// The picture has its row (or has failed): those that waited for it.
  std::vector<IngestSource> release(const IngestPicture& picture);

  /// Rows that were or will be handed to new places in this run.
  [[nodiscard]] std::unordered_set<ImageId> claimed() const;

 private:
  struct Content {
    std::span<const std::byte> bytes;  // the source's, or in the buffer
    File file;                         // not of an upload
    std::optional<Error> error;
    bool gone = false;
  };
  Content read(const Context& ctx, IngestSource& source, std::vector<std::byte>& buffer) const;
  bool lead(const ContentHash& hash, IngestSource& source);
  std::vector<IngestSource> release_hash(const ContentHash& hash);
  Status find_equal(const Context& ctx, Prepared& out);
  Status share_vector(const Context& ctx, const std::vector<ImageRow>& rows, Prepared& out);
  bool claim_vanished(const ImageRow& row);
  Status decode(const Context& ctx, const Content& content, IngestPicture& picture);
  Status store_blobs(const Context& ctx, std::span<const std::byte> bytes,
                     const std::optional<EncodedImage>& thumbnail, const IngestPicture& picture);

  const Ports& ports_;
  const CollectionId collection_;
  const std::vector<IndexTarget>& targets_;
  const std::string root_;
  mutable std::mutex mutex_;
  std::unordered_map<ContentHash, std::vector<IngestSource>, ContentHashHasher> waiting_;
  std::unordered_map<ContentHash, Error, ContentHashHasher> broken_;  // decoded in vain this run
  std::unordered_set<ImageId> claimed_;
};

}  // namespace similis
