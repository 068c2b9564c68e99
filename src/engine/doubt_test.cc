#include "engine/doubt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace similis::engine {
namespace {

/// By two trials, each of every other query.
std::vector<SegmentGraph::Doubt> try_doubts(const std::vector<std::vector<JudgedRow>>& queries,
                                            std::size_t k) {
  DoubtTrial even(k), odd(k);
  for (std::size_t q = 0; q < queries.size(); ++q) (q % 2 == 0 ? even : odd).add(queries[q]);
  even.add(odd);
  const auto out = even.result(100);
  for (const SegmentGraph::Doubt& one : out) {
    EXPECT_EQ(one.record_bytes, 100U);
    EXPECT_EQ(one.k, k);
  }
  return out;
}

// By hand: of three rows, the nearest two are wanted, and the codes have the second and third
// exchanged.
TEST(Doubt, KeepsWhatItDoubtsEnough) {
  const std::vector<std::vector<JudgedRow>> queries{
      {{10, 1, true}, {8, 1, false}, {7, 1, true}, {1, 1, false}}};
  const auto tried = try_doubts(queries, 2);
  ASSERT_FALSE(tried.empty());
  for (const SegmentGraph::Doubt& one : tried) {
    // The floor is 8 - doubt: the third is kept once 7 + doubt reaches it.
    EXPECT_EQ(one.exact, one.doubt >= 0.5F ? 1.0F : 0.5F) << one.doubt;
    EXPECT_EQ(one.bounded, one.exact) << one.doubt;
  }
}

// Certain and wrong: nobody reads what would show it.
TEST(Doubt, CountsWhatIsCertainAndWrong) {
  const std::vector<std::vector<JudgedRow>> queries{
      {{10, 1, false}, {8, 1, true}, {7, 1, true}, {1, 1, false}}};
  for (const SegmentGraph::Doubt& one : try_doubts(queries, 2)) {
    EXPECT_EQ(one.exact, one.doubt >= 0.5F ? 1.0F : 0.5F) << one.doubt;
    // The first is certain until 10 - doubt comes down to the third's 7 + doubt.
    EXPECT_EQ(one.bounded, one.doubt >= 1.5F ? 1.0F : 0.5F) << one.doubt;
  }
}

// Errors as wide as they say: more doubt keeps more, and enough of it all.
TEST(Doubt, KeepsMoreTheMoreItDoubts) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  constexpr std::size_t kRows = 200, kK = 10;
  std::vector<std::vector<JudgedRow>> queries(100);
  for (auto& rows : queries) {
    std::vector<std::pair<float, std::size_t>> truth;
    for (std::size_t i = 0; i < kRows; ++i) {
      const float nearness = normal(random);
      truth.emplace_back(nearness, i);
      rows.push_back({nearness + 0.1F * normal(random), 0.1F, false});
    }
    std::sort(truth.begin(), truth.end(), std::greater());
    for (std::size_t i = 0; i < kK; ++i) rows[truth[i].second].right = true;
  }
  const auto tried = try_doubts(queries, kK);
  ASSERT_GT(tried.size(), 5U);
  EXPECT_LT(tried.front().exact, 0.97F);
  for (std::size_t i = 1; i < tried.size(); ++i) {
    EXPECT_GE(tried[i].exact, tried[i - 1].exact);
    EXPECT_GE(tried[i].bounded, tried[i - 1].bounded - 0.01F);
    EXPECT_LE(tried[i].bounded, tried[i].exact);
  }
  EXPECT_GE(tried.back().bounded, 0.999F);
}

// Of many that are equally near any k do.
TEST(Doubt, IsContentWithAnyOfEquallyNearRows) {
  const std::vector<std::vector<JudgedRow>> queries{std::vector<JudgedRow>(30, {5, 1, true})};
  for (const SegmentGraph::Doubt& one : try_doubts(queries, 10)) {
    EXPECT_EQ(one.exact, 1);
    EXPECT_EQ(one.bounded, 1);
  }
}

TEST(Doubt, KnowsNothingWithoutNearRows) {
  const std::vector<std::vector<JudgedRow>> queries{{{10, 1, false}}, {}};
  EXPECT_TRUE(try_doubts(queries, 2).empty());
}

}  // namespace
}  // namespace similis::engine
