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

// The code kernels against the scalar ones, whose sums are exact, at every length up to 20 blocks.
TEST_P(KernelsTest, CodesAgreeWithScalar) {
  SCOPED_TRACE("seed " + std::to_string(seed()));
  std::mt19937_64 random(seed());
  for (std::size_t blocks = 0; blocks <= 20; ++blocks) {
    std::vector<std::uint8_t> codes(blocks * 32 + 1);
    std::vector<std::int8_t> query(blocks * 64 + 1);
    for (auto& c : codes) c = static_cast<std::uint8_t>(random());
    for (auto& q : query) q = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
    EXPECT_EQ(GetParam()->dot_nibbles(codes.data() + 1, query.data() + 1, blocks * 64),
              kScalarKernels->dot_nibbles(codes.data() + 1, query.data() + 1, blocks * 64));
    EXPECT_EQ(GetParam()->dot_crumbs(codes.data() + 1, query.data() + 1, blocks * 64),
              kScalarKernels->dot_crumbs(codes.data() + 1, query.data() + 1, blocks * 64));
    std::int32_t crumbs = 0;
    for (std::size_t d = 0; d < blocks * 64; ++d)
      crumbs += (codes[1 + d / 64 * 16 + d % 16] >> (d % 64 / 16 * 2) & 3) * query[1 + d];
    EXPECT_EQ(kScalarKernels->dot_crumbs(codes.data() + 1, query.data() + 1, blocks * 64), crumbs);
  }
  std::vector<std::uint8_t> codes(640, 255);  // the largest sums
  std::vector<std::int8_t> query(1280, -127);
  EXPECT_EQ(GetParam()->dot_nibbles(codes.data(), query.data(), 1280), -1280 * 15 * 127);
  EXPECT_EQ(GetParam()->dot_crumbs(codes.data(), query.data(), 1280), -1280 * 3 * 127);

  for (std::size_t words = 0; words <= 40; ++words) {
    for (const std::size_t planes : {1, 2, 4, 6}) {
      const std::size_t stride = words + words % 3;
      std::vector<std::uint64_t> bits(words), values(stride * planes);
      for (auto& b : bits) b = random();
      for (auto& v : values) v = random();
      EXPECT_EQ(GetParam()->dot_planes(bits.data(), values.data(), planes, words, stride),
                kScalarKernels->dot_planes(bits.data(), values.data(), planes, words, stride))
          << words << " words, " << planes << " planes";
    }
  }
}

TEST_P(KernelsTest, ManyCodesAtOnceAreAsEachAlone) {
  SCOPED_TRACE("seed " + std::to_string(seed()));
  std::mt19937_64 random(seed());
  for (const std::size_t dimensions : {0, 64, 128, 256, 320}) {
    for (const std::size_t words : {0, 1, 7, 8, 9, 16, 25, 32, 40}) {
      for (const std::size_t planes : {1, 4, 6}) {
        constexpr std::size_t kCount = 5;
        const std::size_t bytes = dimensions / 2 + 8 * words;
        std::vector<std::uint8_t> codes(kCount * bytes + 1);  // also where nothing is aligned
        for (auto& b : codes) b = static_cast<std::uint8_t>(random());
        std::vector<std::int8_t> query(dimensions);
        for (auto& q : query) q = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
        std::vector<std::uint64_t> values(words * planes);
        for (auto& v : values) v = random();
        std::vector<const std::uint8_t*> rows;
        for (std::size_t i = 0; i < kCount; ++i) rows.push_back(codes.data() + 1 + i * bytes);
        std::int32_t nibbles[kCount], bits[kCount];
        GetParam()->dot_codes(rows.data(), kCount, query.data(), dimensions, values.data(), planes,
                              words, nibbles, bits);
        for (std::size_t i = 0; i < kCount; ++i) {
          std::vector<std::uint64_t> own(words);
          if (words > 0) std::memcpy(own.data(), rows[i] + dimensions / 2, 8 * words);
          EXPECT_EQ(nibbles[i], kScalarKernels->dot_nibbles(rows[i], query.data(), dimensions));
          EXPECT_EQ(bits[i],
                    kScalarKernels->dot_planes(own.data(), values.data(), planes, words, words));
        }
      }
    }
  }
}

// Rounding, sums and planes, at lengths with and without a rest.
TEST_P(KernelsTest, BytesAndPlanesAgreeWithScalar) {
  SCOPED_TRACE("seed " + std::to_string(seed()));
  std::mt19937_64 random(seed());
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (const std::size_t count : {0, 1, 15, 16, 17, 63, 64, 100, 1283}) {
    std::vector<float> values(count);
    for (float& v : values) v = uniform(random);
    if (count > 2) values[1] = 2.5F / 127;  // a tie
    std::vector<std::int8_t> out(count), expected(count);
    EXPECT_EQ(GetParam()->to_bytes(values.data(), count, 127, out.data()),
              kScalarKernels->to_bytes(values.data(), count, 127, expected.data()));
    EXPECT_EQ(out, expected);
  }
  for (const std::size_t words : {0, 1, 2, 7, 16}) {
    std::vector<std::int8_t> bytes(words * 64);
    for (auto& b : bytes) b = static_cast<std::int8_t>(random());
    for (const std::size_t planes : {1, 3, 6, 8}) {
      std::vector<std::uint64_t> out(words * planes), expected(words * planes);
      GetParam()->to_planes(bytes.data(), words, planes, out.data());
      kScalarKernels->to_planes(bytes.data(), words, planes, expected.data());
      EXPECT_EQ(out, expected);
      for (std::size_t i = 0; i < bytes.size(); ++i)
        ASSERT_EQ(out[(planes - 1) * words + i / 64] >> (i % 64) & 1,
                  static_cast<std::uint64_t>(bytes[i] >> (planes - 1) & 1));
    }
  }
}

