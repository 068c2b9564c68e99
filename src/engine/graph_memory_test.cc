// Graphs and their codes under memory limits.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "engine/build_plan.h"
#include "engine/graph_fixture_test.h"
#include "engine/index.h"

namespace similis::engine {
namespace {

// Others' vectors give way to a graph; it is not dropped, and made anew, for them.
TEST_F(GraphIndexTest, OpensBesideAnIndexThatFillsTheMemory) {
  options_.memory = make_memory_budget(24 << 20);
  {
    auto index = make();
    fill(*index, 4000);
    ASSERT_TRUE(index->build_graphs({}).ok());
    ASSERT_TRUE(index->close().ok());
  }
  IndexOptions other_options = options_;
  other_options.graph_rows_min = UINT32_MAX;
  other_options.segment_rows = 60000;
  auto other = Index::create(folder_.path() / "other", {.dimensions = kDimensions}, other_options);
  ASSERT_TRUE(other.ok());
  std::vector<std::vector<float>> vectors;
  std::vector<Row> rows;
  for (std::uint64_t i = 0; i < 60000; ++i) {
    if (i < 100) vectors.push_back(random_vector(random_, kDimensions));
    rows.push_back({i + 1, vectors[i % 100], {}});
  }
  ASSERT_TRUE((*other)->upsert(rows, {}).ok());
  ASSERT_TRUE((*other)->checkpoint().ok());
  ASSERT_GT((*other)->statistics().vector_bytes_in_memory, 0U);
  const auto index = reopen();
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->statistics().graph_rows, 4000U);
}

// Where a graph does not fit the memory there is none, and answers are exact.
TEST_F(GraphIndexTest, GoesWithoutAGraphThatDoesNotFit) {
  options_.segment_rows = 1000;
  const IndexStatistics made = make_with_graph(1000);
  const std::uint64_t tables = table_bytes(made) - made.graph_bytes_in_memory;
  options_.memory = make_memory_budget(tables + 10000);
  const auto index = reopen();
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->statistics().graph_rows, 0U);
  EXPECT_EQ(recall(*index, Metric::cosine, {}), 1);
  ASSERT_TRUE(index->build_graphs({}).ok());
  EXPECT_EQ(index->statistics().graph_rows, 0U);
}

// A limit for making graphs: segments end where one more row would pass it, in one batch, after a
// crash and when they are merged; all have graphs. Where it suffices for none there is none.
TEST_F(GraphIndexTest, SegmentsStaySmallEnoughToMakeTheirGraphs) {
  options_.build_memory = 1'200'000;
  const BuildPlan plan = plan_building(options_.build_memory, kDimensions);
  ASSERT_GT(plan.rows_max, 1000U);
  ASSERT_LT(plan.rows_max, 4000U);
  constexpr std::size_t kRows = 5000;
  const std::size_t segments = (kRows + plan.rows_max - 1) / plan.rows_max;
  auto index = make();
  fill(*index, kRows);
  EXPECT_EQ(index->statistics().segments, segments);
  index.reset();
  index = reopen();
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->statistics().segments, segments);
  ASSERT_TRUE(index->compact({}).ok());
  const IndexStatistics s = index->statistics();
  EXPECT_EQ(s.segments, segments);
  EXPECT_EQ(s.graph_rows, kRows);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
  index.reset();

  // Without the limit they are merged; with it again what is large keeps its graph.
  options_.build_memory = UINT64_MAX;
  index = reopen();
  ASSERT_NE(index, nullptr);
  ASSERT_TRUE(index->compact({}).ok());
  EXPECT_EQ(index->statistics().segments, 1U);
  index.reset();
  options_.build_memory = 1'200'000;
  index = reopen();
  ASSERT_NE(index, nullptr);
  std::vector<std::uint64_t> ids;
  for (std::uint64_t id = 1; id <= kRows / 2; ++id) ids.push_back(id);
  ASSERT_TRUE(index->erase(ids, {}).ok());
  for (const std::uint64_t id : ids) model_.rows.erase(id);
  ASSERT_TRUE(index->compact({}).ok());
  EXPECT_EQ(index->statistics().graph_rows, kRows - ids.size());
  index.reset();

  options_.build_memory = 100'000;
  index = reopen();
  ASSERT_NE(index, nullptr);
  put(*index, kRows + 1, std::vector<std::vector<float>>(500, near(centres_)));
  ASSERT_TRUE(index->build_graphs({}).ok());
  EXPECT_EQ(index->statistics().graph_rows, kRows - ids.size());
}

