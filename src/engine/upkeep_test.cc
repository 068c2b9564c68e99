// What keeps an index going when things go wrong or on and on: memory that runs out, damage in the
// tables of parts, attributes that change for ever.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <new>
#include <thread>

#include "engine/index.h"
#include "engine/storage/simulated_storage_test.h"
#include "engine/support_test.h"
#include "engine/thread_pool.h"

namespace similis::engine {
namespace {

constexpr const char* kDirectory = "index";

IndexOptions quiet(SimulatedStorage& storage) {
  IndexOptions options;
  options.background = false;
  options.threads = 1;
  options.storage = &storage;
  return options;
}

TEST(ThreadPool, WhatWorkThrowsIsThrownOnceAllHelpersHaveLeftIt) {
  for (const bool caller_throws : {false, true}) {
    ThreadPool pool(4);
    const auto caller = std::this_thread::get_id();
    std::atomic<int> begun{0}, ended{0};
    const auto run = [&] {
      pool.run(4, [&] {
        ++begun;
        while (begun < 4) std::this_thread::yield();
        if ((std::this_thread::get_id() == caller) == caller_throws) throw std::bad_alloc();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        ++ended;
      });
    };
    EXPECT_THROW(run(), std::bad_alloc);
    EXPECT_EQ(ended, caller_throws ? 3 : 1);
    std::atomic<int> calls{0};
    pool.run(4, [&] { ++calls; });
    EXPECT_GE(calls, 1);
  }
}

// The one who writes for all runs out of memory: those who wait are told, none waits for ever.
TEST(Upkeep, WithoutMemoryNoWriterWaitsForEver) {
  SimulatedStorage storage(1);
  const IndexOptions options = quiet(storage);
  auto index = Index::create(kDirectory, {.dimensions = 2}, options);
  ASSERT_TRUE(index.ok());
  const std::vector<float> vector{1, 2};
  const auto write = [&](std::uint64_t id) {
    const Row row{id, vector, {}};
    try {
      return (*index)->upsert({&row, 1}, {}).ok();
    } catch (const std::bad_alloc&) {
      return false;
    }
  };
  ASSERT_TRUE(write(1));
  // While the first syncs the others queue; the next sync, which is theirs, fails for memory.
  std::atomic<bool> syncing{false};
  storage.on_next_sync("wal-", [&] {
    syncing = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    storage.on_next_sync("wal-", [] { throw std::bad_alloc(); });
  });
  auto first = std::async(std::launch::async, write, 2);
  while (!syncing) std::this_thread::yield();
  std::vector<std::future<bool>> others;
  for (std::uint64_t id = 3; id <= 6; ++id)
    others.push_back(std::async(std::launch::async, write, id));
  EXPECT_TRUE(first.get());
  for (auto& other : others) EXPECT_FALSE(other.get());
  EXPECT_FALSE(write(7));
  EXPECT_EQ((*index)->statistics().read_only, "out of memory");
  EXPECT_EQ((*index)->snapshot().rows(), 2U);
  index = Error();
  index = Index::open(kDirectory, options);
  ASSERT_TRUE(index.ok()) << index.error().message;
  EXPECT_GE((*index)->snapshot().rows(), 2U);
  EXPECT_TRUE(write(8));
}

// Nor does one while the log is too long and no checkpoint comes any more.
TEST(Upkeep, WithoutCheckpointsNoWriterWaitsForEver) {
  SimulatedStorage storage(1);
  IndexOptions options = quiet(storage);
  options.background = true;
  options.checkpoint_log_bytes = 1 << 10;
  auto index = Index::create(kDirectory, {.dimensions = 64}, options);
  ASSERT_TRUE(index.ok());
  storage.on_next_sync("part-", [] { throw std::bad_alloc(); });
  const std::vector<float> vectors(1000 * 64, 1.0F);
  std::vector<Row> rows;
  for (std::uint64_t i = 0; i < 1000; ++i)
    rows.push_back({i + 1, std::span(vectors).subspan(i * 64, 64), {}});
  ASSERT_TRUE((*index)->upsert(rows, {}).ok());
  for (int i = 0; i < 5000 && (*index)->statistics().read_only.empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_EQ((*index)->statistics().read_only, "out of memory");
  ASSERT_GT((*index)->statistics().log_bytes, 8U << 10);
  const CallOptions call{std::chrono::steady_clock::now() + std::chrono::seconds(5), {}};
  const auto refused = (*index)->upsert({rows.data(), 1}, call);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable) << refused.error().message;
}

// Damage in the tables of a part that only holds changes stops no checkpoint, and joining such
// parts, which is done from memory, takes it away.
TEST(Upkeep, DamagedTablesOfChangesStopNoCheckpoint) {
  SimulatedStorage storage(1);
  const IndexOptions options = quiet(storage);
  auto index = Index::create(kDirectory, {.dimensions = 2}, options);
  ASSERT_TRUE(index.ok());
  const std::vector<float> vector{1, 2};
  for (std::uint64_t id = 1; id <= 30; ++id) {
    const Row row{id, vector, as_bytes("as made")};
    ASSERT_TRUE((*index)->upsert({&row, 1}, {}).ok());
  }
  ASSERT_TRUE((*index)->checkpoint().ok());
  for (std::uint64_t id = 1; id <= 12; ++id) {
    const AttributeChange change{id, as_bytes("changed")};
    ASSERT_TRUE((*index)->update_attributes({&change, 1}, {}).ok());
    ASSERT_TRUE((*index)->checkpoint().ok()) << id;
    if (id != 4) continue;
    // The newest part, which holds this change alone: [attributes | ids.. | changes | footer].
    const auto files = storage.files(kDirectory);
    const auto part = std::prev(files.lower_bound("part-~"));
    storage.flip(std::filesystem::path(kDirectory) / part->first,
                 part->second.size() - 4096 - 4096);
  }
  EXPECT_TRUE((*index)->verify({})->empty());
  index = Error();
  index = Index::open(kDirectory, options);
  ASSERT_TRUE(index.ok()) << index.error().message;
  const RowFilter changed = [](const AttributeColumns& columns, std::uint32_t begin,
                               std::uint32_t count, std::span<std::uint64_t> bits) {
    std::vector<std::byte> value;
    for (std::uint32_t i = 0; i < count; ++i) {
      columns.get(begin + i, value);
      if (std::ranges::equal(value, as_bytes("changed")))
        bits[i / 64] |= std::uint64_t{1} << (i % 64);
    }
  };
  const auto answer = (*index)->search(vector, {.k = 50, .filter = changed, .call = {}});
  EXPECT_EQ(answer->hits[0].size(), 12U);
}

// Of the last chunk, which rows are appended to, the vectors are not in memory before they are
// needed.
TEST(Upkeep, RowsAreAppendedBehindOthersThatAreOnDiskAlone) {
  SimulatedStorage storage(1);
  IndexOptions options = quiet(storage);
  constexpr std::uint32_t kWide = 300;  // a vector a slot of 1024 bytes
  const auto vector_of = [](std::uint64_t id) {
    std::mt19937_64 random(id);
    return random_vector(random, kWide);
  };
  const auto write = [&](Index& index, std::uint64_t id) {
    const auto vector = vector_of(id);
    const Row row{id, vector, {}};
    ASSERT_TRUE(index.upsert({&row, 1}, {}).ok());
  };
  std::uint64_t buffers = 0;
  {
    auto index = Index::create(kDirectory, {.dimensions = kWide}, options);
    ASSERT_TRUE(index.ok());
    for (std::uint64_t id = 1; id <= 30; ++id) write(**index, id);
    ASSERT_TRUE((*index)->checkpoint().ok());
    buffers = (*index)->statistics().read_buffer_bytes;
  }
  const auto files = storage.files(kDirectory);
  storage.flip(std::filesystem::path(kDirectory) / files.lower_bound("part-")->first, 7 * 1024 + 9);
  options.memory = make_memory_budget(buffers + (1 << 20));
  auto index = Index::open(kDirectory, options);
  ASSERT_TRUE(index.ok()) << index.error().message;
  EXPECT_EQ((*index)->statistics().vector_bytes_in_memory, 0U);
  const std::vector<std::uint64_t> unknown{77};
  ASSERT_TRUE((*index)->erase(unknown, {}).ok());  // needs none of them
  EXPECT_EQ((*index)->statistics().vector_bytes_in_memory, 0U);
  const auto expect_all = [&](std::uint64_t last, std::uint64_t damaged = 1) {
    const IndexStatistics s = (*index)->statistics();
    EXPECT_GT(s.vector_bytes_in_memory, 0U);
    EXPECT_EQ(s.damaged_rows, damaged);
    EXPECT_EQ(s.rows, last - 1);
    for (std::uint64_t id = 1; id <= last; ++id) {
      const auto answer = (*index)->search(vector_of(id), {.k = 1, .filter = {}, .call = {}});
      EXPECT_EQ(answer->hits[0][0].id == id, id != 8) << id;
    }
  };
  write(**index, 31);
  expect_all(31);
  index = Error();
  index = Index::open(kDirectory, options);  // the log's row comes behind them, too
  ASSERT_TRUE(index.ok()) << index.error().message;
  expect_all(31);
  write(**index, 32);
  expect_all(32);
  ASSERT_TRUE((*index)->checkpoint().ok());
  index = Error();
  // With room they are loaded at once; the damaged row was written down as dead.
  options.memory = nullptr;
  index = Index::open(kDirectory, options);
  ASSERT_TRUE(index.ok()) << index.error().message;
  expect_all(32, 0);
}

/// Remembers every state a row ever had, as columns without locks do.
class HoardingColumns final : public AttributeColumns {
 public:
  bool set(std::uint32_t ordinal, std::span<const std::byte> bytes) override {
    auto& row = rows_[ordinal];
    if (!row.empty()) ++superseded_;
    row.assign(bytes.begin(), bytes.end());
    return true;
  }
  void get(std::uint32_t ordinal, std::vector<std::byte>& out) const override {
    const auto row = rows_.find(ordinal);
    out = row != rows_.end() ? row->second : std::vector<std::byte>();
  }
  [[nodiscard]] std::uint64_t bytes_in_memory() const override { return superseded_ * 1000; }
  [[nodiscard]] std::uint64_t superseded() const override { return superseded_; }

