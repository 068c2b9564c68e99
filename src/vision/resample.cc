#include "vision/resample.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace similis {
namespace {

// Weights sum to 2^14. The first pass keeps 6 bits below the integer: 255 * 2^6 and the overshoot
// of a bicubic fit in 16 bits, and the second pass' sums, 255 * 2^6 * 2^14 * 1.3, in 32.
constexpr int kWeightBits = 14;
constexpr int kKeptBits = 6;

struct Taps {
  int first = 0;  // source index of the first weight
  int count = 0;
  int offset = 0;  // into Axis::weights
};

struct Axis {
  std::vector<Taps> taps;  // per output index
  std::vector<std::int16_t> weights;
};

double triangle(double t) {
  return std::max(0.0, 1.0 - std::abs(t));
}

double cubic(double t) {
  constexpr double a = -0.5;
  t = std::abs(t);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

// What source pixels (of `size`) and weights make each of `out` outputs that cover [begin, begin +
// length).
Axis make_axis(int size, double begin, double length, int out, Preprocess::Filter filter) {
  Axis axis;
  axis.taps.reserve(static_cast<std::size_t>(out));
  const double scale = length / out;
  const bool box = filter == Preprocess::Filter::area && scale > 1;
  const double radius = filter == Preprocess::Filter::bicubic ? 2 : 1;
  const double stretch = std::max(scale, 1.0);
  std::vector<double> real;
  for (int i = 0; i < out; ++i) {
    const double low = begin + i * scale;
    const double center = low + scale / 2;
    const double from = box ? low : center - radius * stretch;
    const double to = box ? low + scale : center + radius * stretch;
    const int first = std::clamp(static_cast<int>(std::floor(from)), 0, size - 1);
    const int last = std::clamp(static_cast<int>(std::ceil(to)) - 1, first, size - 1);
    real.clear();
    for (int s = first; s <= last; ++s) {
      if (box) {
        real.push_back(std::max(0.0, std::min(to, s + 1.0) - std::max(from, double(s))));
      } else {
        const double t = (s + 0.5 - center) / stretch;
        real.push_back(filter == Preprocess::Filter::bicubic ? cubic(t) : triangle(t));
      }
    }
    double sum = std::accumulate(real.begin(), real.end(), 0.0);
    if (sum <= 0) {  // the output lies outside the image: take the nearest pixel
      std::fill(real.begin(), real.end(), 0.0);
      real[center < size / 2.0 ? 0 : real.size() - 1] = sum = 1;
    }
    // Rounded weights must sum to exactly one, or flat areas would drift: the largest takes the
    // difference.
    Taps taps{first, static_cast<int>(real.size()), static_cast<int>(axis.weights.size())};
    int total = 0;
    std::size_t largest = 0;
    for (std::size_t k = 0; k < real.size(); ++k) {
      const auto w = static_cast<std::int16_t>(std::lround(real[k] / sum * (1 << kWeightBits)));
      total += w;
      if (real[k] > real[largest]) largest = k;
      axis.weights.push_back(w);
    }
    axis.weights[static_cast<std::size_t>(taps.offset) + largest] +=
        static_cast<std::int16_t>((1 << kWeightBits) - total);
    axis.taps.push_back(taps);
  }
  return axis;
}

// One output row of the vertical pass: sums of source rows, kKeptBits below the integer. Vectorised
// by the compiler.
void add_row(const std::uint8_t* row, int weight, std::int32_t* sums, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sums[i] += weight * row[i];
}

}  // namespace

RgbImage resample(const RgbImage& source, const Extent& extent, int width, int height,
                  Preprocess::Filter filter) {
  assert(source.width > 0 && source.height > 0 && width > 0 && height > 0);
  const Axis across = make_axis(source.width, extent.x, extent.width, width, filter);
  const Axis down = make_axis(source.height, extent.y, extent.height, height, filter);
  const int first_column = across.taps.front().first;
  int columns_end = first_column;
  for (const Taps& taps : across.taps) columns_end = std::max(columns_end, taps.first + taps.count);
  const auto count = 3 * static_cast<std::size_t>(columns_end - first_column);

  RgbImage out{width, height,
               std::vector<std::uint8_t>(3 * static_cast<std::size_t>(width) *
                                         static_cast<std::size_t>(height))};
  std::vector<std::int32_t> sums(count);
  std::vector<std::int16_t> mixed(count);
  for (int y = 0; y < height; ++y) {
    const Taps& rows = down.taps[static_cast<std::size_t>(y)];
    std::fill(sums.begin(), sums.end(), 1 << (kWeightBits - kKeptBits - 1));
    for (int k = 0; k < rows.count; ++k) {
      add_row(source.row(rows.first + k) + 3 * first_column,
              down.weights[static_cast<std::size_t>(rows.offset + k)], sums.data(), count);
    }
    for (std::size_t i = 0; i < count; ++i)
      mixed[i] = static_cast<std::int16_t>(sums[i] >> (kWeightBits - kKeptBits));

    std::uint8_t* target = out.row(y);
    for (const Taps& taps : across.taps) {
      const std::int16_t* pixel = mixed.data() + 3 * (taps.first - first_column);
      const std::int16_t* weight = across.weights.data() + taps.offset;
      constexpr std::int32_t kHalf = 1 << (kWeightBits + kKeptBits - 1);
      std::int32_t r = kHalf, g = kHalf, b = kHalf;
      for (int k = 0; k < taps.count; ++k, pixel += 3) {
        r += weight[k] * pixel[0];
        g += weight[k] * pixel[1];
        b += weight[k] * pixel[2];
      }
      for (const std::int32_t channel : {r, g, b}) {
        *target++ =
            static_cast<std::uint8_t>(std::clamp(channel >> (kWeightBits + kKeptBits), 0, 255));
      }
    }
  }
  return out;
}

RgbImage oriented(RgbImage source, int orientation) {
  if (orientation <= 1 || orientation > 8) return source;
  const int w = source.width;
  const int h = source.height;
  const bool swap = orientation_swaps(orientation);
  RgbImage out{swap ? h : w, swap ? w : h, std::vector<std::uint8_t>(source.pixels.size())};
  // Where the stored pixel (0, 0) lands in the upright image, and the steps of a stored row and
  // column from there.
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const std::ptrdiff_t pixel = from_right ? -3 : 3;
  const std::ptrdiff_t line = (from_bottom ? -3 : 3) * static_cast<std::ptrdiff_t>(out.width);
  const std::ptrdiff_t column_step = swap ? line : pixel;
  const std::ptrdiff_t row_step = swap ? pixel : line;
  const std::uint8_t* from = source.pixels.data();
  std::uint8_t* const origin =
      out.row(from_bottom ? out.height - 1 : 0) + (from_right ? 3 * (out.width - 1) : 0);
  for (int y = 0; y < h; ++y) {
    std::uint8_t* to = origin + y * row_step;
    for (int x = 0; x < w; ++x, from += 3, to += column_step) {
      to[0] = from[0];
      to[1] = from[1];
      to[2] = from[2];
    }
  }
  return out;
}

Extent oriented(const Extent& extent, double width, double height, int orientation) {
  const bool swap = orientation_swaps(orientation);
  Extent out = swap ? Extent{extent.y, extent.x, extent.height, extent.width} : extent;
  const double out_width = swap ? height : width;
  const double out_height = swap ? width : height;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  if (from_right) out.x = out_width - out.x - out.width;
  if (from_bottom) out.y = out_height - out.y - out.height;
  return out;
}

int inverse_orientation(int orientation) {
  // Mirrorings and the half turn undo themselves; the quarter turns undo each other.
  if (orientation == 6) return 8;
  if (orientation == 8) return 6;
  return orientation;
}

}  // namespace similis
