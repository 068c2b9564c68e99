// What an index of kind `graph` finds.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <set>
#include <stop_token>
#include <thread>

#include "engine/graph_fixture_test.h"
#include "engine/storage/simulated_storage_test.h"

namespace similis::engine {
namespace {

TEST_F(GraphIndexTest, FindsWhatItIsAskedForInMemoryAndFromDisk) {
  for (const Metric metric : {Metric::cosine, Metric::l2, Metric::inner_product}) {
    SCOPED_TRACE(static_cast<int>(metric));
    std::filesystem::remove_all(folder_.path() / "index");
    model_.rows.clear();
    std::uint64_t tables = 0;
    options_.segment_rows = 4000;  // sealed, so that its vectors may leave memory
    {
      auto index = make(metric);
      fill(*index, 4000);
      ASSERT_TRUE(index->build_graphs({}).ok());
      const IndexStatistics s = index->statistics();
      EXPECT_EQ(s.graph_rows, 4000U);
      tables = table_bytes(s);
      ASSERT_TRUE(index->close().ok());
    }
    for (const bool in_memory : {true, false}) {
      options_.memory = in_memory ? nullptr : make_memory_budget(tables);
      const auto index = reopen();
      ASSERT_NE(index, nullptr);
      ASSERT_EQ(index->statistics().graph_rows, 4000U);
      ASSERT_EQ(index->statistics().vector_bytes_in_memory > 0, in_memory);
      for (const std::size_t k : {1U, 10U, 100U, 1000U}) {
        SearchOptions options;
        options.k = k;
        EXPECT_GE(recall(*index, metric, options), 0.97) << "k " << k;
      }
      SearchOptions thorough;
      thorough.recall = 0.9999F;
      EXPECT_GE(recall(*index, metric, thorough), 0.993);
      std::vector<float> query = near(centres_);
      const auto answer = index->search(query, {});
      ASSERT_TRUE(answer.ok());
      if (in_memory) {
        EXPECT_EQ(answer->reads, 0U);
      } else {
        EXPECT_GE(answer->reads, 10U);
        EXPECT_LT(answer->reads, 60U);
      }
    }
    options_.memory = nullptr;
  }
}

// What is asked for is found, and more of it takes more; an effort in its place does what it says.
TEST_F(GraphIndexTest, MoreRecallTakesMoreReads) {
  options_.segment_rows = 4000;
  options_.threads = 1;
  options_.memory = make_memory_budget(6 << 20);  // no room for the vectors
  auto index = make();
  fill(*index, 4000);
  ASSERT_TRUE(index->build_graphs({}).ok());
  ASSERT_EQ(index->statistics().graph_rows, 4000U);
  ASSERT_EQ(index->statistics().vector_bytes_in_memory, 0U);
  const auto reads_of = [&](const SearchOptions& options) {
    const std::uint64_t before = index->statistics().reads;
    std::mt19937_64 same(seed_ + 1);
    std::swap(random_, same);
    for (int q = 0; q < 100; ++q) EXPECT_TRUE(index->search(near(centres_), options).ok());
    std::swap(random_, same);
    return index->statistics().reads - before;
  };
  std::vector<std::uint64_t> reads;
  // Of 2000 neighbours each: the slack is what chance makes of them.
  for (const auto& [target, slack] :
       {std::pair{0.9F, 0.02F}, {0.95F, 0.015F}, {0.99F, 0.008F}, {0.999F, 0.004F}}) {
    const SearchOptions options{.recall = target};
    EXPECT_GE(recall(*index, Metric::cosine, options), target - slack) << target;
    reads.push_back(reads_of(options));
  }
  EXPECT_LT(reads[0], reads[2]);
  EXPECT_LT(reads[1], reads[3]);
  const double narrow = recall(*index, Metric::cosine, {.reach = 1e-4F, .doubt = 3});
  const double wide = recall(*index, Metric::cosine, {.reach = 0.5F, .doubt = 3});
  EXPECT_GE(wide, 0.999);
  EXPECT_LT(narrow, wide);
  const double few = recall(*index, Metric::cosine, {.list_size = 10, .doubt = 3});
  const double many = recall(*index, Metric::cosine, {.list_size = 500, .doubt = 3});
  EXPECT_GE(many, 0.999);
  EXPECT_LT(few, many);
  EXPECT_LT(reads_of({.reach = 0.5F, .doubt = 0.5F}), reads_of({.reach = 0.5F, .doubt = 3}));
}

// Whatever share of the rows passes a filter, the page is full and the nearest are on it.
TEST_F(GraphIndexTest, FiltersKeepPagesFull) {
  auto index = make();
  fill(*index, 10000);
  ASSERT_TRUE(index->build_graphs({}).ok());
  const auto recall_of = [&](const SearchOptions& options) {
    random_.seed(seed_ + 1);  // of the same queries
    return recall(*index, Metric::cosine, options);
  };
  const double unfiltered = recall_of({});
  EXPECT_GE(unfiltered, 0.97);
  for (const std::uint32_t step : {1U, 2U, 5U, 20U, 100U, 1000U, 10000U}) {
    SearchOptions options;
    options.filter = every(step);
    EXPECT_GE(recall_of(options), unfiltered - 0.01) << "one row in " << step;
  }
  SearchOptions none;
  none.filter = [](const AttributeColumns&, std::uint32_t, std::uint32_t,
                   std::span<std::uint64_t>) {};
  const auto answer = index->search(near(centres_), none);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->hits[0].empty());
}

// Half of the rows lie around one point; only the other half, opposite to it, passes, and the query
// is that point: a walk sees none of them.
TEST_F(GraphIndexTest, AFilterThatContradictsTheQueryFindsTheNearestAllTheSame) {
  auto index = make();
  centres_ = {random_vector(random_, kDimensions)};
  std::vector<std::vector<float>> vectors;
  for (int i = 0; i < 3000; ++i) vectors.push_back(near(centres_));
  for (int i = 0; i < 3000; ++i) {
    vectors.push_back(near(centres_));
    for (float& v : vectors.back()) v = -v;
  }
  put(*index, 1, vectors);
  ASSERT_TRUE(index->build_graphs({}).ok());
  const auto recall_of = [&](const SearchOptions& options) {
    random_.seed(seed_ + 1);  // of the same queries
    return recall(*index, Metric::cosine, options);
  };
  const double unfiltered = recall_of({});
  for (const std::uint32_t from : {3000U, 5940U}) {  // half of all, a hundredth
    SearchOptions options;
    options.filter = [from](const AttributeColumns&, std::uint32_t first, std::uint32_t count,
                            std::span<std::uint64_t> bits) {
      for (std::uint32_t i = 0; i < count; ++i)
        if (first + i >= from) bits[i / 64] |= std::uint64_t{1} << (i % 64);
    };
    EXPECT_GE(recall_of(options), unfiltered - 0.01) << from;
  }
}

// Two thousand rows that differ by a thousandth, more than any list of a walk holds: beside them
// others are found as ever, and of them some that are as near as the nearest.
TEST_F(GraphIndexTest, NearCopiesDoNoHarm) {
  options_.segment_rows = 6000;
  options_.memory = make_memory_budget(7 << 20);  // no room for the vectors
  auto index = make();
  fill(*index, 4000);
  const auto copied = near(centres_);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> copies(2000, copied);
  for (auto& copy : copies)
    for (float& v : copy) v += 1e-3F * normal(random_);
  put(*index, 4001, copies);
  ASSERT_TRUE(index->build_graphs({}).ok());
  ASSERT_EQ(index->statistics().graph_rows, 6000U);
  ASSERT_EQ(index->statistics().vector_bytes_in_memory, 0U);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.98);
  for (const ScoreMode scores : {ScoreMode::exact, ScoreMode::bounded}) {
    SearchOptions options;
    options.scores = scores;
    for (int q = 0; q < 20; ++q) {
      const auto& query = q == 0 ? copied : copies[random_() % copies.size()];
      const auto truth = index->search(query, {.recall = 1});
      const auto answer = index->search(query, options);
      ASSERT_TRUE(truth.ok() && answer.ok());
      ASSERT_EQ(answer->hits[0].size(), 10U);
      for (const Hit& hit : answer->hits[0]) {
        EXPECT_GE(hit.id, 4001U);
        const float score = Model::score(Metric::cosine, query, model_.rows.at(hit.id).vector);
        EXPECT_GE(score, truth->hits[0].back().score - 1e-5F);
      }
    }
  }
}

