#include "inference/input_tensor.h"

#include <cassert>
#include <string>

namespace similis {

InputTensor::InputTensor(const ModelCard& card)
    : width_(static_cast<std::uint32_t>(card.preprocess.width_px)),
      height_(static_cast<std::uint32_t>(card.preprocess.height_px)),
      area_(std::size_t{width_} * height_),
      channels_last_(card.input.channels_last),
      bgr_(card.input.bgr) {
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const double value = static_cast<double>(byte) * card.input.scale;
      tables_[channel][byte] =
          static_cast<float>((value - card.input.mean[channel]) / card.input.std[channel]);
    }
  }
}

Status InputTensor::check(const PictureTensor& picture) const {
  if (picture.width == width_ && picture.height == height_ && picture.rgb.size() == size())
    return {};
  return Error(ErrorCode::invalid_argument,
               "a picture tensor of " + std::to_string(picture.width) + " x " +
                   std::to_string(picture.height) + " and " + std::to_string(picture.rgb.size()) +
                   " bytes; the model takes " + std::to_string(width_) + " x " +
                   std::to_string(height_) + " x 3");
}

void InputTensor::fill(const PictureTensor& picture, std::span<float> out) const {
  assert(check(picture).ok() && out.size() == size());
  const std::uint8_t* pixel = picture.rgb.data();
  const std::size_t channel_step = channels_last_ ? 1 : area_;
  const std::size_t pixel_step = channels_last_ ? 3 : 1;
  float* red = out.data() + (bgr_ ? 2 * channel_step : 0);
  float* green = out.data() + channel_step;
  float* blue = out.data() + (bgr_ ? 0 : 2 * channel_step);
  for (std::size_t i = 0; i < area_; ++i, pixel += 3) {
    red[i * pixel_step] = tables_[0][pixel[0]];
    green[i * pixel_step] = tables_[1][pixel[1]];
    blue[i * pixel_step] = tables_[2][pixel[2]];
  }
}

}  // namespace similis
