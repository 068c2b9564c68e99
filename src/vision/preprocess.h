#pragma once

#include <cstdint>
#include <optional>

namespace similis {

/// How a picture becomes a model's input of `width_px` x `height_px`, as its card says.
/// The steps run in the order of the fields. Compression, grayscale and denoise act on the resized
/// picture, so that their strength does not depend on the file's resolution.
struct Preprocess {
  enum class Fit : std::uint8_t {
    stretch,      // the whole picture, without keeping its aspect ratio
    center_crop,  // the centred part with the input's aspect ratio, `crop_fraction` of the largest
                  // such part: 224 / 256 = 0.875 is "resize the shorter side to 256, then crop 224
                  // from the centre"
  };
  /// The filter's support grows with the reduction (antialiased), as in Pillow's resize; enlarging
  /// interpolates.
  enum class Filter : std::uint8_t {
    area,      // exact box coverage when reducing (OpenCV's INTER_AREA), bilinear when enlarging
    bilinear,  // triangle
    bicubic,   // Keys, a = -0.5
  };

  int width_px = 224;
  int height_px = 224;
  Fit fit = Fit::stretch;
  double crop_fraction = 1.0;  // (0, 1], of Fit::center_crop
  Filter filter = Filter::area;
  std::optional<int> jpeg_quality{};  // 1..100: compress and decompress, so that all pictures carry
                                      // the same artefacts
  bool grayscale = false;             // luma (BT.601) in all three channels
  bool denoise = false;               // 3 x 3 median per channel

  bool operator==(const Preprocess&) const = default;
};

inline constexpr int kTensorSideMaxPx = 2048;

}  // namespace similis
