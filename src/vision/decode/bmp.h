#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace similis {

/// A BMP's header facts. `bottom_up`: the first stored row is the lowest.
struct BmpHeader {
  int width = 0;
  int height = 0;
  bool bottom_up = true;
  int bits = 0;         // a pixel: 1, 2, 4, 8, 16, 24, 32
  int compression = 0;  // 0 none, 1 RLE8, 2 RLE4, 3 bit fields, 6 bit fields with alpha
  std::size_t pixels_offset = 0;
  std::size_t palette_offset = 0;
  int palette_entries = 0;
  int palette_entry_bytes = 4;     // 3 in OS/2 files
  std::uint32_t masks[4] = {};     // red, green, blue, alpha
  std::size_t bytes_expected = 0;  // of the file; 0 when run-length coding leaves it open
};

/// Reads Windows (BITMAPINFOHEADER, V2..V5) and OS/2 1.x/2.x headers. libvips reads BMP through
/// ImageMagick only, which is kept away from strangers' files. Format: Microsoft's "Bitmap
/// Storage".
Result<BmpHeader> read_bmp_header(std::span<const std::byte> bytes);

/// The pixels as [height][width][4] RGBA, top row first; alpha is 255 where the file has none (or
/// only zeros). Run-length coded pixels that the data skip are transparent. unreadable_media when
/// the data end early.
Result<std::vector<std::uint8_t>> read_bmp_pixels(std::span<const std::byte> bytes,
                                                  const BmpHeader& header);

}  // namespace similis
