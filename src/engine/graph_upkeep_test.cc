// How an index of kind `graph` keeps its graphs.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "engine/graph_fixture_test.h"
#include "engine/storage/simulated_storage_test.h"

namespace similis::engine {
namespace {

using GraphUpkeepTest = GraphIndexTest;

// Between two makings a graph takes in what is written, a few rows alone are compared one by one.
TEST_F(GraphUpkeepTest, GrowsWithWhatIsWritten) {
  options_.checkpoint_log_bytes = 1 << 14;
  auto index = make();
  for (int i = 0; i < 40; ++i) {
    fill(*index, 50);
    const IndexStatistics s = index->statistics();
    if (s.rows < options_.graph_rows_min) {
      EXPECT_EQ(s.graph_rows, 0U);
    } else {
      EXPECT_LE(s.rows - s.graph_rows, std::max<std::uint64_t>(12, s.graph_rows / 16));
    }
    // What was written last is found.
    const std::uint64_t last = model_.rows.rbegin()->first;
    const auto answer = index->search(model_.rows.at(last).vector, {});
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->hits[0][0].id, last);
  }
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
  ASSERT_TRUE(index->build_graphs({}).ok());
  EXPECT_EQ(index->statistics().graph_rows, 2000U);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
}

// A graph that was never written since it grew is there again after an opening: what its file lacks
// is taken in anew.
TEST_F(GraphUpkeepTest, WhatAGraphTookInOutlivesIt) {
  {
    auto index = make();
    fill(*index, 400);
    ASSERT_TRUE(index->build_graphs({}).ok());
    fill(*index, 100);
    EXPECT_EQ(index->statistics().graph_rows, 500U);
    EXPECT_TRUE(index->verify({})->empty());
    ASSERT_TRUE(index->close().ok());
  }
  const auto index = reopen();  // without a thread of its own it makes up for it at once
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->statistics().graph_rows, 500U);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
  fill(*index, 20);
  ASSERT_TRUE(index->build_graphs({}).ok());
  EXPECT_EQ(index->statistics().graph_rows, 520U);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
}

// A snapshot goes on with the graph that it began with, and sees nothing of later rows.
TEST_F(GraphUpkeepTest, SnapshotsKeepTheGraphTheyHave) {
  auto index = make();
  fill(*index, 400);
  ASSERT_TRUE(index->build_graphs({}).ok());
  const Snapshot before = index->snapshot();
  const auto query = near(centres_);
  const auto then = before.search(query, {});
  fill(*index, 200);
  put(*index, 1000, {query});
  ASSERT_TRUE(index->build_graphs({}).ok());
  ASSERT_EQ(index->statistics().graph_rows, 601U);
  EXPECT_EQ(before.search(query, {})->hits, then->hits);
  EXPECT_EQ(index->search(query, {})->hits[0][0].id, 1000U);
}

// Rows of equal bytes to one that the graph has go with it, zeros stay apart, dead rows stay out:
// with the vectors in memory and on disk alone.
TEST_F(GraphUpkeepTest, CopiesOfRowsThatAreThereGoWithThem) {
  for (const bool in_memory : {true, false}) {
    TemporaryFolder folder;
    options_.threads = 1;  // each has read buffers
    if (!in_memory) options_.memory = make_memory_budget(6 << 20);
    options_.segment_rows = in_memory ? 3000 : 1450;  // vectors of a full segment may go
    model_ = {};
    auto made = Index::create(folder.path() / "index",
                              {kDimensions, Metric::cosine, IndexKind::graph}, options_);
    ASSERT_TRUE(made.ok());
    Index& index = **made;
    fill(index, 1000);
    ASSERT_TRUE(index.build_graphs({}).ok());
    const auto copied = model_.rows.at(500).vector;
    put(index, 1001, std::vector<std::vector<float>>(200, copied));
    put(index, 1201, std::vector<std::vector<float>>(50, std::vector<float>(kDimensions)));
    const auto fresh = near(centres_);
    put(index, 1251, std::vector<std::vector<float>>(200, fresh));
    ASSERT_TRUE(index.build_graphs({}).ok());
    ASSERT_EQ(index.statistics().graph_rows, 1450U);
    SearchOptions options;
    options.k = 201;
    auto answer = index.search(copied, options);
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(answer->hits[0].size(), 201U);
    EXPECT_EQ(answer->hits[0][0].id, 500U);
    for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ(answer->hits[0][i + 1].id, 1001 + i);
    options.k = 10;
    answer = index.search(fresh, options);
    ASSERT_TRUE(answer.ok());
    for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(answer->hits[0][i].id, 1251 + i);
    EXPECT_GE(recall(index, Metric::cosine, {}), 0.97);
    if (!in_memory) {
      ASSERT_EQ(index.statistics().vector_bytes_in_memory, 0U);
      EXPECT_LT(index.search(copied, options)->reads, 60U);
    }
    // Copies that come after their original has gone.
    ASSERT_TRUE(index.erase(std::vector<std::uint64_t>{500}, {}).ok());
    model_.rows.erase(500);
    put(index, 1451, std::vector<std::vector<float>>(20, copied));
    ASSERT_TRUE(index.build_graphs({}).ok());
    options.k = 220;
    answer = index.search(copied, options);
    ASSERT_TRUE(answer.ok());
    std::set<std::uint64_t> found;
    for (const Hit& hit : answer->hits[0]) found.insert(hit.id);
    for (std::uint64_t id = 1451; id <= 1470; ++id) EXPECT_TRUE(found.contains(id));
    EXPECT_FALSE(found.contains(500));
  }
}

