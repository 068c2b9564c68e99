#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/attributes.h"
#include "core/ids.h"

namespace similis {

/// SHA-256 of a file's bytes.
using ContentHash = std::array<std::byte, 32>;

struct ClassScore {
  std::int32_t class_id = -1;  // of the model's head
  std::string name;
  float probability = 0;  // softmax, 0..1

  friend bool operator==(const ClassScore&, const ClassScore&) = default;
};

struct GpsPosition {
  double latitude = 0;   // degrees, north positive
  double longitude = 0;  // degrees, east positive

  friend bool operator==(const GpsPosition&, const GpsPosition&) = default;
};

/// What decoding tells of a file, independent of any model.
struct PictureFacts {
  std::string format;  // "jpeg", "png", "webp", "gif", "tiff", "heic", "avif", "jxl", "bmp"
  ContentHash content_hash{};
  std::uint64_t perceptual_hash = 0;  // 64-bit DCT hash
  std::int64_t size_bytes = 0;
  std::int32_t width = 0;  // pixels, after orientation
  std::int32_t height = 0;
  std::optional<UnixSeconds> taken_at;  // EXIF
  std::string camera;                   // EXIF make and model, UTF-8, "" when unknown
  std::optional<GpsPosition> gps;
  std::string thumbnail_type;  // MIME type of the stored thumbnail; "" when the picture is its own
};

enum class RowState : std::uint8_t { pending, ready, failed, removing };

/// A picture as the metadata store holds it, with its state in the collection's active index.
struct ImageRow {
  ImageId id = 0;
  CollectionId collection = 0;
  FolderId folder = 0;        // 0: an upload
  std::string folder_path;    // absolute, bytes; "" for an upload
  std::string name;           // file name, bytes; an upload's original name
  std::int64_t mtime_ns = 0;  // of the file; the time of upload
  PictureFacts facts;
  std::vector<std::string> tags;  // sorted, unique
  UnixSeconds added_at = 0;

  RowState state = RowState::pending;  // in the active index
  std::vector<ClassScore> classes;     // at most 5, most probable first
  std::int32_t attempts = 0;
  std::string error_code;  // of a failed row
  std::string error;
  std::string error_hint;

  /// "folder_path/name"; the name alone for an upload. Bytes.
  [[nodiscard]] std::string path() const { return folder == 0 ? name : folder_path + "/" + name; }
};

/// From this probability on a class is named at all (product.md, "Honest scores").
inline constexpr float kClearClassProbability = 0.35F;

/// A picture's tags: so many, each of 1 to so many bytes.
inline constexpr std::size_t kTagsMax = 100;
inline constexpr std::size_t kTagBytesMax = 100;

/// The filterable view of a row.
Attributes attributes_of(const ImageRow& row);

}  // namespace similis
