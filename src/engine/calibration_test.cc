#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "engine/graph/lift.h"
#include "engine/graph/segment_graph.h"
#include "engine/memory_plan.h"
#include "engine/storage/manifest.h"
#include "engine/storage/storage.h"
#include "engine/support_test.h"
#include "engine/walk_plan.h"

namespace similis::engine {
namespace {

/// The graph of an index, from its file.
std::shared_ptr<const SegmentGraph> graph_of_index(std::uint32_t dimensions, Metric metric) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const TemporaryFolder folder;
  const auto path = folder.path() / "index";
  IndexOptions options;
  options.background = false;
  options.graph_rows_min = 200;
  {
    auto index = Index::create(path, {dimensions, metric, IndexKind::graph}, options);
    EXPECT_TRUE(index.ok()) << index.error().message;
    std::vector<std::vector<float>> vectors(1500);
    std::vector<Row> rows;
    for (std::vector<float>& vector : vectors)
      rows.push_back({rows.size() + 1, vector = random_vector(random, dimensions), {}});
    EXPECT_TRUE((*index)->upsert(rows, {}).ok());
    EXPECT_TRUE((*index)->build_graphs({}).ok());
    EXPECT_TRUE((*index)->close().ok());
  }
  const auto manifest = read_manifest(posix_storage(), path);
  EXPECT_TRUE(manifest.ok() && manifest->segments.size() == 1);
  const std::uint32_t of_codes = lifted_dimensions(metric, dimensions);
  const auto file = GraphFile::open(posix_storage(), path, manifest->index, 1, of_codes,
                                    manifest->segments.front().derived.front());
  EXPECT_TRUE(file.ok()) << file.error().message;
  const auto graph = file->read(file->layout());
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  return *graph;
}

TEST(Calibration, TriesTheCodesOfEachTier) {
  const auto graphs = {graph_of_index(256, Metric::cosine), graph_of_index(200, Metric::l2),
                       graph_of_index(319, Metric::inner_product)};
  for (const auto& full : graphs) {
    SearchOptions options;
    options.recall = 0.99F;
    for (std::size_t t = 0; t < kCodeTiers; ++t) {
      SCOPED_TRACE(t);
      const CodeLayout& layout = full->codes.layout();
      const auto graph =
          shortened(*full, layout_of(static_cast<CodeTier>(t), layout.lead + layout.tail));
      std::set<std::uint32_t> ks;
      float widest = 0, enough = 0;
      for (const SegmentGraph::Doubt& tried : graph->doubts) {
        if (tried.record_bytes != graph->codes.layout().record_bytes()) continue;
        ks.insert(tried.k);
        EXPECT_LE(tried.bounded, tried.exact);
        if (tried.k != 10) continue;
        EXPECT_GT(tried.doubt, widest);
        widest = tried.doubt;
        if (enough == 0 && tried.exact >= 1 - 0.25F * (1 - options.recall)) enough = tried.doubt;
      }
      EXPECT_EQ(ks, (std::set<std::uint32_t>{10, 100}));
      ASSERT_GT(enough, 0);
      EXPECT_FLOAT_EQ(doubt_of(options, *graph), 1.4F * enough + 0.3F);
    }
  }
}

TEST(Calibration, WiderWalksCompareAndFindMore) {
  const auto graph = graph_of_index(256, Metric::cosine);
  for (const std::uint32_t k : {10U, 100U}) {
    SegmentGraph::Effort before;
    std::size_t count = 0;
    for (const SegmentGraph::Effort& effort : graph->efforts) {
      if (effort.k != k) continue;
      ++count;
      EXPECT_GT(effort.reach, before.reach);
      EXPECT_GE(effort.comparisons, before.comparisons);
      EXPECT_GE(effort.recall, before.recall - 0.02F);
      before = effort;
    }
    EXPECT_GT(count, 0U) << k;
    EXPECT_GT(before.recall, 0.9F) << k;
  }
}

}  // namespace
}  // namespace similis::engine
