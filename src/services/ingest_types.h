#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/image.h"
#include "inference/embedder.h"
#include "stores/metadata/metadata_store.h"
#include "vision/picture.h"

namespace similis {

/// A folder that files of a run lie in. The writer gives it its id with its first row.
struct FolderPlace {
  std::string path;
  FolderId id = 0;
};

/// A picture to take in: a file in a folder, or uploaded bytes.
struct IngestSource {
  std::shared_ptr<FolderPlace> place;  // null: an upload
  std::string name;
  std::int64_t size_bytes = 0;
  std::int64_t mtime_ns = 0;                            // of the file; the time of upload
  std::optional<KnownFile> known;                       // the row of this place, if there is one
  std::shared_ptr<const std::vector<std::byte>> bytes;  // of an upload
  std::vector<std::string> tags;                        // of an upload; sorted, unique
  std::size_t ticket = 0;                               // the caller's number for it

  [[nodiscard]] bool is_upload() const { return place == nullptr; }
  [[nodiscard]] std::string path() const;
};

/// What became of a source.
struct IngestOutcome {
  enum class Kind : std::uint8_t {
    ready,      // its vector can be found
    unchanged,  // a touched file, or bytes that were uploaded before
    moved,      // it took over the row of a vanished file of equal bytes
    failed,     // `error`; a file has a failed row, an upload has none
    gone,       // the file vanished before it was read
  };
  Kind kind = Kind::failed;
  ImageId id = 0;
  Error error;
};

/// A source on its way through the stages.
struct IngestPicture {
  enum class Step : std::uint8_t {
    embed,  // `tensors` are there
    store,  // `embeddings` are there
    touch,  // the known row with a new time
    move,   // the row `id` to the source's place
    fail,   // `error`
  };
  Step step = Step::embed;
  IngestSource source;
  PictureFacts facts;
  std::vector<RgbImage> tensors;      // one a target
  std::vector<Embedding> embeddings;  // one a target
  ImageId id = 0;
  Error error;
  /// The failure says nothing of the file itself (no permission, a bad disk): the next scan tries
  /// again.
  bool try_again = false;
  /// Others of equal bytes wait for this one.
  bool leads = false;
};

}  // namespace similis