// Full segments beyond the number that is wanted are left alone: merging one that has room for a
// few rows with the open one would begin another, and so on with every write.
TEST_F(GraphIndexTest, FullSegmentsAreNotMergedWithEveryWrite) {
  options_.build_memory = 1'200'000;
  const auto rows_max =
      static_cast<std::size_t>(plan_building(options_.build_memory, kDimensions).rows_max);
  options_.graph_rows_min = static_cast<std::uint32_t>(rows_max);
  auto index = make();
  fill(*index, 4 * rows_max + 5);
  std::vector<std::uint64_t> ids;
  for (std::uint64_t id = 1; id <= 30; ++id) ids.push_back(id);
  ASSERT_TRUE(index->erase(ids, {}).ok());
  for (std::uint64_t id = 1; id <= 10; ++id) put(*index, 1'000'000 + id, {near(centres_)});
  ASSERT_TRUE(index->optimize({}).ok());
  const IndexStatistics s = index->statistics();
  EXPECT_EQ(s.segments, 5U);
  EXPECT_EQ(s.dead_rows, ids.size());
  EXPECT_EQ(s.graph_rows, 4 * rows_max);
}

// A limit that has no room for all bits of the codes: the longest that fit are in memory, and say
// so; the file keeps the others, for a larger limit to bring back.
TEST_F(GraphIndexTest, KeepsAsManyBitsOfTheCodesAsFit) {
  options_.segment_rows = 3000;  // sealed, so that vectors may leave memory
  constexpr std::uint64_t kEnough = std::uint64_t{1} << 40;
  options_.memory = make_memory_budget(kEnough);
  std::uint64_t others = 0;
  std::vector<CodeTierBytes> tiers;
  std::set<std::string> files;
  const auto derived = [&] {
    std::set<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "index"))
      if (entry.path().filename().native().starts_with("derived-"))
        out.insert(entry.path().filename().native());
    return out;
  };
  {
    auto index = make();
    fill(*index, 3000);
    ASSERT_TRUE(index->build_graphs({}).ok());
    ASSERT_TRUE(index->close().ok());
    index.reset();
    index = reopen();
    const IndexStatistics s = index->statistics();
    EXPECT_EQ(s.code_tier, "large");
    tiers = s.code_tiers;
    ASSERT_EQ(tiers.size(), 4U);
    EXPECT_EQ(tiers[0].bytes_in_memory, s.graph_bytes_in_memory);
    others = kEnough - s.graph_bytes_available;
    ASSERT_TRUE(index->close().ok());
    files = derived();
  }
  SearchOptions bounded;
  bounded.scores = ScoreMode::bounded;
  // Down, and up again.
  for (const std::size_t t : {0, 1, 2, 3, 1, 0}) {
    // Of few dimensions two tiers may be one.
    const std::string name = std::find_if(tiers.begin(), tiers.end(), [&](const auto& tier) {
                               return tier.bytes_in_memory == tiers[t].bytes_in_memory;
                             })->name;
    SCOPED_TRACE(name);
    options_.memory = make_memory_budget(others + tiers[t].bytes_in_memory);
    auto index = reopen();
    ASSERT_NE(index, nullptr);
    const IndexStatistics s = index->statistics();
    EXPECT_EQ(s.code_tier, name);
    EXPECT_EQ(s.graph_bytes_in_memory, tiers[t].bytes_in_memory);
    EXPECT_EQ(s.graph_bytes_available, tiers[t].bytes_in_memory);
    EXPECT_EQ(s.graph_rows, 3000U);
    EXPECT_EQ(s.vector_bytes_in_memory, 0U);
    EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
    std::vector<float> query = near(centres_);
    const auto answer = index->search(query, bounded);
    ASSERT_TRUE(answer.ok());
    for (const Hit& hit : answer->hits[0])
      EXPECT_NEAR(hit.score, Model::score(Metric::cosine, query, model_.rows.at(hit.id).vector),
                  hit.estimated ? 0.15 : 2e-4);
    // Nothing is to be made.
    ASSERT_TRUE(index->build_graphs({}).ok());
    EXPECT_EQ(index->statistics().code_tier, name);
    EXPECT_TRUE(index->verify({})->empty());
    ASSERT_TRUE(index->close().ok());
    EXPECT_EQ(derived(), files);
  }
  // Below the smallest: every vector is compared, what it would need is said, and the file stays.
  options_.memory = make_memory_budget(others + tiers[3].bytes_in_memory - 1);
  auto index = reopen();
  ASSERT_NE(index, nullptr);
  const IndexStatistics s = index->statistics();
  EXPECT_EQ(s.code_tier, "");
  EXPECT_EQ(s.graph_rows, 0U);
  ASSERT_EQ(s.code_tiers.size(), 4U);
  EXPECT_EQ(s.code_tiers[3].bytes_in_memory, s.graph_bytes_available + 1);
  EXPECT_EQ(recall(*index, Metric::cosine, {}), 1);
  ASSERT_TRUE(index->build_graphs({}).ok());
  ASSERT_TRUE(index->checkpoint().ok());
  ASSERT_TRUE(index->close().ok());
  index.reset();
  EXPECT_EQ(derived(), files);
  options_.memory = nullptr;
  index = reopen();
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->statistics().code_tier, "large");
  EXPECT_EQ(index->statistics().graph_rows, 3000U);
}

