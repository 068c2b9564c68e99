#include "engine/codes/code.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace similis::engine {
namespace {

struct Shape {
  CodeLayout layout;
  double walk_spread_max;  // of the estimate, relative to the product of the lengths
  double refine_spread_max;
};

class CodeTest : public testing::TestWithParam<Shape> {
 protected:
  std::vector<float> vector(double lead_share) {
    const CodeLayout& layout = GetParam().layout;
    std::vector<float> out;
    for (std::uint32_t i = 0; i < layout.lead + layout.tail; ++i) {
      const bool in_lead = i < layout.lead;
      const double share = layout.lead == 0   ? 1
                           : layout.tail == 0 ? 1
                           : in_lead          ? lead_share
                                              : 1 - lead_share;
      out.push_back(static_cast<float>(normal_(random_) *
                                       std::sqrt(share / (in_lead ? layout.lead : layout.tail))));
    }
    return out;
  }
  std::vector<std::byte> record(const std::vector<float>& turned) {
    std::vector<std::byte> out(GetParam().layout.record_bytes());
    encode_record(GetParam().layout, turned, out);
    return out;
  }
  const std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  std::normal_distribution<double> normal_;
};

double nearness(const std::vector<float>& o, const std::vector<float>& q) {
  double product = 0, square = 0;
  for (std::size_t i = 0; i < o.size(); ++i) {
    product += static_cast<double>(o[i]) * q[i];
    square += static_cast<double>(o[i]) * o[i];
  }
  return product - square / 2;
}

// Estimates have no bias, spread as little as their bits promise, and say how much.
TEST_P(CodeTest, EstimatesAreUnbiasedAndKnowTheirError) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  const CodeLayout& layout = GetParam().layout;
  QueryCode query(layout);
  double walk_sum = 0, walk_squares = 0, sum = 0, squares = 0, ratio_squares = 0;
  constexpr int kPairs = 2000;
  for (int i = 0; i < kPairs; ++i) {
    const std::vector<float> o = vector(0.75);
    std::vector<float> q = vector(0.75);
    const float closeness = static_cast<float>(i % 10) / 10;  // neighbours and strangers
    for (std::size_t d = 0; d < q.size(); ++d)
      q[d] = closeness * o[d] + std::sqrt(1 - closeness * closeness) * q[d];
    const auto code = record(o);
    query.set(q);
    const double truth = nearness(o, q);
    const double walk = query.walk(code.data()) - truth;
    const auto refined = query.refine(code.data());
    const double off = refined.nearness - truth;
    walk_sum += walk;
    walk_squares += walk * walk;
    sum += off;
    squares += off * off;
    ratio_squares += off * off / (static_cast<double>(refined.error) * refined.error);
  }
  EXPECT_LT(std::sqrt(walk_squares / kPairs), GetParam().walk_spread_max);
  EXPECT_LT(std::sqrt(squares / kPairs), GetParam().refine_spread_max);
  EXPECT_NEAR(walk_sum / kPairs, 0, 5 * std::sqrt(walk_squares) / kPairs);
  EXPECT_NEAR(sum / kPairs, 0, 5 * std::sqrt(squares) / kPairs);
  // The query's own rounding adds a little to what the record knows of.
  EXPECT_LT(std::sqrt(ratio_squares / kPairs), 1.3);
  EXPECT_GT(std::sqrt(ratio_squares / kPairs), 0.6);
}

// What a record tells is near what was written, and a query made of it estimates as well.
TEST_P(CodeTest, RecordsTellTheirVector) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  double off = 0, square = 0;
  for (int i = 0; i < 200; ++i) {
    const std::vector<float> o = vector(0.75);
    const auto code = record(o);
    std::vector<float> back(o.size());
    decode_record(GetParam().layout, code.data(), back);
    for (std::size_t d = 0; d < o.size(); ++d) {
      off += (back[d] - o[d]) * (back[d] - o[d]);
      square += o[d] * o[d];
    }
  }
  const CodeLayout& layout = GetParam().layout;
  const double tail_share = layout.lead == 0 ? 1 : layout.tail == 0 ? 0 : 0.25;
  // Of normal coordinates a sign loses 0.363 of the variance at best, two bits 0.119, three 0.035,
  // the leading ones' four 0.012; with one grid for all a little more.
  const auto share_of = [&](double words) {
    return layout.tail == 0 ? 0 : std::min(1.0, 64 * words / layout.tail);
  };
  const double third = share_of(layout.third_words), second = share_of(layout.second_words) - third;
  const double lost = 0.37 * (1 - second - third) + 0.124 * second + 0.037 * third;
  // What is lost of the variance is, of a vector at the scale that makes products unbiased, more.
  const double scaled = lost / (1 - lost);
  EXPECT_LT(off / square,
            tail_share * 1.1 * scaled + (layout.low_bits ? 0.002 : 0.016 * (1 - tail_share)));
}

