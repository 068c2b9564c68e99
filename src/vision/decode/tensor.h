#pragma once

#include "base/result.h"
#include "vision/picture.h"
#include "vision/resample.h"

namespace similis {

/// A model's input from the part `extent` of an upright picture.
Result<RgbImage> make_tensor(const RgbImage& picture, const Extent& extent,
                             const Preprocess& preprocess);

/// The part of `extent` that `preprocess` looks at.
Extent fitted(const Extent& extent, const Preprocess& preprocess);

/// Median of each 3 x 3 neighbourhood per channel; the border repeats itself.
RgbImage median_3x3(const RgbImage& image);

}  // namespace similis
