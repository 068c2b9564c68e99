#include "engine/graph/lift.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/support_test.h"

namespace similis::engine {
namespace {

double product(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

TEST(Lift, CosinesAreInnerProducts) {
  std::mt19937_64 random(3);
  constexpr std::uint32_t kDimensions = 33;
  std::vector<std::vector<float>> rows;
  double longest = 0;
  for (int i = 0; i < 50; ++i) {
    auto& row = rows.emplace_back(random_vector(random, kDimensions));
    for (float& v : row) v *= static_cast<float>(i);
    longest = std::max(longest, std::sqrt(product(row, row)));
  }
  const auto query = random_vector(random, kDimensions);
  std::vector<float> lifted_query_values(lifted_dimensions(Metric::inner_product, kDimensions));
  const float length = lift_query(query, lifted_query_values);
  EXPECT_NEAR(product(lifted_query_values, lifted_query_values), 1, 1e-5);
  const auto bound = static_cast<float>(longest);
  std::vector<float> lifted(kDimensions + 1);
  for (const auto& row : rows) {
    lift_row(row, bound, lifted);
    EXPECT_NEAR(product(lifted, lifted), 1, 1e-5);
    EXPECT_NEAR(bound * length * product(lifted, lifted_query_values), product(row, query),
                1e-5 * longest * length);
  }
}

TEST(Lift, WhatHasNoLengthOrTooMuchOfIt) {
  const std::vector<float> zero(4), one{1, 0, 0, 0};
  std::vector<float> out(5);
  EXPECT_EQ(lift_query(zero, out), 0);
  EXPECT_EQ(out, std::vector<float>(5));
  lift_row(zero, 2, out);
  EXPECT_EQ(out, (std::vector<float>{0, 0, 0, 0, 1}));
  lift_row(zero, 0, out);
  EXPECT_EQ(out, (std::vector<float>{0, 0, 0, 0, 1}));
  lift_row(one, 0.5F, out);
  EXPECT_EQ(out, (std::vector<float>{1, 0, 0, 0, 0}));
}

}  // namespace
}  // namespace similis::engine
