#include "inference/pooling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace similis {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

// Inputs and expected values come from NumPy: x of shape (3, 2, 4), pooled over its last two axes
// in float64.
const std::vector<float> kMap = {4.08F,  -5.11F, 0.84F, -1.14F, -0.91F, -0.43F, -4.04F, -0.46F,
                                 -1.73F, 6.65F,  0.45F, -0.71F, -0.56F, -1.34F, -2.11F, -0.78F,
                                 0.96F,  -0.48F, 1.92F, -0.40F, 0.05F,  3.09F,  1.09F,  -1.01F};

std::vector<float> pooled_map(Pooling::Kind kind, double p = 3.0) {
  std::vector<float> out(3);
  pool({kind, p, 1}, false, kMap, Positions::channels_first(3, 8), out);
  return out;
}

/// The first 20 values as 5 tokens of 4.
std::vector<float> pooled_tokens(Pooling::Kind kind, std::uint32_t prefix_tokens = 1) {
  std::vector<float> out(4);
  pool({kind, 3.0, prefix_tokens}, true, std::span(kMap).first(20), Positions::channels_last(5, 4),
       out);
  return out;
}

auto near(std::vector<float> expected) {
  return Pointwise(FloatNear(2e-6F), expected);
}

TEST(Pooling, FeatureMapAsInNumPy) {
  EXPECT_THAT(pooled_map(Pooling::Kind::avg), near({-0.89625F, -0.01625F, 0.6525F}));
  EXPECT_THAT(pooled_map(Pooling::Kind::max), near({4.08F, 6.65F, 3.09F}));
  EXPECT_THAT(pooled_map(Pooling::Kind::gem, 3.0), near({2.04591704F, 3.32534345F, 1.69214083F}));
  EXPECT_THAT(pooled_map(Pooling::Kind::gem, 2.5), near({1.78950764F, 2.89595936F, 1.55277637F}));
}

TEST(Pooling, LayoutDoesNotMatter) {
  std::vector<float> last(kMap.size());
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < 8; ++i) last[i * 3 + c] = kMap[c * 8 + i];
  }
  for (const auto kind : {Pooling::Kind::avg, Pooling::Kind::max, Pooling::Kind::gem}) {
    std::vector<float> out(3);
    pool({kind, 3.0, 1}, false, last, Positions::channels_last(8, 3), out);
    EXPECT_EQ(out, pooled_map(kind)) << pooling_name(kind);
  }
}

TEST(Pooling, TokensAsInNumPy) {
  EXPECT_THAT(pooled_tokens(Pooling::Kind::cls), near({4.08F, -5.11F, 0.84F, -1.14F}));
  EXPECT_THAT(pooled_tokens(Pooling::Kind::avg), near({-0.56F, 1.1F, -0.945F, -0.5875F}));
  EXPECT_THAT(pooled_tokens(Pooling::Kind::avg, 2),
              near({-0.44333335F, 1.61F, 0.08666668F, -0.63F}));
  EXPECT_THAT(pooled_tokens(Pooling::Kind::max), near({0.96F, 6.65F, 1.92F, -0.40F}));
  EXPECT_THAT(pooled_tokens(Pooling::Kind::gem),
              near({0.604762090F, 4.18923755F, 1.21469278F, 1e-6F}));
  EXPECT_THAT(pooled_tokens(Pooling::Kind::gem, 2),
              near({0.665626808F, 4.61085254F, 1.33694239F, 1e-6F}));
}

TEST(Pooling, GemLiesBetweenMeanAndMax) {
  const std::vector<float> positive = {0.5F, 1.5F, 2.5F, 3.5F};
  const auto gem = [&](double p) {
    std::vector<float> out(1);
    pool({Pooling::Kind::gem, p, 0}, false, positive, Positions::channels_first(1, 4), out);
    return out[0];
  };
  EXPECT_NEAR(gem(1.0), 2.0F, 1e-6);
  EXPECT_GT(gem(3.0), gem(2.0));
  EXPECT_NEAR(gem(80.0), 3.5F, 0.1);
}

TEST(Normalise, LengthBecomesOneAndZeroStaysZero) {
  std::vector<float> values(kMap.begin(), kMap.begin() + 6);
  l2_normalise(values);
  EXPECT_THAT(values, near({0.6030286F, -0.7552638F, 0.12415295F, -0.16849329F, -0.13449903F,
                            -0.06355449F}));
  std::vector<float> zero(3, 0.0F);
  l2_normalise(zero);
  EXPECT_THAT(zero, ElementsAre(0.0F, 0.0F, 0.0F));
  std::vector<float> huge = {3e30F, 4e30F};
  l2_normalise(huge);
  EXPECT_THAT(huge, near({0.6F, 0.8F}));
}

TEST(Softmax, AsInNumPyAndWithoutOverflow) {
  std::vector<float> values(kMap.begin(), kMap.begin() + 6);
  softmax(values);
  EXPECT_THAT(values, near({0.941196484F, 9.60536743e-5F, 0.0368609222F, 0.00508935962F,
                            0.00640546781F, 0.0103517128F}));
  std::vector<float> large = {1000.0F, 1000.0F};
  softmax(large);
  EXPECT_THAT(large, near({0.5F, 0.5F}));
  std::vector<float> none;
  softmax(none);
}

TEST(TopValues, LargestFirstTiesByIndex) {
  using Pair = std::pair<std::uint32_t, float>;
  const std::vector<float> values = {0.1F, 0.4F, 0.1F, 0.4F};
  EXPECT_THAT(top_values(values, 3), ElementsAre(Pair{1, 0.4F}, Pair{3, 0.4F}, Pair{0, 0.1F}));
  EXPECT_EQ(top_values(values, 9).size(), 4u);
  EXPECT_TRUE(top_values({}, 5).empty());
}

TEST(Cosine, KnownAngles) {
  const std::array<float, 2> right = {1, 0}, up = {0, 2}, both = {3, 3}, zero = {0, 0};
  EXPECT_NEAR(cosine(right, right), 1.0, 1e-12);
  EXPECT_NEAR(cosine(right, up), 0.0, 1e-12);
  EXPECT_NEAR(cosine(right, both), 0.70710678, 1e-8);
  EXPECT_EQ(cosine(right, zero), 0.0);
}

}  // namespace
}  // namespace similis