// Copies of a row are each found; zero vectors come where nothing better is left.
TEST_F(GraphIndexTest, CopiesAndZerosDoNoHarm) {
  auto index = make();
  fill(*index, 2000);
  const auto copied = near(centres_);
  put(*index, 2001, std::vector<std::vector<float>>(300, copied));
  put(*index, 2301, std::vector<std::vector<float>>(300, std::vector<float>(kDimensions)));
  ASSERT_TRUE(index->build_graphs({}).ok());
  SearchOptions options;
  options.k = 300;
  auto answer = index->search(copied, options);
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->hits[0].size(), 300U);
  for (std::size_t i = 0; i < 300; ++i) EXPECT_EQ(answer->hits[0][i].id, 2001 + i);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
  // Without the original the others stay.
  const std::vector<std::uint64_t> first{2001, 2002};
  ASSERT_TRUE(index->erase(first, {}).ok());
  model_.rows.erase(2001);
  model_.rows.erase(2002);
  options.k = 5;
  answer = index->search(copied, options);
  ASSERT_TRUE(answer.ok());
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(answer->hits[0][i].id, 2003 + i);
  // All of a thousand, zeros among them.
  options.k = 1000;
  const RowFilter rare = every(8);
  options.filter = rare;
  answer = index->search(copied, options);
  options.recall = 1;
  const auto truth = index->search(copied, options);
  ASSERT_TRUE(answer.ok() && truth.ok());
  EXPECT_EQ(answer->hits[0].size(), truth->hits[0].size());
  std::size_t zeros = 0;
  for (const Hit& hit : answer->hits[0]) zeros += hit.id > 2300 ? 1 : 0;
  EXPECT_GT(zeros, 30U);
  // A query without direction.
  const std::vector<float> nothing(kDimensions);
  answer = index->search(nothing, {});
  ASSERT_TRUE(answer.ok());
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(answer->hits[0][i], (Hit{i + 1, 0}));
}

