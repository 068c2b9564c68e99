#pragma once

#include <span>
#include <string_view>

namespace similis {

/// The smallest picture of a format: black, 4 x 4 pixels (BMP: 1 x 1).
struct SamplePicture {
  std::string_view format;
  std::span<const unsigned char> bytes;
};

/// One of each format that is promised. To make them again: `vips black black.v 4 4 --bands 3`,
/// then `vips copy black.v x.jpg[strip,Q=10]` and so on; the BMP is written by hand.
std::span<const SamplePicture> sample_pictures();

}  // namespace similis