 private:
  std::map<std::uint32_t, std::vector<std::byte>> rows_;
  std::uint64_t superseded_ = 0;
};

class HoardingFormat final : public AttributeFormat {
 public:
  [[nodiscard]] Status check(std::span<const std::byte> /*bytes*/) const override { return {}; }
  [[nodiscard]] std::unique_ptr<AttributeColumns> make_columns() const override {
    return std::make_unique<HoardingColumns>();
  }
};

TEST(Upkeep, AttributesThatChangeForEverDoNotFillMemory) {
  SimulatedStorage storage(1);
  IndexOptions options = quiet(storage);
  options.attributes = std::make_shared<HoardingFormat>();
  auto index = Index::create(kDirectory, {.dimensions = 2}, options);
  ASSERT_TRUE(index.ok());
  const std::vector<float> vector{1, 2};
  std::vector<AttributeChange> changes;
  std::string text = "0";
  for (std::uint64_t id = 1; id <= 100; ++id) {
    const Row row{id, vector, as_bytes(text)};
    ASSERT_TRUE((*index)->upsert({&row, 1}, {}).ok());
    changes.push_back({id, as_bytes(text)});
  }
  std::uint64_t largest = 0;
  for (int round = 1; round <= 150; ++round) {
    text[0] = static_cast<char>('a' + round % 26);
    ASSERT_TRUE((*index)->update_attributes(changes, {}).ok());
    largest = std::max(largest, (*index)->statistics().bytes_in_memory);
  }
  EXPECT_GT(largest, 3'000'000U);
  EXPECT_LT(largest, 10'000'000U);  // 15,000 changes were made
  EXPECT_EQ((*index)->snapshot().rows(), 100U);
}

}  // namespace
}  // namespace similis::engine
