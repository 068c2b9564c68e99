#include "engine/codes/frame.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace similis::engine {
namespace {

/// Rows around a mean, most of whose variance lies in a few random directions.
struct Sample {
  explicit Sample(std::uint32_t dimensions_, std::size_t rows, std::size_t factors,
                  std::uint64_t seed)
      : dimensions(dimensions_), random(seed) {
    std::normal_distribution<float> normal;
    for (std::uint32_t d = 0; d < dimensions; ++d) mean.push_back(normal(random) * 0.1F);
    for (std::size_t i = 0; i < factors * dimensions; ++i) basis.push_back(normal(random));
    for (std::size_t r = 0; r < rows; ++r) {
      const std::vector<float> row = next();
      values.insert(values.end(), row.begin(), row.end());
    }
  }
  std::vector<float> next() {
    std::normal_distribution<float> normal;
    std::vector<float> row = mean;
    for (std::size_t f = 0; f * dimensions < basis.size(); ++f) {
      const float weight = normal(random) / std::sqrt(static_cast<float>(dimensions));
      for (std::uint32_t d = 0; d < dimensions; ++d) row[d] += weight * basis[f * dimensions + d];
    }
    for (float& v : row) v += normal(random) * 0.05F;
    return row;
  }
  std::uint32_t dimensions;
  std::mt19937_64 random;
  std::vector<float> mean, basis, values;
};

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

class FrameTest : public testing::TestWithParam<std::pair<std::uint32_t, std::uint32_t>> {};

// The map is orthogonal: lengths and inner products come through, whatever the shape.
TEST_P(FrameTest, KeepsInnerProducts) {
  const auto [dimensions, lead] = GetParam();
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Sample sample(dimensions, 400, 10, seed);
  const Frame frame = Frame::learn(sample.values, dimensions, lead, seed);
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> a = sample.next(), b = sample.next();
    std::vector<float> turned_a(dimensions), turned_b(dimensions);
    frame.turn(a, false, turned_a);
    frame.turn(b, false, turned_b);
    EXPECT_NEAR(dot(turned_a, turned_b), dot(a, b), 2e-3 * std::sqrt(dot(a, a) * dot(b, b)));
    // Centred: the same, of the differences from the mean.
    std::vector<float> centred = a;
    for (std::uint32_t d = 0; d < dimensions; ++d) centred[d] -= frame.mean()[d];
    frame.turn(a, true, turned_a);
    EXPECT_NEAR(dot(turned_a, turned_a), dot(centred, centred), 4e-3 * dot(centred, centred));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FrameTest,
                         testing::Values(std::pair{32U, 0U}, std::pair{64U, 64U},
                                         std::pair{100U, 32U}, std::pair{384U, 128U},
                                         std::pair{1000U, 256U}));

// Ten directions hold nearly all variance: so do the leading coordinates, spread evenly among them.
TEST(Frame, LeadingCoordinatesHoldTheVariance) {
  constexpr std::uint32_t kDimensions = 256, kLead = 64;
  Sample sample(kDimensions, 2000, 10, 5);
  const Frame frame = Frame::learn(sample.values, kDimensions, kLead, 5);
  EXPECT_GT(frame.lead_share(), 0.9F);
  std::vector<double> variance(kDimensions);
  std::vector<float> turned(kDimensions);
  for (int i = 0; i < 500; ++i) {
    frame.turn(sample.next(), true, turned);
    for (std::uint32_t d = 0; d < kDimensions; ++d) variance[d] += turned[d] * turned[d];
  }
  double lead = 0, all = 0, largest = 0;
  for (std::uint32_t d = 0; d < kDimensions; ++d) {
    all += variance[d];
    if (d < kLead) lead += variance[d];
    if (d < kLead) largest = std::max(largest, variance[d]);
  }
  EXPECT_NEAR(lead / all, frame.lead_share(), 0.03);
  EXPECT_LT(largest, 8 * lead / kLead);
}

// Equal rows have no direction at all.
TEST(Frame, LearnsFromRowsWithoutVariance) {
  const std::vector<float> values(64 * 10, 0.5F);
  const Frame frame = Frame::learn(values, 64, 32, 1);
  std::vector<float> turned(64);
  frame.turn(std::span(values).first(64), true, turned);
  for (const float v : turned) EXPECT_NEAR(v, 0, 1e-4);
  frame.turn(std::span(values).first(64), false, turned);
  EXPECT_NEAR(dot(turned, turned), 16, 0.05);
}

TEST(Frame, SurvivesItsFile) {
  Sample sample(100, 200, 5, 3);
  const Frame frame = Frame::learn(sample.values, 100, 64, 9);
  const std::string bytes = frame.encode();
  const Result<Frame> decoded = Frame::decode(bytes, "frame");
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  const Frame& again = *decoded;
  std::vector<float> a(100), b(100);
  frame.turn(std::span(sample.values).first(100), true, a);
  again.turn(std::span(sample.values).first(100), true, b);
  EXPECT_EQ(a, b);
  EXPECT_EQ(again.bytes_in_memory(), frame.bytes_in_memory());
  for (std::size_t cut = 0; cut < bytes.size(); cut += 97)
    EXPECT_FALSE(Frame::decode(std::string_view(bytes).substr(0, cut), "frame").ok()) << cut;
  EXPECT_FALSE(Frame::decode(bytes + "x", "frame").ok());
}

}  // namespace
}  // namespace similis::engine