// What is worth its time is done at once, with the index left alone or not, unless nobody waits.
TEST_F(GraphUpkeepTest, OptimizesWhenAsked) {
  options_.background = true;
  auto index = make();
  fill(*index, 3000);
  std::stop_source nobody;
  nobody.request_stop();
  const auto cancelled = index->optimize({.cancel = nobody.get_token()});
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().code, ErrorCode::cancelled);
  ASSERT_TRUE(index->optimize({}).ok());
  EXPECT_EQ(index->statistics().graph_rows, 3000U);
  fill(*index, 100);
  ASSERT_TRUE(index->optimize({}).ok());
  EXPECT_EQ(index->statistics().graph_rows, 3100U);
  ASSERT_TRUE(index->close().ok());
  index.reset();
  index = reopen();
  ASSERT_NE(index, nullptr);
  EXPECT_GE(index->statistics().graph_rows, 3000U);
}

// Who cancels while a graph is being made gets the call back, and the index is as it was.
TEST_F(GraphUpkeepTest, CompactingEndsMidwayWhenItIsCancelled) {
  auto index = make();
  fill(*index, 4000);
  std::vector<std::uint64_t> gone;
  for (std::uint64_t id = 1; id <= 200; ++id) gone.push_back(id);
  ASSERT_TRUE(index->erase(gone, {}).ok());
  for (const std::uint64_t id : gone) model_.rows.erase(id);
  std::stop_source cancel;
  const std::jthread who_cancels([&](const std::stop_token& over) {
    while (!over.stop_requested() && index->statistics().graph_rows_done < 100)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    cancel.request_stop();
  });
  const auto cancelled = index->compact({.cancel = cancel.get_token()});
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().code, ErrorCode::cancelled);
  const IndexStatistics s = index->statistics();
  EXPECT_EQ(s.graph_rows_wanted, 0U);
  EXPECT_EQ(s.dead_rows, gone.size());
  EXPECT_EQ(s.graph_rows, 4000U);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
  EXPECT_TRUE(index->verify({})->empty());
  ASSERT_TRUE(index->compact({}).ok());
  EXPECT_EQ(index->statistics().dead_rows, 0U);
  EXPECT_EQ(index->statistics().graph_rows, 3800U);
}

// So do the calls that only make graphs, also at a deadline.
TEST_F(GraphUpkeepTest, MakingAGraphEndsMidwayWhenNobodyWaits) {
  const auto expect_end = [&](Status (Index::*make_graphs)(const CallOptions&), bool by_deadline) {
    SCOPED_TRACE(by_deadline);
    SimulatedStorage storage(seed_);
    options_.storage = &storage;
    options_.threads = 1;
    model_.rows.clear();
    options_.graph_rows_min = 100'000;
    auto index = make();
    fill(*index, 4000);
    ASSERT_TRUE(index->close().ok());
    index.reset();
    options_.graph_rows_min = 3000;
    // Its own attempt, within opening, fails; it makes another a minute later.
    storage.on_next_sync("derived-", [] { throw std::bad_alloc(); });
    index = reopen();
    ASSERT_EQ(index->statistics().graph_rows, 0U);
    std::stop_source cancel;
    CallOptions call{.cancel = cancel.get_token()};
    using namespace std::chrono_literals;
    if (by_deadline) call.deadline = std::chrono::steady_clock::now() + 30ms;
    const std::jthread who_cancels([&](const std::stop_token& over) {
      while (!over.stop_requested() && index->statistics().graph_rows_done < 100)
        std::this_thread::sleep_for(1ms);
      if (!by_deadline) cancel.request_stop();
    });
    const Status ended = ((*index).*make_graphs)(call);
    ASSERT_FALSE(ended.ok());
    EXPECT_EQ(ended.error().code,
              by_deadline ? ErrorCode::deadline_exceeded : ErrorCode::cancelled);
    EXPECT_EQ(index->statistics().graph_rows_wanted, 0U);
    EXPECT_EQ(index->statistics().graph_rows, 0U);
    ASSERT_TRUE(((*index).*make_graphs)({}).ok());
    EXPECT_EQ(index->statistics().graph_rows, 4000U);
    EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
    options_.storage = nullptr;
  };
  expect_end(&Index::build_graphs, false);
  expect_end(&Index::build_graphs, true);
  expect_end(&Index::optimize, false);
}

