#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "vision/picture.h"

namespace similis {

/// A part of an image in whole pixels.
struct PixelWindow {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

/// Decodes a gray, YCbCr or RGB JPEG by libjpeg-turbo straight into `window` of the picture reduced
/// by `shrink` (1, 2, 4 or 8; the reduced picture is ceil(size / shrink) wide and high). libvips
/// would take three times as long for a small picture: 1.05 against 0.35 ms for 300 x 200, most of
/// it in starting its threads. unreadable_media when the data end early or are damaged to a degree
/// that leaves parts unpainted; CMYK is unsupported_media.
Result<RgbImage> decode_jpeg(std::span<const std::byte> bytes, int shrink,
                             const PixelWindow& window);

/// A baseline JPEG, 4:2:0. quality 1..100.
Result<std::vector<std::byte>> encode_jpeg(const RgbImage& image, int quality);

}  // namespace similis