// Nothing to walk over: rows of equal bytes alone, and rows without direction. The file is read as
// it was written.
TEST_F(GraphIndexTest, GraphsWithoutEdgesOpenAgain) {
  options_.segment_rows = 3000;
  for (const bool zeros : {false, true}) {
    std::filesystem::remove_all(folder_.path() / "index");
    const std::vector<float> row(kDimensions, zeros ? 0.0F : 1.0F);
    {
      auto index = make();
      put(*index, 1, std::vector<std::vector<float>>(2000, row));
      ASSERT_TRUE(index->build_graphs({}).ok());
      ASSERT_TRUE(index->close().ok());
    }
    const auto index = Index::open(folder_.path() / "index", options_);
    ASSERT_TRUE(index.ok());
    EXPECT_EQ((*index)->statistics().graph_rows, 2000U);
    const auto damage = (*index)->verify({});
    ASSERT_TRUE(damage.ok());
    EXPECT_TRUE(damage->empty());
    const auto answer = (*index)->search(row, {});
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->hits[0].size(), 10U);
  }
}

// Rows of equal bytes are read once for all, with a filter and without.
TEST_F(GraphIndexTest, CopiesAreReadOnce) {
  options_.segment_rows = 3000;
  options_.threads = 1;
  options_.memory = make_memory_budget(6 << 20);  // no room for the vectors
  auto index = make();
  fill(*index, 1000);
  const auto copied = near(centres_);
  put(*index, 1001, std::vector<std::vector<float>>(2000, copied));
  ASSERT_TRUE(index->build_graphs({}).ok());
  ASSERT_EQ(index->statistics().vector_bytes_in_memory, 0U);
  for (const std::uint32_t step : {1U, 3U}) {
    SearchOptions options;
    if (step > 1) options.filter = every(step);
    const auto answer = index->search(copied, options);
    ASSERT_TRUE(answer.ok());
    EXPECT_LT(answer->reads, 60U);
    ASSERT_EQ(answer->hits[0].size(), 10U);
    // Ordinals count from 0, ids from 1.
    const std::uint64_t first = 1000 + (step - 1000 % step) % step + 1;
    for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(answer->hits[0][i].id, first + i * step);
  }
}

