// Indexes of kind `graph` small enough for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/index.h"
#include "engine/storage/format.h"
#include "engine/support_test.h"

namespace similis::engine {

class GraphIndexTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kDimensions = 96;

  GraphIndexTest() {
    options_.threads = 2;
    options_.background = false;
    options_.graph_rows_min = 200;
  }

  /// A row near one of `centres`, as embeddings lie.
  std::vector<float> near(const std::vector<std::vector<float>>& centres) {
    std::normal_distribution<float> normal;
    std::vector<float> out = centres[random_() % centres.size()];
    const std::vector<float>& other = centres[random_() % centres.size()];
    for (std::size_t d = 0; d < out.size(); ++d)
      out[d] += 0.3F * other[d] + 0.35F * normal(random_);
    return out;
  }
  std::vector<std::vector<float>> some_centres(std::size_t count) {
    std::vector<std::vector<float>> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(random_vector(random_, kDimensions));
    return out;
  }

  std::unique_ptr<Index> make(Metric metric = Metric::cosine) {
    auto index =
        Index::create(folder_.path() / "index", {kDimensions, metric, IndexKind::graph}, options_);
    EXPECT_TRUE(index.ok()) << index.error().message;
    return std::move(index).value();
  }
  std::unique_ptr<Index> reopen() {
    auto index = Index::open(folder_.path() / "index", options_);
    EXPECT_TRUE(index.ok()) << (index.ok() ? "" : index.error().message);
    return index.ok() ? std::move(index).value() : nullptr;
  }
  void put(Index& index, std::uint64_t first, const std::vector<std::vector<float>>& vectors) {
    std::vector<Row> rows;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      rows.push_back({first + i, vectors[i], {}});
      model_.rows[first + i] = {vectors[i], ""};
    }
    ASSERT_TRUE(index.upsert(rows, {}).ok());
  }
  void fill(Index& index, std::size_t rows) {
    if (centres_.empty()) centres_ = some_centres(30);
    std::vector<std::vector<float>> vectors;
    for (std::size_t i = 0; i < rows; ++i) vectors.push_back(near(centres_));
    put(index, model_.rows.size() + 1, vectors);
  }

  /// Leaves an index of so many rows with their graph behind, closed; what it says once opened.
  IndexStatistics make_with_graph(std::size_t rows) {
    auto index = make();
    fill(*index, rows);
    EXPECT_TRUE(index->build_graphs({}).ok());
    EXPECT_TRUE(index->close().ok());
    index.reset();
    index = reopen();
    const IndexStatistics out = index->statistics();
    EXPECT_TRUE(index->close().ok());
    return out;
  }

  /// The share of the true nearest k that `options` find; every score is right.
  double recall(const Index& index, Metric metric, const SearchOptions& options) {
    std::vector<float> queries;
    constexpr std::size_t kQueries = 200;
    for (std::size_t q = 0; q < kQueries; ++q) {
      const auto query = near(centres_);
      queries.insert(queries.end(), query.begin(), query.end());
    }
    SearchOptions exact = options;
    exact.recall = 1;
    const auto truth = index.search(queries, exact);
    const auto answer = index.search(queries, options);
    EXPECT_TRUE(truth.ok() && answer.ok());
    std::size_t right = 0, all = 0;
    for (std::size_t q = 0; q < kQueries; ++q) {
      EXPECT_EQ(answer->hits[q].size(), truth->hits[q].size());
      const std::vector<float> query(
          queries.begin() + static_cast<std::ptrdiff_t>(q) * kDimensions,
          queries.begin() + static_cast<std::ptrdiff_t>(q + 1) * kDimensions);
      std::set<std::uint64_t> seen;
      for (const Hit& hit : answer->hits[q]) {
        EXPECT_TRUE(seen.insert(hit.id).second);
        const float score = Model::score(metric, query, model_.rows.at(hit.id).vector);
        EXPECT_NEAR(hit.score, score, 2e-4 * std::max(1.0F, std::abs(score)));
        right += hit.score >= truth->hits[q].back().score - 1e-6F ? 1 : 0;
      }
      all += truth->hits[q].size();
    }
    return all == 0 ? 1 : static_cast<double>(right) / static_cast<double>(all);
  }

  /// What an index of one chunk takes beside its vectors.
  static std::uint64_t table_bytes(const IndexStatistics& s) {
    return s.bytes_in_memory - Geometry(kDimensions).chunk_bytes() + s.read_buffer_bytes;
  }

  static RowFilter every(std::uint32_t step) {
    return [step](const AttributeColumns&, std::uint32_t first, std::uint32_t count,
                  std::span<std::uint64_t> bits) {
      for (std::uint32_t i = 0; i < count; ++i)
        if ((first + i) % step == 0) bits[i / 64] |= std::uint64_t{1} << (i % 64);
    };
  }

  TemporaryFolder folder_;
  IndexOptions options_;
  Model model_;
  std::vector<std::vector<float>> centres_;
  const std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
};

}  // namespace similis::engine
