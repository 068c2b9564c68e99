#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "vision/decode/jpeg.h"
#include "vision/picture.h"

struct _VipsImage;

namespace similis {

/// The loaders that stay open; everything else libvips can read is blocked by init_decoder(). By
/// class name.
inline constexpr const char* kAllowedLoaders[] = {
    "VipsForeignLoadJpeg", "VipsForeignLoadPng",  "VipsForeignLoadWebp", "VipsForeignLoadNsgif",
    "VipsForeignLoadTiff", "VipsForeignLoadHeif", "VipsForeignLoadJxl"};

/// A picture opened by libvips: header facts at once, pixels on demand and only once.
class VipsPicture {
 public:
  /// By the one loader of the format, never by libvips' own guess. The bytes must outlive the
  /// object. Not for BMP.
  static Result<VipsPicture> open(PictureFormat format, std::span<const std::byte> bytes);
  /// Wraps 8-bit pixels with `bands` channels (RGB or RGBA) under an ICC profile (may be empty);
  /// the pixels must outlive the object.
  static Result<VipsPicture> wrap(std::span<const std::uint8_t> pixels, int width, int height,
                                  int bands, std::span<const std::byte> profile = {});

  [[nodiscard]] int width() const;
  [[nodiscard]] int height() const;
  [[nodiscard]] int bands() const;
  [[nodiscard]] int frames() const;
  [[nodiscard]] bool is_cmyk() const;
  [[nodiscard]] bool is_8_bit() const;
  /// EXIF orientation that the pixels still need (formats that turn themselves upright say 1).
  [[nodiscard]] int orientation() const;
  [[nodiscard]] ExifInfo exif() const;
  /// The embedded ICC profile when it is something else than sRGB; empty otherwise.
  [[nodiscard]] std::span<const std::byte> foreign_profile() const;

  /// The `window` of the picture reduced by `shrink` (box average; ceil(size / shrink)), over
  /// white, as sRGB.
  Result<RgbImage> pixels(int shrink, const PixelWindow& window);

 private:
  struct Unref {
    void operator()(_VipsImage* image) const;
  };
  using ImagePtr = std::unique_ptr<_VipsImage, Unref>;
  explicit VipsPicture(ImagePtr image, PictureFormat format)
      : image_(std::move(image)), format_(format) {}

  ImagePtr image_;
  PictureFormat format_;
};

/// Colours under an ICC profile to sRGB; colours stay as they are when the profile is broken.
RgbImage profile_to_srgb(RgbImage image, std::span<const std::byte> profile);

/// Whether an ICC profile describes itself as sRGB.
bool is_srgb_profile(std::span<const std::byte> profile);

/// The libvips error buffer's first line, emptied and made printable.
std::string take_vips_error();

}  // namespace similis