// A query made of a record alone is as good as one made of what the record tells.
TEST_P(CodeTest, RecordsCanBeQueries) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  const CodeLayout& layout = GetParam().layout;
  QueryCode told(layout), direct(layout);
  for (int i = 0; i < 50; ++i) {
    const std::vector<float> o = vector(0.75), q = vector(0.75);
    const auto code = record(o), query_code = record(q);
    std::vector<float> back(q.size());
    decode_record(layout, query_code.data(), back);
    told.set(back);
    direct.set_record(query_code.data());
    EXPECT_NEAR(direct.refine(code.data()).nearness, told.refine(code.data()).nearness, 0.02);
    // A grid is what the planes that a walk leaves out are not made for: they lean to one side.
    EXPECT_NEAR(direct.walk(code.data()), told.walk(code.data()), 0.08);
    EXPECT_NEAR(direct.squared_length(), 2 * half_squared_length(query_code.data()), 1e-6);
  }
}

TEST_P(CodeTest, ZeroVectorsAreFarFromNothing) {
  const CodeLayout& layout = GetParam().layout;
  const std::vector<float> zero(layout.lead + layout.tail), other = vector(0.75);
  QueryCode query(layout);
  query.set(other);
  const auto code = record(zero);
  EXPECT_EQ(query.walk(code.data()), 0);
  EXPECT_EQ(query.refine(code.data()).nearness, 0);
  query.set(zero);
  const auto far = record(other);
  EXPECT_NEAR(query.walk(far.data()), nearness(other, zero), 1e-5);
  EXPECT_NEAR(query.refine(far.data()).nearness, nearness(other, zero), 1e-5);
}

// What is shortened estimates as well as what was written short, and knows what it lost.
TEST_P(CodeTest, ShortenedRecordsAreAsGoodAsShortOnes) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  const CodeLayout& to = GetParam().layout;
  const auto words = static_cast<std::uint32_t>(to.tail_words());
  const CodeLayout from{to.lead, to.tail, words, std::max(words / 2, to.third_words), true};
  ASSERT_TRUE(from.holds(to));
  QueryCode query(to);
  double short_squares = 0, shortened_squares = 0, sum = 0, ratio_squares = 0;
  constexpr int kPairs = 2000;
  for (int i = 0; i < kPairs; ++i) {
    const std::vector<float> o = vector(0.75), q = vector(0.75);
    std::vector<std::byte> full(from.record_bytes()), shortened(to.record_bytes());
    encode_record(from, o, full);
    const auto written = record(o);
    shorten_record(from, full.data(), to, shortened.data());
    query.set(q);
    // A walk sees no difference.
    EXPECT_TRUE(std::equal(written.begin(), written.begin() + 12, shortened.begin()));
    EXPECT_EQ(query.walk(written.data()), query.walk(shortened.data()));
    const double truth = nearness(o, q);
    const double off = query.refine(written.data()).nearness - truth;
    const auto refined = query.refine(shortened.data());
    const double off_shortened = refined.nearness - truth;
    short_squares += off * off;
    shortened_squares += off_shortened * off_shortened;
    sum += off_shortened;
    ratio_squares +=
        off_shortened * off_shortened / (static_cast<double>(refined.error) * refined.error);
    // In its own place as well.
    shorten_record(from, full.data(), to, full.data());
    EXPECT_TRUE(std::equal(shortened.begin(), shortened.end(), full.begin()));
  }
  EXPECT_LT(std::sqrt(shortened_squares), 1.05 * std::sqrt(short_squares) + 1e-6);
  EXPECT_NEAR(sum / kPairs, 0, 5 * std::sqrt(shortened_squares) / kPairs);
  EXPECT_LT(std::sqrt(ratio_squares / kPairs), 1.3);
  EXPECT_GT(std::sqrt(ratio_squares / kPairs), 0.6);
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, CodeTest,
    testing::Values(Shape{{256, 1024, 16, 8}, 0.02, 0.005}, Shape{{256, 1024, 16, 0}, 0.02, 0.006},
                    Shape{{256, 1024, 16, 16}, 0.02, 0.004}, Shape{{256, 1024, 12, 0}, 0.02, 0.007},
                    Shape{{256, 1024, 0, 0}, 0.02, 0.01},
                    Shape{{256, 1024, 0, 0, false}, 0.02, 0.012},
                    Shape{{256, 1024, 12, 5, false}, 0.02, 0.01},
                    Shape{{0, 1280, 20, 10}, 0.03, 0.012},
                    Shape{{0, 1280, 0, 0, false}, 0.03, 0.03}, Shape{{64, 0, 0, 0}, 0.03, 0.006},
                    Shape{{64, 0, 0, 0, false}, 0.03, 0.02}, Shape{{64, 37, 1, 1}, 0.06, 0.02},
                    Shape{{64, 37, 0, 0}, 0.06, 0.04}, Shape{{64, 101, 2, 1}, 0.06, 0.02},
                    Shape{{64, 101, 1, 0}, 0.06, 0.03}));

}  // namespace
}  // namespace similis::engine
