#include "engine/memory_plan.h"

#include <gtest/gtest.h>

#include "engine/build_plan.h"

namespace similis::engine {
namespace {

constexpr CodeTier kAll[kCodeTiers] = {CodeTier::large, CodeTier::middle, CodeTier::small,
                                       CodeTier::smallest};

// Each tier's codes are a part of those before, whatever the dimensions, and walks read the same.
TEST(MemoryPlan, TiersNest) {
  for (const std::uint32_t dimensions : {32U, 63U, 64U, 96U, 100U, 300U, 512U, 1280U, 2048U}) {
    const CodeLayout large = layout_of(CodeTier::large, dimensions);
    EXPECT_EQ(large.lead + large.tail, dimensions);
    for (std::size_t t = 1; t < kCodeTiers; ++t) {
      const CodeLayout longer = layout_of(kAll[t - 1], dimensions);
      const CodeLayout shorter = layout_of(kAll[t], dimensions);
      EXPECT_TRUE(longer.holds(shorter)) << dimensions;
      EXPECT_GE(longer.record_bytes(), shorter.record_bytes()) << dimensions;
      EXPECT_EQ(large.refine_offset(), shorter.refine_offset()) << dimensions;
      EXPECT_EQ(shorter.record_bytes() % 8, 0U) << dimensions;
    }
  }
  EXPECT_EQ(layout_of(CodeTier::large, 1280).record_bytes(), 568U);
  EXPECT_EQ(layout_of(CodeTier::middle, 1280).record_bytes(), 472U);
  EXPECT_EQ(layout_of(CodeTier::small, 1280).record_bytes(), 344U);
  EXPECT_EQ(layout_of(CodeTier::smallest, 1280).record_bytes(), 280U);
}

TEST(MemoryPlan, TakesTheLongestThatFits) {
  const GraphSize graphs[] = {{100'000, 7'000'000}, {20'000, 1'500'000}};
  const MemoryPlan roomy = plan_codes(graphs, 1280, UINT64_MAX);
  EXPECT_EQ(roomy.tier, CodeTier::large);
  for (std::size_t t = 0; t < kCodeTiers; ++t) {
    const std::uint64_t bytes = 120'000 * layout_of(kAll[t], 1280).record_bytes() + 8'500'000;
    EXPECT_EQ(roomy.bytes[t], bytes);
    EXPECT_EQ(plan_codes(graphs, 1280, bytes).tier, kAll[t]);
    // A byte less, and it is the next one, or none.
    const MemoryPlan tight = plan_codes(graphs, 1280, bytes - 1);
    EXPECT_EQ(tight.available, bytes - 1);
    if (t + 1 < kCodeTiers) {
      EXPECT_EQ(tight.tier, kAll[t + 1]);
    } else {
      EXPECT_FALSE(tight.tier.has_value());
    }
  }
  EXPECT_EQ(plan_codes({}, 1280, 0).tier, CodeTier::large);
}

TEST(MemoryPlan, KnowsWhatAGraphCanTakeAtMost) {
  const GraphSize size = graph_size_at_most(100'000, 1280, 64);
  EXPECT_EQ(size.rows, 100'000U);
  // 64 edges of 17 bits, where they begin, two lists; the frame.
  EXPECT_GT(size.bytes_beside_codes, 100'000U * (64 * 17 / 8 + 4 + 12) + 2 * 256 * 1280);
  EXPECT_LT(size.bytes_beside_codes, 100'000U * (64 * 17 / 8 + 4 + 12) + 3 * 256 * 1280);
}

// Less memory makes smaller graphs, and learns from fewer rows before it makes none.
TEST(BuildPlan, FollowsTheLimit) {
  const BuildPlan roomy = plan_building(std::uint64_t{1} << 30, 1280);
  EXPECT_EQ(roomy.sample_rows, 8192U);
  EXPECT_GT(roomy.rows_max, 900'000U);
  EXPECT_LT(roomy.rows_max, 1'100'000U);
  const BuildPlan tight = plan_building(std::uint64_t{64} << 20, 1280);
  EXPECT_LT(tight.sample_rows, 8192U);
  EXPECT_GE(tight.sample_rows, 1024U);
  EXPECT_NEAR(static_cast<double>(tight.rows_max) * 16, static_cast<double>(roomy.rows_max), 16);
  EXPECT_EQ(plan_building(std::uint64_t{8} << 20, 1280).rows_max, 0U);
  EXPECT_GT(plan_building(UINT64_MAX, 32).rows_max, UINT32_MAX);
}

}  // namespace
}  // namespace similis::engine