class DimensionsTest : public GraphIndexTest {
 protected:
  void expect_found(std::uint32_t dimensions, std::uint64_t count, bool has_graph,
                    Metric metric = Metric::l2) {
    SCOPED_TRACE(dimensions);
    const auto path =
        folder_.path() / (std::to_string(dimensions) + "-" + std::to_string(int(metric)));
    auto index = Index::create(path, {dimensions, metric, IndexKind::graph}, options_);
    ASSERT_TRUE(index.ok());
    std::vector<std::vector<float>> centres, vectors;
    for (int i = 0; i < 30; ++i) centres.push_back(random_vector(random_, dimensions));
    std::vector<Row> rows;
    for (std::uint64_t i = 0; i < count; ++i) vectors.push_back(near(centres));
    for (std::uint64_t i = 0; i < count; ++i) rows.push_back({i + 1, vectors[i], {}});
    ASSERT_TRUE((*index)->upsert(rows, {}).ok());
    ASSERT_TRUE((*index)->build_graphs({}).ok());
    ASSERT_TRUE((*index)->close().ok());
    index = Error();
    index = Index::open(path, options_);
    ASSERT_TRUE(index.ok());
    ASSERT_EQ((*index)->statistics().graph_rows, has_graph ? count : 0);
    // An effort searches by the graph, where comparing all of so few would do.
    for (const SearchOptions& how : {SearchOptions{}, SearchOptions{.reach = 1, .doubt = 3}}) {
      std::size_t right = 0;
      for (int q = 0; q < 50; ++q) {
        const auto query = near(centres);
        const auto truth = (*index)->search(query, {.recall = 1});
        const auto answer = (*index)->search(query, how);
        ASSERT_TRUE(truth.ok() && answer.ok());
        for (const Hit& hit : answer->hits[0]) right += hit.score >= truth->hits[0].back().score;
      }
      EXPECT_GE(right, 50U * 10 * (has_graph ? 97 : 100) / 100) << "reach " << how.reach;
    }
  }
};

// Few, and more than codes have leading coordinates; with fewer than 32 every row is compared.
TEST_F(DimensionsTest, AreFewOrMany) {
  expect_found(31, 1500, false);
  expect_found(32, 1500, true);
  expect_found(2048, 1500, true);
  expect_found(2048, 1500, true, Metric::cosine);
}

// The most that graphs are made of; with more every row is compared.
TEST_F(DimensionsTest, AreTheMostOfAGraph) {
  expect_found(8192, 300, true);
  expect_found(8193, 300, false);
}

// Bounded mode reads less, and says which scores it did not compute: by each metric, also where a
// filter or deaths leave a part of the rows.
TEST_F(GraphIndexTest, BoundedModeSaysWhatItEstimates) {
  options_.segment_rows = 4000;
  options_.threads = 1;
  options_.memory = make_memory_budget(6 << 20);  // no room for the vectors
  const auto length = [](const std::vector<float>& v) {
    double sum = 0;
    for (const float x : v) sum += static_cast<double>(x) * x;
    return std::sqrt(sum);
  };
  for (const Metric metric : {Metric::cosine, Metric::l2, Metric::inner_product}) {
    SCOPED_TRACE(static_cast<int>(metric));
    std::filesystem::remove_all(folder_.path() / "index");
    model_.rows.clear();
    auto index = make(metric);
    fill(*index, 4000);
    ASSERT_TRUE(index->build_graphs({}).ok());
    ASSERT_EQ(index->statistics().vector_bytes_in_memory, 0U);
    const auto expect_fewer_reads = [&](const RowFilter& filter) {
      std::uint64_t exact_reads = 0, bounded_reads = 0, estimated = 0, right = 0;
      constexpr std::size_t kQueries = 100;
      for (std::size_t q = 0; q < kQueries; ++q) {
        const auto query = near(centres_);
        SearchOptions options;
        options.filter = filter;
        options.doubt = 1;  // the same in both: what calibration asks for differs
        const auto exact = index->search(query, options);
        options.scores = ScoreMode::bounded;
        const auto bounded = index->search(query, options);
        ASSERT_TRUE(exact.ok() && bounded.ok());
        ASSERT_EQ(bounded->hits[0].size(), 10U);
        exact_reads += exact->reads;
        bounded_reads += bounded->reads;
        for (const Hit& hit : exact->hits[0]) EXPECT_FALSE(hit.estimated);
        for (const Hit& hit : bounded->hits[0]) {
          ASSERT_TRUE(model_.rows.contains(hit.id));
          const std::vector<float>& row = model_.rows.at(hit.id).vector;
          const float truth = Model::score(metric, query, row);
          // An estimate errs by a share of what the angle between the two stands for.
          const double scale = metric == Metric::cosine ? 1 : length(query) * length(row);
          EXPECT_NEAR(hit.score, truth, hit.estimated ? 0.05 * scale : 2e-4 * scale);
          estimated += hit.estimated ? 1 : 0;
          for (const Hit& other : exact->hits[0]) right += other.id == hit.id ? 1 : 0;
          EXPECT_TRUE(!filter || hit.id % 5 == 1);  // ordinals count from 0, ids from 1
        }
      }
      EXPECT_LT(bounded_reads, exact_reads * 3 / 4);
      EXPECT_GT(estimated, kQueries);
      EXPECT_GT(right, kQueries * 10 * 95 / 100);
    };
    expect_fewer_reads({});
    expect_fewer_reads(every(5));
    std::vector<std::uint64_t> gone;
    for (std::uint64_t id = 2; id <= 4000; id += 5) gone.push_back(id);
    ASSERT_TRUE(index->erase(gone, {}).ok());
    ASSERT_EQ(index->statistics().dead_rows, gone.size());
    for (const std::uint64_t id : gone) model_.rows.erase(id);
    expect_fewer_reads({});
  }
}