// A segment that begins beside one with a graph has one early, in the elder's frame, and its own
// once it is large.
TEST_F(GraphUpkeepTest, NewSegmentsBeginInTheFrameOfTheirElders) {
  options_.segment_rows = 600;
  auto index = make();
  fill(*index, 600);
  ASSERT_TRUE(index->build_graphs({}).ok());
  ASSERT_TRUE(index->checkpoint().ok());  // seals it
  for (int i = 0; i < 10; ++i) {
    fill(*index, 15);
    const IndexStatistics s = index->statistics();
    ASSERT_EQ(s.segments, 2U);
    EXPECT_LE(s.rows - s.graph_rows, 12U) << s.rows;
    EXPECT_GE(recall(*index, Metric::cosine, {}), 0.96);
  }
  ASSERT_TRUE(index->build_graphs({}).ok());
  ASSERT_TRUE(index->close().ok());
  index.reset();
  index = reopen();
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->statistics().graph_rows, 750U);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.96);
}

// With half of the rows replaced, a batch after the other, what is found is as good as in an index
// made of those rows at once.
TEST_F(GraphUpkeepTest, ReplacedRowsAreFoundAsWell) {
  auto index = make();
  fill(*index, 3000);
  ASSERT_TRUE(index->build_graphs({}).ok());
  for (std::uint64_t first = 1; first <= 1500; first += 50) {
    std::vector<std::vector<float>> vectors;
    for (int i = 0; i < 50; ++i) vectors.push_back(near(centres_));
    put(*index, first, vectors);
  }
  EXPECT_EQ(index->statistics().rows, 3000U);
  auto fresh = Index::create(folder_.path() / "fresh",
                             {kDimensions, Metric::cosine, IndexKind::graph}, options_);
  ASSERT_TRUE(fresh.ok());
  std::vector<Row> rows;
  for (const auto& [id, row] : model_.rows) rows.push_back({id, row.vector, {}});
  ASSERT_TRUE((*fresh)->upsert(rows, {}).ok());
  ASSERT_TRUE((*fresh)->build_graphs({}).ok());
  // The same 1000 queries of both.
  const auto mean_recall = [&](const Index& which) {
    random_.seed(seed_ + 1);
    double sum = 0;
    for (int i = 0; i < 5; ++i) sum += recall(which, Metric::cosine, {});
    return sum / 5;
  };
  const double anew = mean_recall(**fresh);
  EXPECT_GE(anew, 0.985);
  EXPECT_GE(mean_recall(*index), anew - 0.005);
}

// Of inner products a longer row than the graph was made for is found at once, and has it made
// anew.
TEST_F(GraphUpkeepTest, LongerRowsHaveTheGraphOfInnerProductsMadeAnew) {
  auto index = make(Metric::inner_product);
  fill(*index, 1000);
  ASSERT_TRUE(index->build_graphs({}).ok());
  EXPECT_GE(recall(*index, Metric::inner_product, {}), 0.97);
  std::vector<std::vector<float>> longer;
  for (int i = 0; i < 30; ++i) {
    longer.push_back(near(centres_));
    for (float& v : longer.back()) v *= 3;
  }
  put(*index, 1001, longer);
  const auto finds_it = [&] {
    const auto answer = index->search(longer[7], {});
    return std::ranges::any_of(answer->hits[0], [](const Hit& hit) { return hit.id == 1008; });
  };
  EXPECT_TRUE(finds_it());
  ASSERT_TRUE(index->build_graphs({}).ok());
  EXPECT_EQ(index->statistics().graph_rows, 1030U);
  EXPECT_TRUE(finds_it());
  EXPECT_GE(recall(*index, Metric::inner_product, {}), 0.95);
  ASSERT_TRUE(index->close().ok());
  index.reset();
  index = reopen();
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->statistics().graph_rows, 1030U);
  EXPECT_GE(recall(*index, Metric::inner_product, {}), 0.95);
}

