#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace similis::bench {

/// Vectors on a smooth surface of few dimensions in a space of many: a two-layer network of random
/// weights over normal latent coordinates, and a little noise. The same seed gives the same ones.
class ManifoldGenerator {
 public:
  ManifoldGenerator(std::size_t dimensions, std::size_t intrinsic, std::uint64_t seed)
      : dimensions_(dimensions), intrinsic_(intrinsic) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& weights, std::size_t count, double scale) {
      weights.resize(count);
      for (float& w : weights) w = static_cast<float>(scale) * normal(random);
    };
    fill(bend_, kHidden * intrinsic, 1 / std::sqrt(static_cast<double>(intrinsic)));
    fill(shift_, kHidden, 0.5);
    fill(spread_, kHidden * dimensions, 1 / std::sqrt(static_cast<double>(kHidden)));
  }

  [[nodiscard]] std::size_t dimensions() const { return dimensions_; }

  /// One vector of length 1 per seed, whichever others were made.
  void make(std::uint64_t seed, std::span<float> out) const {
    std::mt19937_64 random(seed * 0x9e3779b97f4a7c15 + 1);
    std::normal_distribution<float> normal;
    std::vector<float> latent(intrinsic_);
    for (float& z : latent) z = normal(random);
    for (float& x : out) x = kNoise * normal(random);
    for (std::size_t h = 0; h < kHidden; ++h) {
      float sum = shift_[h];
      for (std::size_t i = 0; i < intrinsic_; ++i) sum += bend_[h * intrinsic_ + i] * latent[i];
      const float bent = std::tanh(sum);
      const float* weights = spread_.data() + h * dimensions_;
      for (std::size_t d = 0; d < dimensions_; ++d) out[d] += bent * weights[d];
    }
    float squared = 0;
    for (const float x : out) squared += x * x;
    const float scale = 1 / std::sqrt(squared);
    for (float& x : out) x *= scale;
  }

 private:
  static constexpr std::size_t kHidden = 256;
  static constexpr float kNoise = 0.01F;

  std::size_t dimensions_;
  std::size_t intrinsic_;
  std::vector<float> bend_, shift_, spread_;
};

}  // namespace similis::bench