// An estimate decides nothing where exact scores would say otherwise: beside copies, of which there
// may be more than are asked for, and rows that no graph covers.
TEST_F(GraphIndexTest, BoundedModeCountsCopiesAndRowsBehindTheGraph) {
  options_.graph_rows_min = 800;
  options_.segment_rows = 1913;
  options_.threads = 1;
  options_.memory = make_memory_budget(6 << 20);  // no room for vectors
  auto index = make();
  fill(*index, 1900);
  const std::vector<float> query = near(centres_);
  const auto beside = [&] {
    std::vector<float> out = query;
    const std::vector<float> away = near(centres_);
    for (std::size_t d = 0; d < out.size(); ++d) out[d] += 0.05F * away[d];
    return out;
  };
  // Six nodes that are about as near as one another, one of them of eight rows.
  put(*index, 10'001, std::vector<std::vector<float>>(8, beside()));
  for (std::uint64_t i = 0; i < 5; ++i) put(*index, 10'101 + i, {beside()});
  ASSERT_TRUE(index->build_graphs({}).ok());
  ASSERT_TRUE(index->checkpoint().ok());  // seals the segment
  ASSERT_EQ(index->statistics().graph_rows, 1913U);
  const auto expect_the_same = [&](std::size_t k) {
    SearchOptions options{.k = k, .recall = 0.999F};
    const auto exact = index->search(query, options);
    options.scores = ScoreMode::bounded;
    const auto bounded = index->search(query, options);
    ASSERT_TRUE(exact.ok() && bounded.ok());
    EXPECT_GT(bounded->reads, 0U);
    std::set<std::uint64_t> wanted, found;
    for (const Hit& hit : exact->hits[0]) wanted.insert(hit.id);
    for (const Hit& hit : bounded->hits[0]) found.insert(hit.id);
    EXPECT_EQ(found, wanted);
  };
  expect_the_same(10);  // six nodes, thirteen rows
  for (std::uint64_t i = 0; i < 5; ++i) put(*index, 10'201 + i, {beside()});
  ASSERT_EQ(index->statistics().graph_rows, 1913U);
  expect_the_same(10);
  expect_the_same(14);
}

// A search that nobody waits for any longer ends midway, by the graph and without it, and the next
// one is answered. The filter is what runs while it is under way.
TEST_F(GraphIndexTest, SearchesEndMidwayWhenNobodyWaits) {
  options_.segment_rows = 4000;
  options_.memory = make_memory_budget(7 << 20);  // no room for the vectors
  auto index = make();
  fill(*index, 4000);
  ASSERT_TRUE(index->build_graphs({}).ok());
  ASSERT_EQ(index->statistics().graph_rows, 4000U);
  ASSERT_EQ(index->statistics().vector_bytes_in_memory, 0U);
  std::vector<float> queries;
  for (int q = 0; q < 100; ++q) {
    const auto query = near(centres_);
    queries.insert(queries.end(), query.begin(), query.end());
  }
  for (const float target : {0.99F, 1.0F}) {
    SCOPED_TRACE(target);
    const auto expect_end = [&](const CallOptions& call, const std::function<void()>& meanwhile,
                                ErrorCode code) {
      std::atomic<int> calls{0};
      SearchOptions options{.recall = target, .call = call};
      options.filter = [&](const AttributeColumns& columns, std::uint32_t first,
                           std::uint32_t count, std::span<std::uint64_t> bits) {
        if (calls++ == 0) meanwhile();
        every(1)(columns, first, count, bits);
      };
      const auto answer = index->search(queries, options);
      EXPECT_GT(calls, 0);
      ASSERT_FALSE(answer.ok());
      EXPECT_EQ(answer.error().code, code);
    };
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    expect_end(
        {deadline, {}}, [&] { std::this_thread::sleep_until(deadline); },
        ErrorCode::deadline_exceeded);
    std::stop_source source;
    expect_end(
        {std::chrono::steady_clock::time_point::max(), source.get_token()},
        [&] { source.request_stop(); }, ErrorCode::cancelled);
    EXPECT_GE(recall(*index, Metric::cosine, {.recall = target}), 0.97);
  }
}

// A query without direction beside others is answered as alone.
TEST_F(GraphIndexTest, QueriesWithoutDirectionGoWithOthers) {
  auto index = make();
  fill(*index, 1000);
  ASSERT_TRUE(index->build_graphs({}).ok());
  std::vector<float> queries = near(centres_);
  queries.resize(2 * kDimensions);
  const auto both = index->search(queries, {});
  const auto first = index->search(std::span(queries).first(kDimensions), {});
  ASSERT_TRUE(both.ok() && first.ok());
  EXPECT_EQ(both->hits[0], first->hits[0]);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(both->hits[1][i], (Hit{i + 1, 0}));
}

// Only zeros, or nothing alive: there is a graph of nothing, and it is not made again and again.
TEST_F(GraphIndexTest, HasGraphsOfNothing) {
  auto index = make();
  put(*index, 1, std::vector<std::vector<float>>(300, std::vector<float>(kDimensions)));
  ASSERT_TRUE(index->build_graphs({}).ok());
  EXPECT_EQ(index->statistics().graph_rows, 300U);
  const auto answer = index->search(random_vector(random_, kDimensions), {});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->hits[0].size(), 10U);
  std::vector<std::uint64_t> all;
  for (std::uint64_t id = 1; id <= 300; ++id) all.push_back(id);
  ASSERT_TRUE(index->erase(all, {}).ok());
  put(*index, 301, std::vector<std::vector<float>>(20, random_vector(random_, kDimensions)));
  ASSERT_TRUE(index->build_graphs({}).ok());
  const auto rest = index->search(random_vector(random_, kDimensions), {});
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->hits[0].size(), 10U);
}

// Rows erased and replaced never turn up, however many they are.
TEST_F(GraphIndexTest, ErasedRowsNeverTurnUp) {
  auto index = make();
  fill(*index, 2000);
  ASSERT_TRUE(index->build_graphs({}).ok());
  std::vector<std::uint64_t> gone;
  for (std::uint64_t id = 1; id <= 900; ++id) gone.push_back(id);
  ASSERT_TRUE(index->erase(gone, {}).ok());
  const auto before = model_.rows.at(1).vector;
  for (const std::uint64_t id : gone) model_.rows.erase(id);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
  const auto answer = index->search(before, {});
  ASSERT_TRUE(answer.ok());
  for (const Hit& hit : answer->hits[0]) EXPECT_GT(hit.id, 900U);
  ASSERT_TRUE(index->compact({}).ok());
  EXPECT_EQ(index->statistics().dead_rows, 0U);
  EXPECT_EQ(index->statistics().graph_rows, 1100U);
  EXPECT_GE(recall(*index, Metric::cosine, {}), 0.97);
}

}  // namespace
}  // namespace similis::engine
