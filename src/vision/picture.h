#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/image.h"
#include "vision/preprocess.h"
#include "vision/sniff.h"

namespace similis {

/// 8-bit sRGB, three interleaved channels, rows from top to bottom without padding:
/// [height][width][3].
struct RgbImage {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> pixels;

  [[nodiscard]] const std::uint8_t* row(int y) const {
    return pixels.data() + 3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(y);
  }
  [[nodiscard]] std::uint8_t* row(int y) {
    return pixels.data() + 3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(y);
  }
};

/// A part of a picture, as fractions of the upright (oriented) picture; valid when it lies within
/// the unit square and has an area.
struct CropRect {
  double x = 0;
  double y = 0;
  double width = 1;
  double height = 1;
};

/// A picture in a file format.
struct EncodedImage {
  PictureFormat format = PictureFormat::jpeg;
  std::vector<std::byte> bytes;
};

/// What the file says about how it was taken. Everything is optional, as cameras and editors leave
/// it out.
struct ExifInfo {
  /// DateTimeOriginal, else DateTimeDigitized, in seconds since 1970. EXIF knows no time zone
  /// unless OffsetTimeOriginal is there; without it the camera's wall clock is taken as UTC, so
  /// that the calendar date stays the camera's.
  std::optional<std::int64_t> taken_unix_s;
  std::string camera_make;
  std::string camera_model;
  std::optional<double> latitude_deg;   // north positive
  std::optional<double> longitude_deg;  // east positive
  int orientation = 1;                  // as stored, 1..8 (TIFF 6.0 tag 274)

  /// Make and model as one name, without the make twice: "Canon EOS 5D"; "" when unknown.
  [[nodiscard]] std::string camera() const;
};

/// What a decode shall produce. Everything comes out of one decode; the content hash needs none.
struct DecodeRequest {
  /// One tensor per entry, in this order.
  std::vector<Preprocess> tensors;
  /// What of the picture is looked at: all pixel outputs (tensors, thumbnail, preview, perceptual
  /// hash) show the crop.
  std::optional<CropRect> crop;
  bool thumbnail = false;  // kThumbnailSidePx on the long side
  bool content_hash = false;
  bool perceptual_hash = false;
  int preview_width_px =
      0;  // > 0: a JPEG at most this wide and kPreviewSideMaxPx high, never enlarged

  /// Whether pixels are needed at all (else only header facts are read).
  [[nodiscard]] bool wants_pixels() const {
    return !tensors.empty() || thumbnail || perceptual_hash || preview_width_px > 0;
  }
};

inline constexpr int kThumbnailSidePx = 512;
inline constexpr std::size_t kTensorsMax = 16;
inline constexpr int kPreviewSideMaxPx = 4096;

/// The names are the configuration's: `limits.pixels_max`, `limits.file_bytes_max`.
struct DecodeLimits {
  std::uint64_t pixels_max = 250'000'000;
  std::uint64_t file_bytes_max = 512ull << 20;
};

/// invalid_argument when a request is out of range: tensor sides 1..kTensorSideMaxPx, at most
/// kTensorsMax of them, a crop that leaves the picture, ...
Status check_request(const DecodeRequest& request);
/// too_large when a file of this size, or a picture of these dimensions, is over a limit; the hint
/// names the key.
Status check_file_bytes(std::uint64_t bytes, const DecodeLimits& limits);
Status check_pixels(int width, int height, const DecodeLimits& limits);

/// 1234567 as "1,234,567".
std::string with_commas(std::uint64_t value);

struct DecodedPicture {
  PictureFormat format = PictureFormat::jpeg;
  int width_px = 0;  // of the whole picture, upright
  int height_px = 0;
  int frames = 1;  // more than one: animated or many pages; only the first is looked at
  ExifInfo exif;
  std::optional<ContentHash> content_hash;
  std::optional<std::uint64_t> perceptual_hash;  // see hashes.h
  std::vector<RgbImage> tensors;  // preprocessed, u8; mean and std are the embedder's business
  /// The thumbnail, unless the file serves as its own: a still sRGB JPEG, PNG, WebP or GIF of at
  /// most kThumbnailSidePx, stored upright, without a crop.
  std::optional<EncodedImage> thumbnail;
  bool file_is_thumbnail = false;
  std::optional<EncodedImage> preview;
};

}  // namespace similis
