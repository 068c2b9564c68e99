#include "vision/hashes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <numbers>

namespace similis {
namespace {

constexpr std::size_t kSide = 32;
constexpr std::size_t kKept = 8;

using Basis = std::array<std::array<double, kSide>, kKept>;

// Rows 1..8 of the 32-point DCT-II, without its scale factors: they are equal for all of them.
Basis make_basis() {
  Basis basis;
  for (std::size_t u = 0; u < kKept; ++u) {
    for (std::size_t x = 0; x < kSide; ++x) {
      basis[u][x] =
          std::cos(std::numbers::pi * double(u + 1) * (2.0 * double(x) + 1) / (2.0 * kSide));
    }
  }
  return basis;
}

}  // namespace

std::uint64_t perceptual_hash(std::span<const float, kSide * kSide> luma) {
  static const Basis basis = make_basis();
  std::array<std::array<double, kSide>, kKept> across{};  // [v][x]
  for (std::size_t v = 0; v < kKept; ++v) {
    for (std::size_t y = 0; y < kSide; ++y) {
      for (std::size_t x = 0; x < kSide; ++x)
        across[v][x] += basis[v][y] * double(luma[y * kSide + x]);
    }
  }
  std::array<double, kKept * kKept> coefficients{};
  for (std::size_t v = 0; v < kKept; ++v) {
    for (std::size_t u = 0; u < kKept; ++u) {
      for (std::size_t x = 0; x < kSide; ++x)
        coefficients[v * kKept + u] += basis[u][x] * across[v][x];
    }
  }
  // A flat picture's coefficients are rounding noise around zero: they count as equal, and it
  // hashes to 0.
  for (double& c : coefficients) {
    if (std::abs(c) < 1e-3) c = 0;
  }
  auto sorted = coefficients;
  std::sort(sorted.begin(), sorted.end());
  const double median = (sorted[31] + sorted[32]) / 2;
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < coefficients.size(); ++i) {
    if (coefficients[i] > median) hash |= std::uint64_t{1} << i;
  }
  return hash;
}

std::uint64_t perceptual_hash(const RgbImage& rgb) {
  assert(rgb.width == int(kSide) && rgb.height == int(kSide));
  std::array<float, kSide * kSide> luma;
  for (std::size_t i = 0; i < luma.size(); ++i) {
    const std::uint8_t* p = rgb.pixels.data() + 3 * i;
    luma[i] = 0.299f * float(p[0]) + 0.587f * float(p[1]) + 0.114f * float(p[2]);
  }
  return perceptual_hash(std::span<const float, kSide * kSide>(luma));
}

int hash_distance(std::uint64_t a, std::uint64_t b) {
  return std::popcount(a ^ b);
}

}  // namespace similis
