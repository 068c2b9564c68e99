#include "engine/index.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include "engine/index_fixture_test.h"

namespace similis::engine {
namespace {

class MetricTest : public IndexTest,
                   public testing::WithParamInterface<std::pair<Metric, IndexKind>> {};

// Writes, replacements, removals, checkpoints, compactions and openings in any order leave the
// answers of a plain map.
TEST_P(MetricTest, AgreesWithAMapThroughItsWholeLife) {
  const auto [metric, kind] = GetParam();
  const std::size_t dimensions = 1 + random_() % 300;
  SCOPED_TRACE("dimensions " + std::to_string(dimensions));
  IndexOptions options = quiet();
  options.graph_rows_min = 20;
  auto index = make({static_cast<std::uint32_t>(dimensions), metric, kind}, options);
  for (int step = 0; step < 60; ++step) {
    std::vector<std::vector<float>> vectors;
    std::vector<std::string> attributes;
    std::vector<std::uint64_t> ids;
    for (std::size_t i = 0; i < random_() % 40; ++i) {
      ids.push_back(1 + random_() % 200);
      vectors.push_back(random_vector(random_, dimensions));
      attributes.push_back(std::string(random_() % 20, 'a'));
    }
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2: {
        std::vector<Row> rows;
        for (std::size_t i = 0; i < ids.size(); ++i)
          rows.push_back({ids[i], vectors[i], as_bytes(attributes[i])});
        ASSERT_TRUE(index->upsert(rows, {}).ok());
        for (std::size_t i = 0; i < ids.size(); ++i)
          model_.rows[ids[i]] = {vectors[i], attributes[i]};
        break;
      }
      case 3: {
        auto result = index->erase(ids, {});
        ASSERT_TRUE(result.ok());
        std::size_t erased = 0;
        for (const std::uint64_t id : ids) erased += model_.rows.erase(id);
        EXPECT_EQ(result->rows, erased);
        break;
      }
      case 4: {
        std::vector<AttributeChange> changes;
        for (std::size_t i = 0; i < ids.size(); ++i)
          changes.push_back({ids[i], as_bytes(attributes[i])});
        ASSERT_TRUE(index->update_attributes(changes, {}).ok());
        for (std::size_t i = 0; i < ids.size(); ++i)
          if (auto row = model_.rows.find(ids[i]); row != model_.rows.end())
            row->second.attributes = attributes[i];
        break;
      }
      case 5:
        ASSERT_TRUE(index->checkpoint().ok());
        break;
      case 6:
        if (step % 3 == 0) {
          ASSERT_TRUE(index->compact({}).ok());
        }
        break;
      case 7:
        ASSERT_TRUE(index->close().ok());
        index.reset();
        index = reopen(options);
        ASSERT_NE(index, nullptr);
        break;
    }
    expect_matches_model(*index, metric, dimensions);
    if (HasFatalFailure()) return;
  }
  const auto damage = index->verify({});
  ASSERT_TRUE(damage.ok());
  EXPECT_TRUE(damage->empty()) << damage->front().what;
}

constexpr const char* name_of(Metric metric) {
  return metric == Metric::cosine ? "cosine" : metric == Metric::inner_product ? "product" : "l2";
}

INSTANTIATE_TEST_SUITE_P(Metrics, MetricTest,
                         testing::Values(std::pair(Metric::cosine, IndexKind::flat),
                                         std::pair(Metric::inner_product, IndexKind::flat),
                                         std::pair(Metric::l2, IndexKind::flat),
                                         std::pair(Metric::cosine, IndexKind::graph),
                                         std::pair(Metric::inner_product, IndexKind::graph),
                                         std::pair(Metric::l2, IndexKind::graph)),
                         [](const auto& param) {
                           return std::string(name_of(param.param.first)) +
                                  (param.param.second == IndexKind::graph ? "_graph" : "_flat");
                         });

TEST_F(IndexTest, RefusesWhatItCannotHold) {
  auto index = make({4, Metric::cosine, IndexKind::flat});
  const auto refused = [&](std::uint64_t id, std::vector<float> vector) {
    const Row row{id, vector, {}};
    const auto result = index->upsert({&row, 1}, {});
    return !result.ok() && result.error().code == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refused(0, {1, 2, 3, 4}));
  EXPECT_TRUE(refused(kRowIdMax + 1, {1, 2, 3, 4}));
  EXPECT_TRUE(refused(1, {1, 2, 3}));
  EXPECT_TRUE(refused(1, {1, 2, 3, std::nanf("")}));
  EXPECT_TRUE(refused(1, {1, 2, 3, INFINITY}));
  EXPECT_TRUE(refused(1, {1, 2, 3, 65505}));
  EXPECT_FALSE(refused(kRowIdMax, {1, 2, 3, 65504}));
  const std::vector<std::byte> long_attributes((1 << 20) + 1);
  const std::vector<float> vector{1, 2, 3, 4};
  const Row row{1, vector, long_attributes};
  EXPECT_EQ(index->upsert({&row, 1}, {}).error().code, ErrorCode::invalid_argument);
  for (const std::size_t k : {std::size_t{0}, kSearchKMax + 1})
    EXPECT_EQ(index->search(vector, {.k = k, .filter = {}, .call = {}}).error().code,
              ErrorCode::invalid_argument);
  const std::vector<float> short_query{1, 2, 3}, bad_query{1, 2, 3, INFINITY};
  EXPECT_EQ(index->search(short_query, {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(index->search({}, {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(index->search(bad_query, {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(index->statistics().rows, 1U);
  EXPECT_EQ(index->max_id(), kRowIdMax);
  EXPECT_EQ(
      Index::create(folder_.path() / "other", {0, Metric::l2, IndexKind::flat}, {}).error().code,
      ErrorCode::invalid_argument);
}

TEST_F(IndexTest, ACosineStaysWithinOne) {
  constexpr std::uint32_t kDimensions = 96;
  auto index = make({kDimensions, Metric::cosine, IndexKind::flat});
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> vectors(64, std::vector<float>(kDimensions));
  std::uint64_t id = 0;
  for (auto& vector : vectors) {
    for (float& v : vector) v = normal(random);
    const Row row{++id, vector, {}};
    ASSERT_TRUE(index->upsert({&row, 1}, {}).ok());
  }
  for (auto& vector : vectors) {
    const auto near = index->search(vector, {.k = 1, .filter = {}, .call = {}});
    EXPECT_LE(near->hits[0][0].score, 1.0F);
    EXPECT_GT(near->hits[0][0].score, 0.999F);
    for (float& v : vector) v = -v;
    const auto far = index->search(vector, {.k = 64, .filter = {}, .call = {}});
    EXPECT_GE(far->hits[0].back().score, -1.0F);
  }
}

TEST_F(IndexTest, OpensOnceAtATimeAndOnlyWhereAnIndexIs) {
  EXPECT_EQ(Index::open(folder_.path() / "index", {}).error().code, ErrorCode::not_found);
  EXPECT_EQ(Index::open(folder_.path(), {}).error().code, ErrorCode::not_found);
  auto index = make({4, Metric::cosine, IndexKind::flat});
  EXPECT_EQ(Index::open(folder_.path() / "index", {}).error().code, ErrorCode::conflict);
  EXPECT_EQ(Index::verify(folder_.path() / "index", {}).error().code, ErrorCode::conflict);
  index.reset();
  EXPECT_EQ(
      Index::create(folder_.path() / "index", {4, Metric::l2, IndexKind::flat}, {}).error().code,
      ErrorCode::already_exists);
  index = reopen();
  EXPECT_EQ(index->shape().dimensions, 4U);
  EXPECT_EQ(index->shape().metric, Metric::cosine);
}

TEST_F(IndexTest, ZeroVectorsScoreZeroAndTiesComeById) {
  auto index = make({3, Metric::cosine, IndexKind::flat});
  put(*index, 9, {1, 1, 1});
  put(*index, 4, {2, 2, 2});
  put(*index, 7, {0, 0, 0});
  put(*index, 2, {-1, -1, -1});
  put(*index, 5, {3, 3, 3});
  const std::vector<float> query{1, 1, 1}, zero{0, 0, 0};
  auto answer = index->search(query, {});
  ASSERT_TRUE(answer.ok());
  std::vector<std::uint64_t> ids;
  for (const Hit& hit : answer->hits[0]) ids.push_back(hit.id);
  EXPECT_EQ(ids, (std::vector<std::uint64_t>{4, 5, 9, 7, 2}));
  EXPECT_EQ(answer->hits[0][3].score, 0.0F);
  answer = index->search(zero, {.k = 2, .filter = {}, .call = {}});
  EXPECT_EQ(answer->hits[0], (std::vector<Hit>{{2, 0}, {4, 0}}));
}

TEST_F(IndexTest, FilterMarksRowsByTheirColumns) {
  const IndexOptions options = simulated();
  auto index = make({16, Metric::cosine, IndexKind::flat}, options);
  for (std::uint64_t id = 1; id <= 500; ++id)
    put(*index, id, random_vector(random_, 16), id % 7 == 0 ? "seven" : "other");
  const RowFilter filter = [](const AttributeColumns& columns, std::uint32_t first,
                              std::uint32_t count, std::span<std::uint64_t> bits) {
    std::vector<std::byte> value;
    for (std::uint32_t i = 0; i < count; ++i) {
      columns.get(first + i, value);
      if (value.size() == as_bytes("seven").size() &&
          std::memcmp(value.data(), "seven", value.size()) == 0)
        bits[i / 64] |= std::uint64_t{1} << (i % 64);
    }
  };
  const auto sevens = [](std::uint64_t, const Model::Row& row) {
    return row.attributes == "seven";
  };
  const auto check = [&](const char* when) {
    SCOPED_TRACE(when);
    const auto query = random_vector(random_, 16);
    auto answer = index->search(query, {.k = 100, .filter = filter, .call = {}});
    ASSERT_TRUE(answer.ok());
    expect_exact(answer->hits[0], model_, Metric::cosine, query, 100, sevens);
  };
  check("fresh");
  const AttributeChange changes[] = {{7, as_bytes("other")}, {8, as_bytes("seven")}};
  ASSERT_EQ(index->update_attributes(changes, {})->rows, 2U);
  model_.rows[7].attributes = "other";
  model_.rows[8].attributes = "seven";
  check("changed in the log");
  ASSERT_TRUE(index->checkpoint().ok());
  check("after a checkpoint");
  const AttributeChange again[] = {{14, as_bytes("other")}, {9, as_bytes("seven")}, {9999, {}}};
  ASSERT_EQ(index->update_attributes(again, {})->rows, 2U);
  model_.rows[14].attributes = "other";
  model_.rows[9].attributes = "seven";
  ASSERT_TRUE(index->checkpoint().ok());
  index.reset();
  index = reopen(options);
  check("reopened");
  ASSERT_TRUE(index->compact({}).ok());
  check("compacted");
  index.reset();
  index = reopen(options);
  check("compacted and reopened");
}

TEST_F(IndexTest, SnapshotsKeepWhatTheySaw) {
  auto index = make({8, Metric::l2, IndexKind::flat});
  for (std::uint64_t id = 1; id <= 50; ++id) put(*index, id, random_vector(random_, 8));
  ASSERT_TRUE(index->checkpoint().ok());
  const Snapshot before = index->snapshot();
  const Model old = model_;
  for (std::uint64_t id = 1; id <= 40; ++id) put(*index, id, random_vector(random_, 8));
  std::vector<std::uint64_t> gone{41, 42, 43};
  ASSERT_TRUE(index->erase(gone, {}).ok());
  for (const std::uint64_t id : gone) model_.rows.erase(id);
  ASSERT_TRUE(index->compact({}).ok());
  const auto query = random_vector(random_, 8);
  auto answer = before.search(query, {.k = 100, .filter = {}, .call = {}});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  expect_exact(answer->hits[0], old, Metric::l2, query, 100, [](auto...) { return true; });
  EXPECT_EQ(before.rows(), 50U);
  EXPECT_LT(before.lsn(), index->snapshot().lsn());
  expect_matches_model(*index, Metric::l2, 8);
}

TEST_F(IndexTest, StopsWhenNobodyWaits) {
  auto index = make({8, Metric::l2, IndexKind::flat});
  put(*index, 1, random_vector(random_, 8));
  const auto query = random_vector(random_, 8);
  SearchOptions options;
  options.call.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_EQ(index->search(query, options).error().code, ErrorCode::deadline_exceeded);
  std::stop_source source;
  source.request_stop();
  options.call = {std::chrono::steady_clock::time_point::max(), source.get_token()};
  EXPECT_EQ(index->search(query, options).error().code, ErrorCode::cancelled);
  for (const float wrong :
       {-1.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(index->search(query, {.reach = wrong}).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(index->search(query, {.doubt = wrong}).error().code, ErrorCode::invalid_argument);
  }
  const Row row{2, query, {}};
  EXPECT_EQ(index->upsert({&row, 1}, options.call).error().code, ErrorCode::cancelled);
  EXPECT_EQ(index->statistics().rows, 1U);
}

// Bytes that the owner refuses never reach it, whatever is erased, replaced, replayed or compacted.
TEST_F(IndexTest, OnlyRowsOwnAttributesReachTheirOwner) {
  class Columns final : public AttributeColumns {
   public:
    bool set(std::uint32_t ordinal, std::span<const std::byte> bytes) override {
      EXPECT_FALSE(bytes.empty());
      rows_[ordinal].assign(bytes.begin(), bytes.end());
      return true;
    }
    void get(std::uint32_t ordinal, std::vector<std::byte>& out) const override {
      out = rows_.at(ordinal);
    }
    [[nodiscard]] std::uint64_t bytes_in_memory() const override { return 0; }

   private:
    std::map<std::uint32_t, std::vector<std::byte>> rows_;
  };
  class Strict final : public AttributeFormat {
   public:
    [[nodiscard]] Status check(std::span<const std::byte> bytes) const override {
      if (!bytes.empty()) return {};
      return Error(ErrorCode::invalid_argument, "a row's attributes are never empty here");
    }
    [[nodiscard]] std::unique_ptr<AttributeColumns> make_columns() const override {
      return std::make_unique<Columns>();
    }
  };
  IndexOptions options = simulated();
  options.attributes = std::make_shared<Strict>();
  options.segment_rows = 50;
  auto index = make({4, Metric::l2, IndexKind::flat}, options);
  const auto vector = random_vector(random_, 4);
  const Row bare{1, vector, {}};
  EXPECT_EQ(index->upsert({&bare, 1}, {}).error().code, ErrorCode::invalid_argument);
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 5; ++i)
      put(*index, 1 + random_() % 40, random_vector(random_, 4), std::to_string(random_()));
    const std::uint64_t gone = 1 + random_() % 40;
    ASSERT_TRUE(index->erase({&gone, 1}, {}).ok());
    model_.rows.erase(gone);
    const AttributeChange change{1 + random_() % 40, as_bytes("changed")};
    ASSERT_TRUE(index->update_attributes({&change, 1}, {}).ok());
    if (random_() % 3 == 0) {
      ASSERT_TRUE(index->checkpoint().ok());
    }
    if (random_() % 7 == 0) {
      ASSERT_TRUE(index->compact({}).ok());
    }
    if (random_() % 3 == 0) {
      index.reset();
      index = reopen(options);
      ASSERT_NE(index, nullptr);
    }
    expect_matches_model(*index, Metric::l2, 4);
  }
}

TEST_F(IndexTest, MaxIdRemembersErasedRows) {
  auto index = make({2, Metric::l2, IndexKind::flat});
  put(*index, 10, {1, 2});
  put(*index, 99, {1, 2});
  const std::vector<std::uint64_t> last{99};
  ASSERT_TRUE(index->erase(last, {}).ok());
  for (const bool checkpointed : {false, true}) {
    if (checkpointed) {
      ASSERT_TRUE(index->checkpoint().ok());
    }
    index.reset();
    EXPECT_EQ(*Index::max_id(folder_.path() / "index"), 99U);
    index = reopen();
    EXPECT_EQ(index->max_id(), 99U);
  }
}

// Automatic maintenance: checkpoints empty the log, dead rows go, at most four segments remain.
TEST_F(IndexTest, KeepsItselfInShape) {
  IndexOptions options = simulated();
  options.checkpoint_log_bytes = 100 << 10;
  options.segment_rows = 1000;
  auto index = make({32, Metric::l2, IndexKind::flat}, options);
  for (std::uint64_t batch = 0; batch < 100; ++batch) {
    std::vector<std::vector<float>> vectors;
    std::vector<Row> rows;
    for (std::uint64_t i = 0; i < 200; ++i) {
      const std::uint64_t id = 1 + (batch % 2 == 0 ? batch * 50 + i : random_() % 3000);
      vectors.push_back(random_vector(random_, 32));
      model_.rows[id] = {vectors.back(), ""};
      rows.push_back({id, {}, {}});
    }
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].vector = vectors[i];
    ASSERT_TRUE(index->upsert(rows, {}).ok());
    const auto now = index->statistics();
    ASSERT_LE(now.segments, 4U);
    ASSERT_LE(now.log_bytes, 200U << 10);
    ASSERT_LE(now.dead_rows, std::max<std::uint64_t>(4 * 1024, now.rows));
  }
  expect_matches_model(*index, Metric::l2, 32);
  index.reset();
  index = reopen(options);
  expect_matches_model(*index, Metric::l2, 32);
}

TEST_F(IndexTest, RefusesANewerFormat) {
  auto index = make({2, Metric::l2, IndexKind::flat});
  put(*index, 1, {1, 2});
  index.reset();
  {
    std::fstream manifest(folder_.path() / "index" / "MANIFEST",
                          std::ios::in | std::ios::out | std::ios::binary);
    manifest.seekp(8);
    manifest.put(2);
  }
  const auto opened = Index::open(folder_.path() / "index", {});
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::conflict);
  EXPECT_NE(opened.error().message.find("format 2"), std::string::npos);
}

}  // namespace
}  // namespace similis::engine
