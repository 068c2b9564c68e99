#pragma once

#include <array>
#include <span>

#include "base/result.h"
#include "inference/embedder.h"
#include "inference/model_card.h"

namespace similis {

/// Turns a picture's bytes into the floats that a model takes. A byte has 256 values, so each
/// channel is a table: exact to the card's formula, and 150,000 look-ups cost a fiftieth of the
/// smallest model.
class InputTensor {
 public:
  explicit InputTensor(const ModelCard& card);

  /// invalid_argument when the picture has not the card's size.
  [[nodiscard]] Status check(const PictureTensor& picture) const;
  /// Floats of one picture: 3 * height * width.
  [[nodiscard]] std::size_t size() const { return 3 * area_; }
  /// `picture` has passed check(), `out` has size() values, laid out as the card says.
  void fill(const PictureTensor& picture, std::span<float> out) const;

 private:
  std::uint32_t width_;
  std::uint32_t height_;
  std::size_t area_;
  bool channels_last_;
  bool bgr_;
  std::array<std::array<float, 256>, 3> tables_{};  // by RGB channel
};

}  // namespace similis
