// Indexes in a folder or in simulated storage, beside a map that has the same rows.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/index.h"
#include "engine/storage/simulated_storage_test.h"
#include "engine/support_test.h"

namespace similis::engine {

class IndexTest : public testing::Test {
 protected:
  std::unique_ptr<Index> make(const IndexShape& shape, const IndexOptions& options = quiet()) {
    auto index = Index::create(folder_.path() / "index", shape, options);
    EXPECT_TRUE(index.ok()) << index.error().message;
    return std::move(index).value();
  }
  std::unique_ptr<Index> reopen(const IndexOptions& options = quiet()) {
    auto index = Index::open(folder_.path() / "index", options);
    EXPECT_TRUE(index.ok()) << (index.ok() ? "" : index.error().message);
    return index.ok() ? std::move(index).value() : nullptr;
  }
  static IndexOptions quiet() {
    IndexOptions options;
    options.threads = 2;
    options.background = false;
    return options;
  }
  /// Without the disk's syncs, for tests of many writes.
  IndexOptions simulated() {
    IndexOptions options = quiet();
    options.storage = &storage_;
    return options;
  }
  void put(Index& index, std::uint64_t id, std::vector<float> vector, std::string attributes = "") {
    const Row row{id, vector, as_bytes(attributes)};
    const auto result = index.upsert({&row, 1}, {});
    ASSERT_TRUE(result.ok()) << result.error().message;
    model_.rows[id] = {std::move(vector), std::move(attributes)};
  }
  void expect_matches_model(const Index& index, Metric metric, std::size_t dimensions) {
    for (int i = 0; i < 3; ++i) {
      const auto query = random_vector(random_, dimensions);
      const std::size_t k = 1 + random_() % 20;
      auto answer = index.search(query, {.k = k, .list_size = 400, .doubt = 4});
      ASSERT_TRUE(answer.ok()) << answer.error().message;
      expect_exact(answer->hits[0], model_, metric, query, k, [](auto...) { return true; });
    }
    auto ids = index.snapshot().scan_ids(0, 1 << 20, {});
    ASSERT_TRUE(ids.ok());
    std::vector<std::uint64_t> expected;
    for (const auto& [id, row] : model_.rows) expected.push_back(id);
    ASSERT_EQ(*ids, expected);
    ASSERT_EQ(index.statistics().rows, expected.size());
  }

  TemporaryFolder folder_;
  SimulatedStorage storage_{1};
  Model model_;
  const std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
};

}  // namespace similis::engine
