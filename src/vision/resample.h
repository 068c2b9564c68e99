#pragma once

#include "vision/picture.h"

namespace similis {

/// A rectangle of an image in pixels; edges may lie between pixel borders.
struct Extent {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};

/// Resizes the part `extent` of `source` to width x height.
/// Separable; 14-bit fixed-point weights and integer sums, so that every machine gives the same
/// bytes. Each axis reduces by the filter's antialiased form or enlarges by its interpolating form
/// on its own. Pixels outside the image do not exist: the weights of those inside are normalised.
/// `extent` must overlap the image and have an area.
RgbImage resample(const RgbImage& source, const Extent& extent, int width, int height,
                  Preprocess::Filter filter);

/// Turns stored pixels upright: `orientation` 1..8 as in EXIF.
RgbImage oriented(RgbImage source, int orientation);
/// The extent of the upright image that corresponds to `extent` of the stored one, of `width` x
/// `height`.
Extent oriented(const Extent& extent, double width, double height, int orientation);
/// The orientation that undoes `orientation`.
int inverse_orientation(int orientation);
/// Whether width and height are swapped by it.
constexpr bool orientation_swaps(int orientation) {
  return orientation >= 5 && orientation <= 8;
}

}  // namespace similis