// A graph that rows behind it are too long for keeps no other segment from having one.
TEST_F(GraphUpkeepTest, LongerRowsOfOneSegmentDoNotKeepOthersWaiting) {
  options_.segment_rows = 600;
  auto index = make(Metric::inner_product);
  fill(*index, 590);
  ASSERT_TRUE(index->build_graphs({}).ok());
  std::vector<float> longer = near(centres_);
  for (float& v : longer) v *= 3;
  put(*index, 591, {longer});
  fill(*index, 9);
  ASSERT_TRUE(index->checkpoint().ok());  // seals it
  fill(*index, 300);
  const IndexStatistics s = index->statistics();
  EXPECT_EQ(s.segments, 2U);
  EXPECT_GE(s.graph_rows, 590U + 200U);
  EXPECT_GE(recall(*index, Metric::inner_product, {}), 0.95);
}

// How long rows are is known again after a restart, though only the log tells: a graph made then is
// made for the longest.
TEST_F(GraphUpkeepTest, BoundsOfInnerProductsAreInTheLog) {
  centres_ = some_centres(30);
  std::vector<std::vector<float>> longer;
  for (int i = 0; i < 150; ++i) {
    longer.push_back(near(centres_));
    for (float& v : longer.back()) v *= 10;
  }
  {
    auto index = make(Metric::inner_product);
    put(*index, 1, longer);
    ASSERT_TRUE(index->close().ok());
  }
  auto index = reopen();
  ASSERT_NE(index, nullptr);
  const float bound = index->statistics().norm_max;
  fill(*index, 400);
  EXPECT_EQ(index->statistics().norm_max, bound);
  EXPECT_GE(index->statistics().graph_rows, 500U);
  EXPECT_EQ(index->statistics().code_tier, "large");
  EXPECT_GE(recall(*index, Metric::inner_product, {}), 0.95);
}

// A damaged graph costs time, no answer.
TEST_F(GraphUpkeepTest, ADamagedGraphIsMadeAgain) {
  {
    auto index = make();
    fill(*index, 1000);
    ASSERT_TRUE(index->build_graphs({}).ok());
    ASSERT_TRUE(index->close().ok());
  }
  std::filesystem::path file;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "index"))
    if (entry.path().filename().native().starts_with("derived-")) file = entry.path();
  ASSERT_FALSE(file.empty());
  std::string bytes = [&] {
    std::ifstream in(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  const auto damage = Index::verify(folder_.path() / "index", {});
  ASSERT_TRUE(damage.ok());
  ASSERT_EQ(damage->size(), 1U);
  EXPECT_EQ(damage->front().file, file.filename().native());
  EXPECT_GT(damage->front().offset, 0U);
  const auto index = reopen();  // without a thread of its own it makes up for it at once
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->statistics().graph_rows, 1000U);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
  EXPECT_TRUE(index->verify({})->empty());
  EXPECT_FALSE(std::filesystem::exists(file));
}

// Searches and writes go on while graphs are made in the background, and no answer is wrong.
TEST_F(GraphUpkeepTest, SearchesGoOnWhileGraphsAreMade) {
  options_.background = true;
  options_.checkpoint_log_bytes = 1 << 16;
  auto index = make();
  fill(*index, 300);
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> searches{0};
  std::atomic<bool> being_made{false};
  std::vector<std::vector<float>> queries;
  for (int i = 0; i < 20; ++i) queries.push_back(near(centres_));
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      for (std::size_t i = 0; !stop; ++i) {
        const Snapshot snapshot = index->snapshot();
        const auto answer = snapshot.search(queries[i % queries.size()], {});
        ASSERT_TRUE(answer.ok()) << answer.error().message;
        ASSERT_EQ(answer->hits[0].size(), 10U);
        ASSERT_TRUE(std::is_sorted(
            answer->hits[0].begin(), answer->hits[0].end(), [](const Hit& a, const Hit& b) {
              return a.score > b.score || (a.score == b.score && a.id < b.id);
            }));
        const IndexStatistics s = index->statistics();
        ASSERT_LE(s.graph_rows_done, s.graph_rows_wanted);
        being_made = being_made || s.graph_rows_wanted > 0;
        ++searches;
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    fill(*index, 100);
    std::vector<std::uint64_t> gone{model_.rows.begin()->first};
    ASSERT_TRUE(index->erase(gone, {}).ok());
    const auto vector = model_.rows.begin()->second.vector;
    model_.rows.erase(model_.rows.begin());
    put(*index, 100000 + static_cast<std::uint64_t>(i), {vector});
  }
  ASSERT_TRUE(index->build_graphs({}).ok());
  stop = true;
  for (auto& reader : readers) reader.join();
  EXPECT_GT(searches, 10U);
  EXPECT_TRUE(being_made);
  EXPECT_EQ(index->statistics().graph_rows_wanted, 0U);
  EXPECT_EQ(index->statistics().rows, model_.rows.size());
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
  ASSERT_TRUE(index->close().ok());
}

}  // namespace
}  // namespace similis::engine
