#include "engine/simd/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>

namespace similis::engine::simd {
namespace {

std::uint64_t seed() {
  static const std::uint64_t value = std::random_device{}();
  return value;
}

class KernelsTest : public testing::TestWithParam<const Kernels*> {};

// Every finite and infinite half survives the way to f32 and back, on each table alike.
TEST_P(KernelsTest, HalvesRoundTrip) {
  std::vector<std::uint16_t> halves, back(65536);
  for (unsigned i = 0; i < 65536; ++i) halves.push_back(static_cast<std::uint16_t>(i));
  std::vector<float> floats(65536), expected(65536);
  GetParam()->to_float(halves.data(), halves.size(), floats.data());
  kScalarKernels->to_float(halves.data(), halves.size(), expected.data());
  GetParam()->to_half(floats.data(), floats.size(), back.data());
  for (unsigned i = 0; i < 65536; ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(floats[i])) << i;
      continue;
    }
    ASSERT_EQ(floats[i], expected[i]) << i;
    ASSERT_EQ(back[i], halves[i]) << i;
  }
}

// Rounding is to nearest even: checked around every half's two midpoints.
TEST_P(KernelsTest, RoundsToNearestEven) {
  for (unsigned i = 0; i < 0x7bff; ++i) {
    const std::uint16_t pair[2] = {static_cast<std::uint16_t>(i),
                                   static_cast<std::uint16_t>(i + 1)};
    float ends[2];
    kScalarKernels->to_float(pair, 2, ends);
    const float middle = (ends[0] + ends[1]) / 2;
    const float in[3] = {std::nextafterf(middle, 0.0F), middle, std::nextafterf(middle, 1e9F)};
    std::uint16_t out[3];
    GetParam()->to_half(in, 3, out);
    ASSERT_EQ(out[0], i);
    ASSERT_EQ(out[1], i % 2 == 0 ? i : i + 1);
    ASSERT_EQ(out[2], i + 1);
  }
  const float beyond[2] = {65519.99F, 65520.0F};
  std::uint16_t out[2];
  GetParam()->to_half(beyond, 2, out);
  EXPECT_EQ(out[0], 0x7bff);
  EXPECT_EQ(out[1], 0x7c00);
}

// Against sums in double, at odd lengths, every tile shape, unaligned rows and queries.
TEST_P(KernelsTest, PairsAgreeWithDoubleSums) {
  SCOPED_TRACE("seed " + std::to_string(seed()));
  std::mt19937_64 random(seed());
  std::normal_distribution<float> normal;
  for (const std::size_t dimensions :
       {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 100, 191, 1280, 1283}) {
    constexpr std::size_t kRows = 11, kQueries = 9;
    std::vector<std::uint16_t> halves(kRows * dimensions + 1);
    std::vector<float> floats(kRows * dimensions), query_values(kQueries * dimensions + 1);
    for (float& v : floats) v = normal(random);
    kScalarKernels->to_half(floats.data(), floats.size(), halves.data() + 1);
    kScalarKernels->to_float(halves.data() + 1, floats.size(), floats.data());
    for (float& v : query_values) v = normal(random);
    std::vector<const std::uint16_t*> rows;
    std::vector<const float*> queries;
    for (std::size_t r = 0; r < kRows; ++r) rows.push_back(halves.data() + 1 + r * dimensions);
    for (std::size_t q = 0; q < kQueries; ++q)
      queries.push_back(query_values.data() + 1 + q * dimensions);
    for (std::size_t row_count = 0; row_count <= kRows; ++row_count) {
      for (std::size_t query_count = 1; query_count <= kQueries; ++query_count) {
        std::vector<float> dot(row_count * query_count + 1, -77),
            l2(row_count * query_count + 1, -77);
        GetParam()->dot(rows.data(), row_count, queries.data(), query_count, dimensions,
                        dot.data());
        GetParam()->l2(rows.data(), row_count, queries.data(), query_count, dimensions, l2.data());
        EXPECT_EQ(dot.back(), -77);
        EXPECT_EQ(l2.back(), -77);
        for (std::size_t r = 0; r < row_count; ++r) {
          for (std::size_t q = 0; q < query_count; ++q) {
            double true_dot = 0, true_l2 = 0, size = 0;
            for (std::size_t i = 0; i < dimensions; ++i) {
              const double x = floats[r * dimensions + i], y = queries[q][i];
              true_dot += x * y;
              true_l2 += (x - y) * (x - y);
              size += std::abs(x * y);
            }
            ASSERT_NEAR(dot[r * query_count + q], true_dot, 1e-6 * size + 1e-6);
            ASSERT_NEAR(l2[r * query_count + q], true_l2, 2e-6 * true_l2 + 1e-6);
          }
        }
      }
    }
  }
}

// A pair's bits must not depend on its neighbours: ties between equal vectors rest on it.
TEST_P(KernelsTest, PairsDoNotDependOnTheirNeighbours) {
  SCOPED_TRACE("seed " + std::to_string(seed()));
  std::mt19937_64 random(seed());
  std::normal_distribution<float> normal;
  constexpr std::size_t kDimensions = 203, kRows = 7, kQueries = 7;
  std::vector<float> row(kDimensions), query(kDimensions);
  for (float& v : row) v = normal(random);
  for (float& v : query) v = normal(random);
  std::vector<std::uint16_t> half(kDimensions);
  GetParam()->to_half(row.data(), kDimensions, half.data());
  const std::vector<const std::uint16_t*> rows(kRows, half.data());
  const std::vector<const float*> queries(kQueries, query.data());
  for (const auto kernel : {GetParam()->dot, GetParam()->l2}) {
    float one = 0;
    kernel(rows.data(), 1, queries.data(), 1, kDimensions, &one);
    for (std::size_t q = 1; q <= kQueries; ++q) {
      std::vector<float> out(kRows * q);
      kernel(rows.data(), kRows, queries.data(), q, kDimensions, out.data());
      for (const float score : out)
        ASSERT_EQ(std::bit_cast<std::uint32_t>(score), std::bit_cast<std::uint32_t>(one));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, KernelsTest, testing::ValuesIn(available_kernels()),
                         [](const auto& param) { return std::string(param.param->name); });

TEST(Kernels, ScalarIsTheLastResort) {
  EXPECT_STREQ(available_kernels().back()->name, "scalar");
}

}  // namespace
}  // namespace similis::engine::simd
