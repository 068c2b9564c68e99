// Vectors under memory limits.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/index_fixture_test.h"

namespace similis::engine {
namespace {

// With hardly any memory for vectors every search streams them, dense or sparse.
TEST_F(IndexTest, StreamsWhatDoesNotFit) {
  IndexOptions options = quiet();
  auto index = make({200, Metric::cosine, IndexKind::flat}, options);
  std::vector<Row> rows;
  std::vector<std::vector<float>> vectors;
  for (std::uint64_t id = 1; id <= 30000; ++id) {
    vectors.push_back(random_vector(random_, 200));
    model_.rows[id] = {vectors.back(), ""};
  }
  for (std::uint64_t id = 1; id <= vectors.size(); ++id) rows.push_back({id, vectors[id - 1], {}});
  ASSERT_TRUE(index->upsert(rows, {}).ok());
  ASSERT_TRUE(index->checkpoint().ok());
  const auto resident = index->statistics();
  EXPECT_EQ(resident.vector_bytes_on_disk_only, 0U);
  index.reset();
  const std::uint64_t memory_max =
      resident.bytes_in_memory + resident.read_buffer_bytes - resident.vector_bytes_in_memory / 2;
  options.memory = make_memory_budget(memory_max);
  index = reopen(options);
  ASSERT_NE(index, nullptr);
  const auto limited = index->statistics();
  EXPECT_GT(limited.vector_bytes_on_disk_only, 0U);
  EXPECT_GT(limited.vector_bytes_in_memory, 0U);
  EXPECT_LE(limited.bytes_in_memory + limited.read_buffer_bytes, memory_max);
  const auto query = random_vector(random_, 200);
  auto answer = index->search(query, {.k = 50, .filter = {}, .call = {}});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  expect_exact(answer->hits[0], model_, Metric::cosine, query, 50, [](auto...) { return true; });
  EXPECT_GT(answer->reads, 0U);
  EXPECT_GE(answer->bytes_read, limited.vector_bytes_on_disk_only);

  const RowFilter every_thousandth = [](const AttributeColumns&, std::uint32_t first,
                                        std::uint32_t count, std::span<std::uint64_t> bits) {
    for (std::uint32_t i = 0; i < count; ++i)
      if ((first + i) % 1000 == 0) bits[i / 64] |= std::uint64_t{1} << (i % 64);
  };
  auto sparse = index->search(query, {.k = 50, .filter = every_thousandth, .call = {}});
  ASSERT_TRUE(sparse.ok());
  expect_exact(sparse->hits[0], model_, Metric::cosine, query, 50,
               [](std::uint64_t id, const auto&) { return (id - 1) % 1000 == 0; });
  EXPECT_LT(sparse->bytes_read, answer->bytes_read / 10);

  const std::vector<std::uint64_t> wanted{1, 15000, 30000, 40000};
  auto fetched = index->fetch(wanted, {});
  ASSERT_TRUE(fetched.ok());
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ((*fetched)[i], through_half(unit(vectors[wanted[i] - 1])));
  EXPECT_TRUE((*fetched)[3].empty());

  options.memory = make_memory_budget(1 << 20);
  index.reset();
  const auto refused = Index::open(folder_.path() / "index", options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
}

// Two indexes share one budget: together they keep to it, and what one gives up the other takes.
TEST_F(IndexTest, SharesMemoryWithOthers) {
  IndexOptions options = simulated();
  const auto fill = [&](Index& index) {
    std::vector<std::vector<float>> vectors;
    std::vector<Row> rows;
    for (std::uint64_t id = 1; id <= 40000; ++id) vectors.push_back(random_vector(random_, 64));
    for (std::uint64_t id = 1; id <= 40000; ++id) rows.push_back({id, vectors[id - 1], {}});
    ASSERT_TRUE(index.upsert(rows, {}).ok());
    ASSERT_TRUE(index.checkpoint().ok());
  };
  std::uint64_t alone = 0, buffers = 0;
  for (const char* name : {"a", "b"}) {
    auto index = Index::create(name, {64, Metric::l2, IndexKind::flat}, options);
    ASSERT_TRUE(index.ok());
    fill(**index);
    alone = (*index)->statistics().bytes_in_memory;
    buffers = (*index)->statistics().read_buffer_bytes;
  }
  const std::uint64_t together = 2 * alone + buffers - (6 << 20);
  options.memory = make_memory_budget(together);
  auto first = Index::open("a", options);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ((*first)->statistics().vector_bytes_on_disk_only, 0U);
  auto second = Index::open("b", options);
  ASSERT_TRUE(second.ok());
  EXPECT_GT((*second)->statistics().vector_bytes_on_disk_only, 0U);
  EXPECT_EQ((*second)->statistics().read_buffer_bytes, buffers);
  EXPECT_LE((*first)->statistics().bytes_in_memory + (*second)->statistics().bytes_in_memory,
            together - buffers);
  first = Error();
  const auto vector = random_vector(random_, 64);
  const Row more{50000, vector, {}};
  ASSERT_TRUE((*second)->upsert({&more, 1}, {}).ok());
  ASSERT_TRUE((*second)->checkpoint().ok());
  EXPECT_EQ((*second)->statistics().vector_bytes_on_disk_only, 0U);
}

// Read buffers are there once for all indexes of a budget: a small one has room for many indexes.
TEST_F(IndexTest, ManyIndexesShareOneSetOfReadBuffers) {
  IndexOptions options = simulated();
  options.threads = 4;
  options.memory = make_memory_budget(32 << 20);
  std::vector<std::unique_ptr<Index>> open;
  for (int i = 0; i < 12; ++i) {
    auto index =
        Index::create("index" + std::to_string(i), {64, Metric::l2, IndexKind::flat}, options);
    ASSERT_TRUE(index.ok()) << i << ": " << index.error().message;
    open.push_back(std::move(index).value());
    put(*open.back(), 1, random_vector(random_, 64));
  }
  EXPECT_GT(open.front()->statistics().read_buffer_bytes, 8U << 20);
  const auto query = random_vector(random_, 64);
  for (const auto& index : open)
    EXPECT_EQ(index->search(query, {.k = 1, .filter = {}, .call = {}})->hits[0].size(), 1U);
}

}  // namespace
}  // namespace similis::engine
