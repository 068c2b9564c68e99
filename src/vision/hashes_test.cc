#include "vision/hashes.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <numbers>
#include <random>

#include "vision/resample.h"

namespace similis {
namespace {

// Blocks of random light, the same for every size.
RgbImage pattern(int width, int height, unsigned seed) {
  std::mt19937 random(seed);
  std::array<std::uint8_t, 12 * 12> blocks;
  for (auto& block : blocks) block = static_cast<std::uint8_t>(random() % 256);
  RgbImage image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const auto block = static_cast<std::size_t>(12 * (12 * y / height) + 12 * x / width);
      for (int c = 0; c < 3; ++c) image.pixels.push_back(blocks[block]);
    }
  }
  return image;
}

std::uint64_t hash_of(const RgbImage& image) {
  return perceptual_hash(resample(image, {0, 0, double(image.width), double(image.height)}, 32, 32,
                                  Preprocess::Filter::area));
}

TEST(PerceptualHash, SurvivesResizingAndLight) {
  const RgbImage large = pattern(640, 480, 1);
  const std::uint64_t hash = hash_of(large);
  EXPECT_LE(hash_distance(hash, hash_of(pattern(160, 120, 1))), 4);
  RgbImage dim = large;
  for (auto& v : dim.pixels) v = static_cast<std::uint8_t>(v * 3 / 4 + 20);
  EXPECT_LE(hash_distance(hash, hash_of(dim)), 4);
  EXPECT_GT(hash_distance(hash, hash_of(pattern(640, 480, 2))), 12);
  EXPECT_EQ(hash_of(RgbImage{32, 32, std::vector<std::uint8_t>(32 * 32 * 3, 77)}), 0u);
}

TEST(PerceptualHash, BitsAreWhereTheHeaderSays) {
  // One cosine of vertical frequency 2 and horizontal 3: its coefficient stands out alone.
  std::array<float, 32 * 32> luma;
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) {
      luma[static_cast<std::size_t>(32 * y + x)] =
          static_cast<float>(100 + 50 * std::cos(std::numbers::pi * 2 * (2 * y + 1) / 64) *
                                       std::cos(std::numbers::pi * 3 * (2 * x + 1) / 64));
    }
  }
  EXPECT_EQ(perceptual_hash(std::span<const float, 32 * 32>(luma)),
            std::uint64_t{1} << (8 * 1 + 2));
}

}  // namespace
}  // namespace similis