TEST_P(KernelsTest, ExtentTellsLengthAndLargest) {
  std::mt19937_64 random(8);
  std::normal_distribution<float> normal;
  for (const std::size_t count : {0, 1, 3, 15, 16, 17, 31, 63, 1280, 1281}) {
    std::vector<float> values(count);
    double squares = 0;
    float largest = 0;
    for (float& v : values) {
      v = normal(random);
      squares += static_cast<double>(v) * v;
      largest = std::max(largest, std::abs(v));
    }
    const Extent extent = GetParam()->extent(values.data(), count);
    EXPECT_NEAR(extent.squares, squares, 1e-5 * squares);
    EXPECT_EQ(extent.largest, largest);
    for (const std::size_t at : {std::size_t{0}, count / 2, count - 1}) {
      if (at >= count) continue;
      std::vector<float> spoilt = values;
      spoilt[at] = std::nanf("");
      EXPECT_TRUE(std::isnan(GetParam()->extent(spoilt.data(), count).squares)) << at;
      spoilt[at] = -INFINITY;
      EXPECT_EQ(GetParam()->extent(spoilt.data(), count).largest, INFINITY) << at;
    }
  }
}

// Twice is once back; lengths are kept; the scalar table says what it should be.
TEST_P(KernelsTest, HadamardIsItsOwnInverse) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  for (std::size_t size = 1; size <= 4096; size *= 2) {
    std::vector<float> before(size);
    for (float& v : before) v = normal(random);
    std::vector<float> values = before, expected = before;
    GetParam()->hadamard(values.data(), size);
    kScalarKernels->hadamard(expected.data(), size);
    for (std::size_t i = 0; i < size; ++i) ASSERT_NEAR(values[i], expected[i], 1e-4) << size;
    GetParam()->hadamard(values.data(), size);
    for (std::size_t i = 0; i < size; ++i) ASSERT_NEAR(values[i], before[i], 1e-4) << size;
  }
}

TEST_P(KernelsTest, AddsWeightedRows) {
  std::mt19937_64 random(8);
  std::normal_distribution<float> normal;
  for (const std::size_t dimensions : {1, 7, 8, 15, 16, 17, 100, 1283}) {
    for (const std::size_t count : {0, 1, 3, 4, 5, 11}) {
      std::vector<float> floats(count * dimensions), weights(count), out(dimensions);
      for (float& v : floats) v = normal(random);
      for (float& v : weights) v = normal(random);
      for (float& v : out) v = normal(random);
      std::vector<std::uint16_t> halves(floats.size());
      kScalarKernels->to_half(floats.data(), floats.size(), halves.data());
      kScalarKernels->to_float(halves.data(), halves.size(), floats.data());
      std::vector<const std::uint16_t*> rows;
      for (std::size_t r = 0; r < count; ++r) rows.push_back(halves.data() + r * dimensions);
      std::vector<double> expected(out.begin(), out.end());
      for (std::size_t r = 0; r < count; ++r)
        for (std::size_t d = 0; d < dimensions; ++d)
          expected[d] += static_cast<double>(weights[r]) * floats[r * dimensions + d];
      // Nine vectors: whole groups and what is left; each comes out as it does alone.
      std::vector<std::vector<float>> outs(9, out);
      std::vector<const float*> weights_of(9, weights.data());
      std::vector<float*> pointers;
      for (auto& one : outs) pointers.push_back(one.data());
      const float* alone = weights.data();
      float* to = out.data();
      GetParam()->add_rows(rows.data(), count, &alone, 1, dimensions, &to);
      GetParam()->add_rows(rows.data(), count, weights_of.data(), 9, dimensions, pointers.data());
      for (std::size_t d = 0; d < dimensions; ++d) ASSERT_NEAR(out[d], expected[d], 1e-4);
      for (const auto& one : outs) ASSERT_EQ(one, out);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, KernelsTest, testing::ValuesIn(available_kernels()),
                         [](const auto& param) { return std::string(param.param->name); });

TEST(Kernels, ScalarIsTheLastResort) {
  EXPECT_STREQ(available_kernels().back()->name, "scalar");
}

// What the environment asks for is what is used, in a process of its own as it is asked once.
TEST(Kernels, AreThoseTheEnvironmentAsksFor) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const Kernels* table : available_kernels()) {
    EXPECT_EXIT(
        {
          ::setenv("SIMILIS_SIMD", table->name, 1);
          std::exit(&kernels() == table ? 0 : 1);
        },
        testing::ExitedWithCode(0), "")
        << table->name;
  }
  EXPECT_EXIT(
      {
        ::setenv("SIMILIS_SIMD", "abacus", 1);
        std::exit(&kernels() == available_kernels().front() ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace similis::engine::simd
