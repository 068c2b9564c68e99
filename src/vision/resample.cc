#include "vision/resample.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <numeric>

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace similis {
namespace {

// Weights sum to 2^14. The first pass keeps 6 bits below the integer: 255 * 2^6 and the overshoot
// of a bicubic fit in 16 bits, and the second pass' sums, 255 * 2^6 * 2^14 * 1.3, in 32.
constexpr int kWeightBits = 14;
constexpr int kKeptBits = 6;

struct Taps {
  int first = 0;   // source index of the first weight
  int count = 0;   // even: a last weight of 0 fills the pair
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
    if (taps.count % 2 != 0) {
      axis.weights.push_back(0);
      ++taps.count;
    }
    axis.taps.push_back(taps);
  }
  return axis;
}

// The two passes. Both take taps in pairs: SSE2's pmaddwd multiplies 16-bit numbers and adds
// neighbours in 32 bits, which is exact, so that machines without it give the same bytes.

#ifdef __SSE2__
__m128i pair_at(const std::int16_t* weights) {
  std::int32_t both = 0;
  std::memcpy(&both, weights, sizeof both);
  return _mm_set1_epi32(both);
}
#endif

// mixed[i] = the weighted sum of row(k)[i] over the taps k, kKeptBits below the integer, for i <
// count.
template <typename Row>
void mix_rows(const Row& row, const Taps& taps, const std::int16_t* weights, std::size_t count,
              std::int16_t* mixed) {
  constexpr int kShift = kWeightBits - kKeptBits;
  constexpr std::int32_t kHalf = 1 << (kShift - 1);
  std::size_t i = 0;
#ifdef __SSE2__
  const __m128i zero = _mm_setzero_si128();
  for (; i + 16 <= count; i += 16) {
    __m128i sums[4];
    for (__m128i& sum : sums) sum = _mm_set1_epi32(kHalf);
    for (int k = 0; k < taps.count; k += 2) {
      const __m128i w = pair_at(weights + k);
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row(k) + i));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row(k + 1) + i));
      const __m128i low = _mm_unpacklo_epi8(a, b), high = _mm_unpackhi_epi8(a, b);
      sums[0] = _mm_add_epi32(sums[0], _mm_madd_epi16(_mm_unpacklo_epi8(low, zero), w));
      sums[1] = _mm_add_epi32(sums[1], _mm_madd_epi16(_mm_unpackhi_epi8(low, zero), w));
      sums[2] = _mm_add_epi32(sums[2], _mm_madd_epi16(_mm_unpacklo_epi8(high, zero), w));
      sums[3] = _mm_add_epi32(sums[3], _mm_madd_epi16(_mm_unpackhi_epi8(high, zero), w));
    }
    for (__m128i& sum : sums) sum = _mm_srai_epi32(sum, kShift);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(mixed + i), _mm_packs_epi32(sums[0], sums[1]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(mixed + i + 8), _mm_packs_epi32(sums[2], sums[3]));
  }
#endif
  for (; i < count; ++i) {
    std::int32_t sum = kHalf;
    for (int k = 0; k < taps.count; ++k) sum += weights[k] * row(k)[i];
    mixed[i] = static_cast<std::int16_t>(sum >> kShift);
  }
}

// One output pixel from `taps.count` mixed ones; kMixedPadding values behind them are read too.
constexpr std::size_t kMixedPadding = 8;
void mix_columns(const std::int16_t* pixels, const Taps& taps, const std::int16_t* weights,
                 std::uint8_t* out) {
  constexpr int kShift = kWeightBits + kKeptBits;
  constexpr std::int32_t kHalf = 1 << (kShift - 1);
#ifdef __SSE2__
  __m128i sum = _mm_set1_epi32(kHalf);
  for (int k = 0; k < taps.count; k += 2, pixels += 6) {
    const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels));
    const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels + 3));
    sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_unpacklo_epi16(a, b), pair_at(weights + k)));
  }
  sum = _mm_srai_epi32(sum, kShift);
  sum = _mm_packs_epi32(sum, sum);
  const int rgb = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
  std::memcpy(out, &rgb, 3);
#else
  for (int c = 0; c < 3; ++c) {
    std::int32_t sum = kHalf;
    for (int k = 0; k < taps.count; ++k) sum += weights[k] * pixels[3 * k + c];
    out[c] = static_cast<std::uint8_t>(std::clamp(sum >> kShift, 0, 255));
  }
#endif
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
  columns_end = std::min(columns_end, source.width);  // a pair's second half may lie beyond
  const auto count = 3 * static_cast<std::size_t>(columns_end - first_column);

  RgbImage out{width, height, {}};
  out.pixels.resize(3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  std::vector<std::int16_t> mixed(count + kMixedPadding);
  for (int y = 0; y < height; ++y) {
    const Taps& rows = down.taps[static_cast<std::size_t>(y)];
    auto row = [&](int k) {
      return source.row(std::min(rows.first + k, source.height - 1)) + 3 * first_column;
    };
    mix_rows(row, rows, down.weights.data() + rows.offset, count, mixed.data());
    std::uint8_t* target = out.row(y);
    for (const Taps& taps : across.taps) {
      mix_columns(mixed.data() + 3 * (taps.first - first_column), taps,
                  across.weights.data() + taps.offset, target);
      target += 3;
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