// The last rows' vectors are loaded when others come behind them. What is damaged of them is lost,
// and said; all else is there, and so are the new ones.
TEST_F(GraphIndexTest, TakesRowsBehindDamagedOnes) {
  constexpr std::uint64_t kEnough = std::uint64_t{1} << 40;
  options_.memory = make_memory_budget(kEnough);
  const IndexStatistics made = make_with_graph(1000);
  const std::uint64_t needed =
      kEnough - made.graph_bytes_available + made.code_tiers.front().bytes_in_memory;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "index")) {
    if (!entry.path().filename().native().starts_with("part-")) continue;
    std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    const int first = file.get();  // of the first rows' slot
    file.seekp(0).put(static_cast<char>(first ^ 1));
  }
  options_.memory = make_memory_budget(needed);
  auto index = reopen();
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->statistics().vector_bytes_in_memory, 0U);
  EXPECT_EQ(index->statistics().damaged_rows, 0U);
  fill(*index, 1);
  EXPECT_GT(index->statistics().vector_bytes_in_memory, 0U);
  const std::uint64_t damaged = Geometry(kDimensions).rows_per_slot;
  EXPECT_EQ(index->statistics().damaged_rows, damaged);
  EXPECT_EQ(index->statistics().rows, 1001 - damaged);
  for (std::uint64_t id = 1; id <= damaged; ++id) model_.rows.erase(id);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
  const std::uint64_t newest = model_.rows.rbegin()->first;
  const auto answer = index->search(model_.rows.at(newest).vector, {.k = 1});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->hits[0].front().id, newest);
}

// A graph made under a low limit is kept in full on disk, and as it fits in memory.
TEST_F(GraphIndexTest, MakesGraphsUnderALowLimit) {
  options_.segment_rows = 3000;
  {
    auto index = make();
    fill(*index, 3000);
    ASSERT_TRUE(index->checkpoint().ok());
    ASSERT_TRUE(index->close().ok());
  }
  std::filesystem::remove_all(folder_.path() / "copy");
  std::uint64_t limit = 0;
  {
    options_.memory = make_memory_budget(std::uint64_t{1} << 40);
    auto index = reopen();
    ASSERT_TRUE(index->build_graphs({}).ok());
    const IndexStatistics s = index->statistics();
    ASSERT_EQ(s.code_tier, "large");
    limit = (std::uint64_t{1} << 40) - s.graph_bytes_available + s.code_tiers[2].bytes_in_memory;
    // Rows behind the graph's, so that it is made again.
    fill(*index, 1000);
    ASSERT_TRUE(index->close().ok());
  }
  // What came takes some, and a graph may take more than it does: room enough for the small one.
  options_.memory = make_memory_budget(limit + (1 << 20));
  auto index = reopen();
  ASSERT_NE(index, nullptr);
  ASSERT_TRUE(index->build_graphs({}).ok());
  const IndexStatistics s = index->statistics();
  EXPECT_EQ(s.graph_rows, 4000U);
  ASSERT_FALSE(s.code_tier.empty());
  for (const CodeTierBytes& tier : s.code_tiers) {
    if (tier.bytes_in_memory > s.graph_bytes_available) continue;
    EXPECT_EQ(s.code_tier, tier.name);
    EXPECT_EQ(s.graph_bytes_in_memory, tier.bytes_in_memory);
    break;
  }
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
}

}  // namespace
}  // namespace similis::engine
