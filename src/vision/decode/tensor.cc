#include "vision/decode/tensor.h"

#include <algorithm>
#include <array>

#include "vision/decode/jpeg.h"

namespace similis {

Extent fitted(const Extent& extent, const Preprocess& p) {
  if (p.fit == Preprocess::Fit::stretch) return extent;
  const double aspect = double(p.width_px) / p.height_px;
  double width = std::min(extent.width, extent.height * aspect);
  double height = width / aspect;
  width *= p.crop_fraction;
  height *= p.crop_fraction;
  return {extent.x + (extent.width - width) / 2, extent.y + (extent.height - height) / 2, width,
          height};
}

RgbImage median_3x3(const RgbImage& image) {
  RgbImage out{image.width, image.height, std::vector<std::uint8_t>(image.pixels.size())};
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* lines[3] = {image.row(std::max(y - 1, 0)), image.row(y),
                                    image.row(std::min(y + 1, image.height - 1))};
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < image.width; ++x) {
      const int columns[3] = {std::max(x - 1, 0), x, std::min(x + 1, image.width - 1)};
      for (int c = 0; c < 3; ++c) {
        std::array<std::uint8_t, 9> v;
        for (std::size_t i = 0; i < 9; ++i) v[i] = lines[i / 3][3 * columns[i % 3] + c];
        std::nth_element(v.begin(), v.begin() + 4, v.end());
        *to++ = v[4];
      }
    }
  }
  return out;
}

Result<RgbImage> make_tensor(const RgbImage& picture, const Extent& extent, const Preprocess& p) {
  RgbImage tensor = resample(picture, fitted(extent, p), p.width_px, p.height_px, p.filter);
  if (p.jpeg_quality) {
    ASSIGN_OR_RETURN(auto bytes, encode_jpeg(tensor, *p.jpeg_quality));
    ASSIGN_OR_RETURN(tensor, decode_jpeg(bytes, 1, {0, 0, tensor.width, tensor.height}));
  }
  if (p.grayscale) {
    for (std::size_t i = 0; i < tensor.pixels.size(); i += 3) {
      std::uint8_t* v = tensor.pixels.data() + i;
      v[0] = v[1] = v[2] =
          static_cast<std::uint8_t>((299 * v[0] + 587 * v[1] + 114 * v[2] + 500) / 1000);
    }
  }
  if (p.denoise) tensor = median_3x3(tensor);
  return tensor;
}

}  // namespace similis
