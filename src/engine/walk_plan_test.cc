#include "engine/walk_plan.h"

#include <gtest/gtest.h>

#include <cmath>

namespace similis::engine {
namespace {

SegmentGraph graph_of(std::uint32_t rows, const CodeLayout& layout = {64, 0}) {
  const std::vector<float> sample(64, 1.0F);
  SegmentGraph out{Frame::learn(sample, 64, 64, 1),
                   CodeTable(layout, rows),
                   Edges(Graph(rows, 1)),
                   Graph::kNone,
                   {}};
  out.efforts = {{10, 0.02F, 0.9F, 300}, {10, 0.05F, 0.99F, 500}, {100, 0.04F, 0.99F, 1500}};
  return out;
}

TEST(WalkPlan, FewerThatMayBeReturnedTakeMoreUntilAllAreScanned) {
  const SegmentGraph graph = graph_of(100000);
  SearchOptions options;
  const WalkPlan all = plan_walk(options, graph, 100000);
  EXPECT_EQ(all.within, 10);
  EXPECT_EQ(all.wanted, 10);
  EXPECT_FALSE(all.scanning_is_less());
  double within = all.within, comparisons = all.comparisons;
  for (const double returnable : {90000.0, 50000.0, 20000.0}) {
    const WalkPlan plan = plan_walk(options, graph, returnable);
    EXPECT_GT(plan.within, within);
    EXPECT_GT(plan.within * returnable / 100000, 10);
    EXPECT_GT(plan.comparisons, comparisons);
    EXPECT_FALSE(plan.scanning_is_less());
    within = plan.within;
    comparisons = plan.comparisons;
  }
  for (const double returnable : {500.0, 5.0, 1.0}) {
    const WalkPlan plan = plan_walk(options, graph, returnable);
    EXPECT_TRUE(plan.scanning_is_less());
    EXPECT_LE(plan.wanted, returnable);
    EXPECT_LE(plan.limits().list_size, 100000U);
  }
}

// A filter that contradicts the query: what walks compare before all is scanned stays near to what
// the scan takes.
TEST(WalkPlan, GivesUpInTime) {
  for (const double rows : {1e5, 1e6, 1e7}) {
    SegmentGraph graph = graph_of(1000);
    WalkPlan plan = plan_walk({}, graph, 500);
    plan.rows = rows;
    plan.returnable = rows / 2;
    plan.within = 30;
    plan.comparisons = 900;
    double compared = 0;
    for (int round = 0; round < 4 && !plan.scanning_is_less(); ++round) {
      const auto limits = plan.limits();
      EXPECT_LT(static_cast<double>(limits.list_size), 40 * plan.comparisons + 1000);
      const double walked = std::max(plan.comparisons, 2.0 * plan.within);
      compared += walked;
      plan.widen_after(0, walked);
    }
    EXPECT_LT(compared, 2 * plan.returnable);
  }
}

TEST(WalkPlan, AsksForTheReachThatHeld) {
  SegmentGraph graph = graph_of(100000);
  graph.efforts.insert(graph.efforts.begin() + 2, {10, 0.1F, 0.998F, 800});
  SearchOptions options;
  options.recall = 0.9F;
  const float low = plan_walk(options, graph, 100000).reach;
  options.recall = 0.99F;
  const float high = plan_walk(options, graph, 100000).reach;
  options.recall = 0.999F;  // none was measured to hold it
  const float beyond = plan_walk(options, graph, 100000).reach;
  EXPECT_GT(low, 0.02F);
  EXPECT_GT(high, low);
  EXPECT_GT(beyond, high);
  options.reach = 0.3F;
  EXPECT_EQ(plan_walk(options, graph, 100000).reach, 0.3F);
  options.list_size = 50;
  const WalkPlan listed = plan_walk(options, graph, 100000);
  EXPECT_TRUE(std::isinf(listed.reach));
  EXPECT_EQ(listed.limits().list_size, 50U);
}

TEST(WalkPlan, AsksBetweenReachesThatWereTried) {
  SegmentGraph graph = graph_of(100000);
  graph.efforts.insert(graph.efforts.begin() + 2, {10, 0.1F, 0.998F, 800});
  const auto effort = [&](float recall) { return graph.effort(10, recall); };
  const float more = effort(0.99F).reach - 0.05F;
  EXPECT_GT(more, 0);
  EXPECT_NEAR(effort(0.5F).reach, 0.02F + more, 1e-6);  // the first holds more
  EXPECT_NEAR(effort(0.93F).reach, 0.03F + more, 1e-4);
  EXPECT_NEAR(effort(0.994F).reach, 0.075F + more, 1e-4);
  EXPECT_NEAR(effort(0.998F).reach, 0.1F + more, 1e-6);
  EXPECT_NEAR(effort(0.999F).reach, 0.2F + more, 1e-6);  // none holds it

  // What such walks compare lies between as well, and beyond in proportion.
  const float times = effort(0.99F).comparisons / (500 + 300 * more / 0.05F);
  EXPECT_GE(times, 1);
  EXPECT_NEAR(effort(0.93F).comparisons, times * (300 + 200 * (0.01F + more) / 0.03F), 1);
  EXPECT_NEAR(effort(0.999F).comparisons, times * 800 * (0.2F + more) / 0.1F, 1);
}

TEST(WalkPlan, ShorterCodesAreDoubtedMoreButForLowBits) {
  const SearchOptions options;
  const SegmentGraph full = graph_of(100, {256, 1024, 16, 8, true}),
                     signs = graph_of(100, {256, 1024, 0, 0, true}),
                     smallest = graph_of(100, {256, 1024, 0, 0, false});
  EXPECT_GT(doubt_of(options, signs), doubt_of(options, full));
  EXPECT_LT(doubt_of(options, smallest), doubt_of(options, signs));
  SearchOptions asked;
  asked.doubt = 0.4F;
  EXPECT_EQ(doubt_of(asked, signs), 0.4F);
}

TEST(WalkPlan, DoubtsAsFarAsWhatWasTriedAsksFor) {
  SegmentGraph graph = graph_of(100000);
  const auto bytes = static_cast<std::uint32_t>(graph.codes.layout().record_bytes());
  graph.doubts = {{bytes + 8, 10, 0.1F, 1, 1},          {bytes, 10, 0.5F, 0.99F, 0.97F},
                  {bytes, 10, 0.9F, 0.998F, 0.99F},     {bytes, 10, 1.5F, 0.9999F, 0.999F},
                  {bytes, 100, 0.8F, 0.98F, 0.9F},      {bytes, 100, 2.5F, 1, 1},
                  {bytes - 8, 10, 5, 0.9999F, 0.9999F}, {bytes - 8, 100, 6, 1, 1}};
  SearchOptions options;
  const auto doubt = [&](std::size_t k, float recall, ScoreMode scores) {
    options.k = k;
    options.recall = recall;
    options.scores = scores;
    return doubt_of(options, graph);
  };
  // What is searched for is harder than what was tried.
  const float more = doubt(10, 0.95F, ScoreMode::exact) - 1.4F * 0.5F;
  const auto tried = [&](float of) { return 1.4F * of + more; };
  EXPECT_GT(more, 0);
  EXPECT_FLOAT_EQ(doubt(10, 0.99F, ScoreMode::exact), tried(0.9F));
  EXPECT_FLOAT_EQ(doubt(5, 0.99F, ScoreMode::bounded), tried(1.5F));
  EXPECT_FLOAT_EQ(doubt(10, 0.9999F, ScoreMode::bounded), tried(1.5F));  // nothing kept so much
  EXPECT_FLOAT_EQ(doubt(1000, 0.9F, ScoreMode::exact), tried(0.8F));
  EXPECT_FLOAT_EQ(doubt(50, 0.9F, ScoreMode::exact), tried(0.8F));  // between them the larger
  EXPECT_FLOAT_EQ(doubt(50, 0.99F, ScoreMode::bounded), tried(2.5F));
}

}  // namespace
}  // namespace similis::engine
