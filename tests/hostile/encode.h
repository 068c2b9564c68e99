#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vision/picture.h"

namespace similis::hostile {

using Bytes = std::vector<std::byte>;

/// Pixels in any layout the writers take: `bands` samples a pixel (1 gray, 2 gray + alpha, 3 RGB, 4
/// RGBA or CMYK).
struct Pixels {
  int width = 0;
  int height = 0;
  int bands = 3;
  std::vector<std::uint8_t> samples;
};

/// How vips_image_write_to_buffer() shall write. `suffix` carries the options:
/// ".png[interlace,compression=9]".
struct Writing {
  std::string suffix;
  bool sixteen_bits = false;  // samples are spread to 16 bits
  bool floats = false;        // samples as linear-light floats (scRGB)
  bool cmyk = false;          // four bands are ink
  std::optional<int> orientation{};
  std::string profile{};  // "p3" or "srgb": convert to it and attach it; "garbage": attach nonsense
  int frames = 1;  // > 1: the picture repeated with its colours turned, as an animation or pages
  std::vector<std::pair<std::string, std::string>> exif{};  // "exif-ifd0-Make", "Canon"
};

/// libvips must have been started (init_decoder() does). Ends the program when the writer is
/// missing: a test without its files tests nothing.
Bytes write_picture(const Pixels& pixels, const Writing& writing);

/// An asymmetric scene with large shapes, fine lines and a gradient.
Pixels scene(int width, int height);
Pixels scene_gray(int width, int height);
/// The scene under a mask: opaque in the middle, transparent around.
Pixels scene_alpha(int width, int height);
/// A black letter on a transparent ground that is black where it is not seen: 'L', 'O', 'T' or 'X'.
Pixels black_letter(char letter, int side);

/// What a BMP may look like.
enum class BmpKind {
  rgb24,
  rgb32,
  argb32,
  rgb565,
  rgb555,
  palette8,
  palette4,
  palette1,
  rle8,
  rle4,
  os2,
  top_down
};
Bytes write_bmp(const Pixels& rgb, BmpKind kind);

/// A PNG, GIF, JPEG, TIFF, BMP or WebP whose header promises width x height and whose data do not
/// matter.
Bytes write_bomb(PictureFormat format, std::uint32_t width, std::uint32_t height);

/// A PNG chunk: length, type, data, CRC-32.
Bytes png_chunk(std::string_view type, std::string_view data);

}  // namespace similis::hostile
