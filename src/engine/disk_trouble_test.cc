// Disks that are out of reach, bad in places or full, and folders that lack a file: what is stored
// stays stored.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <new>
#include <thread>

#include "engine/index.h"
#include "engine/storage/format.h"
#include "engine/storage/simulated_storage_test.h"
#include "engine/support_test.h"
#include "engine/thread_pool.h"

namespace similis::engine {
namespace {

constexpr const char* kDirectory = "index";
constexpr std::uint32_t kWide = 300;  // a vector a slot of 1024 bytes
constexpr std::uint64_t kSlot = 1024;
constexpr std::uint64_t kRows = 2200;  // of a full segment, whose vectors can leave memory

bool is_part(const std::string& name) {
  return name.starts_with("part-");
}

class DiskTroubleTest : public testing::TestWithParam<IndexKind> {
 protected:
  DiskTroubleTest() {
    options_.background = false;
    options_.threads = 2;
    options_.storage = &storage_;
    options_.graph_rows_min = 1000;
    options_.segment_rows = kRows;
  }

  /// The files of an index of kRows rows in parts, with a graph where its kind has one.
  struct Made {
    std::map<std::string, std::vector<std::byte>> files;
    std::vector<std::vector<float>> vectors;
    std::uint64_t tables = 0;
  };
  static const Made& made(IndexKind kind) {
    static std::map<IndexKind, Made> all;
    if (const auto found = all.find(kind); found != all.end()) return found->second;
    Made& out = all[kind];
    SimulatedStorage storage(2);
    IndexOptions options;
    options.background = false;
    options.storage = &storage;
    options.graph_rows_min = 1000;
    options.segment_rows = kRows;
    auto index = Index::create(kDirectory, {kWide, Metric::cosine, kind}, options);
    EXPECT_TRUE(index.ok());
    std::mt19937_64 random(11);
    std::vector<std::vector<float>> centres;
    for (int i = 0; i < 20; ++i) centres.push_back(random_vector(random, kWide));
    std::vector<Row> rows;
    for (std::uint64_t i = 0; i < kRows; ++i) {
      out.vectors.push_back(random_vector(random, kWide));
      for (std::uint32_t d = 0; d < kWide; ++d) out.vectors[i][d] += 2 * centres[i % 20][d];
    }
    for (std::uint64_t i = 0; i < kRows; ++i) rows.push_back({i + 1, out.vectors[i], {}});
    EXPECT_TRUE((*index)->upsert(rows, {}).ok());
    EXPECT_TRUE((*index)->checkpoint().ok());
    EXPECT_TRUE((*index)->build_graphs({}).ok());
    const IndexStatistics s = (*index)->statistics();
    EXPECT_EQ(s.graph_rows, kind == IndexKind::graph ? kRows : 0);
    const Geometry geometry(kWide);
    const std::uint64_t chunks = (kRows + geometry.chunk_rows - 1) / geometry.chunk_rows;
    out.tables = s.bytes_in_memory - chunks * geometry.chunk_bytes() + s.read_buffer_bytes;
    EXPECT_TRUE((*index)->close().ok());
    out.files = storage.files(kDirectory);
    return out;
  }

  /// Open, its vectors on disk alone.
  void SetUp() override {
    ASSERT_TRUE(storage_.make_directory(kDirectory).ok());
    for (const auto& [name, bytes] : made(GetParam()).files)
      storage_.replace(std::filesystem::path(kDirectory) / name, bytes);
    options_.memory = make_memory_budget(made(GetParam()).tables + (256 << 10));
    auto opened = Index::open(kDirectory, options_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    index_ = std::move(opened).value();
    ASSERT_EQ(index_->statistics().rows, kRows);
    ASSERT_GT(index_->statistics().vector_bytes_on_disk_only, 0U);
  }

  /// The ids found for a row, itself among them unless it is lost. By the graph, or by comparing.
  Result<std::vector<std::uint64_t>> find(std::uint64_t id) {
    ASSIGN_OR_RETURN(const auto answer, index_->search(vectors_[id - 1], {.reach = 1, .doubt = 4}));
    std::vector<std::uint64_t> ids;
    for (const Hit& hit : answer.hits[0]) ids.push_back(hit.id);
    return ids;
  }
  static CallOptions soon() {
    return {std::chrono::steady_clock::now() + std::chrono::seconds(20), {}};
  }

  SimulatedStorage storage_{3};
  IndexOptions options_;
  const std::vector<std::vector<float>>& vectors_ = made(GetParam()).vectors;
  std::unique_ptr<Index> index_;
};

TEST_P(DiskTroubleTest, ADiskOutOfReachLosesNothing) {
  const auto before = find(100);
  ASSERT_TRUE(before.ok());
  const std::uint64_t id = 100;
  // But for the ends of files, which a page cache has kept.
  const auto files = storage_.files(kDirectory);
  const SimulatedStorage::WhichReads out_of_reach = [&](const std::string& name, std::uint64_t,
                                                        std::uint64_t end, bool cached) {
    const auto file = files.find(name);  // what is new has just been written
    return is_part(name) && file != files.end() && (!cached || end != file->second.size());
  };
  storage_.fail_reads(out_of_reach);
  const auto lost = find(100);
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, ErrorCode::io_error);
  const auto fetched = index_->fetch({&id, 1}, {});
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code, ErrorCode::io_error);
  const std::uint64_t gone = kRows;
  storage_.fail_reads(nullptr);
  ASSERT_TRUE(index_->erase({&gone, 1}, {}).ok());
  ASSERT_TRUE(index_->checkpoint().ok());
  storage_.fail_reads(out_of_reach);
  const auto names = storage_.list(kDirectory).value();
  const Status compacted = index_->compact({});
  ASSERT_FALSE(compacted.ok());
  EXPECT_EQ(compacted.error().code, ErrorCode::io_error);
  const auto parts_of = [](std::vector<std::string> some) {
    std::erase_if(some, [](const auto& name) { return !is_part(name); });
    std::ranges::sort(some);
    return some;
  };
  EXPECT_EQ(parts_of(storage_.list(kDirectory).value()), parts_of(names));
  const auto verified = index_->verify({});
  ASSERT_FALSE(verified.ok());
  EXPECT_EQ(verified.error().code, ErrorCode::io_error);
  EXPECT_EQ(index_->statistics().rows, kRows - 1);
  EXPECT_EQ(index_->statistics().damaged_rows, 0U);

  storage_.fail_reads(nullptr);
  const auto after = find(100);
  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_EQ(*after, *before);
  ASSERT_TRUE(index_->compact({}).ok());
  EXPECT_EQ(index_->statistics().rows, kRows - 1);
  EXPECT_EQ(index_->statistics().damaged_rows, 0U);
  EXPECT_TRUE(index_->verify({})->empty());
}

TEST_P(DiskTroubleTest, ABadSectorCostsItsRowAlone) {
  constexpr std::uint64_t kBad = 100, kAt = (kBad - 1) * kSlot;
  storage_.fail_reads([](const std::string& name, std::uint64_t begin, std::uint64_t end, bool) {
    return is_part(name) && begin < kAt + kSlot && end > kAt;
  });
  for (int times = 0; times < 2; ++times) {
    for (const std::uint64_t id : {kBad - 1, kBad, kBad + 1}) {
      const auto found = find(id);
      ASSERT_TRUE(found.ok()) << found.error().message;
      EXPECT_EQ(found->size(), 10U);
      EXPECT_EQ(std::ranges::count(*found, id), id == kBad ? 0 : 1) << id;
    }
  }
  EXPECT_EQ(index_->statistics().damaged_rows, 1U);
  EXPECT_EQ(index_->statistics().rows, kRows - 1);
  EXPECT_EQ(index_->verify({})->size(), 1U);
}

TEST_P(DiskTroubleTest, AReadThatFailsOnceIsMadeAgain) {
  const auto before = find(100);
  ASSERT_TRUE(before.ok());
  std::atomic<bool> failed{false};
  storage_.fail_reads(
      [&](const std::string& name, auto...) { return is_part(name) && !failed.exchange(true); });
  const auto after = find(100);
  EXPECT_TRUE(failed);
  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_EQ(*after, *before);
  EXPECT_EQ(index_->statistics().damaged_rows, 0U);
}

// Where its file would not fit the disk is left as it is, and other work goes on.
TEST_P(DiskTroubleTest, CompactingWaitsForRoom) {
  std::vector<std::uint64_t> gone;
  for (std::uint64_t id = 1; id <= kRows / 2; ++id) gone.push_back(id);
  storage_.set_free_bytes(2 << 20);
  ASSERT_TRUE(index_->erase(gone, {}).ok());  // more than a quarter: due at once
  EXPECT_EQ(index_->statistics().dead_rows, gone.size());
  ASSERT_TRUE(index_->checkpoint().ok());
  const auto names = storage_.list(kDirectory).value();
  const Status refused = index_->compact({});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(refused.error().message.find("2097152 are free"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(storage_.list(kDirectory).value(), names);
  EXPECT_TRUE(find(kRows).ok());
  // Once there is room it is done by itself, after a while.
  storage_.set_free_bytes(UINT64_MAX);
  const Row row{1, vectors_[0], {}};
  for (int i = 0; i < 200 && index_->statistics().dead_rows >= gone.size(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ASSERT_TRUE(index_->upsert({&row, 1}, soon()).ok());
  }
  EXPECT_LT(index_->statistics().dead_rows, gone.size());
}

// Nor is a file left behind when memory runs out.
TEST_P(DiskTroubleTest, CompactingWithoutMemoryLeavesNothingBehind) {
  const std::uint64_t gone = 5;
  ASSERT_TRUE(index_->erase({&gone, 1}, {}).ok());
  ASSERT_TRUE(index_->checkpoint().ok());
  for (const char* file : {"part-", "derived-"}) {
    if (GetParam() == IndexKind::flat && file[0] == 'd') continue;
    SCOPED_TRACE(file);
    const auto parts = [&] {
      auto names = storage_.list(kDirectory).value();
      std::erase_if(names, [](const auto& name) { return !is_part(name); });
      return names.size();
    };
    const std::size_t before = parts();
    storage_.on_next_sync(file, [] { throw std::bad_alloc(); });
    const Status status = index_->compact({});
    const bool is_graphs = file[0] == 'd';
    EXPECT_EQ(status.ok(), is_graphs);  // a graph is made later
    if (!status.ok()) {
      EXPECT_EQ(status.error().code, ErrorCode::resource_exhausted);
    }
    EXPECT_LE(parts(), before);
    EXPECT_EQ(index_->statistics().rows, kRows - 1);
    EXPECT_TRUE(index_->verify({})->empty());
  }
  ASSERT_TRUE(index_->compact({}).ok());
  ASSERT_TRUE(index_->build_graphs({}).ok());
  EXPECT_TRUE(find(100).ok());
}

// A manifest that is gone makes no new index of the folder: its vectors are still there.
TEST_P(DiskTroubleTest, WithoutItsManifestNothingIsThrownAway) {
  ASSERT_TRUE(index_->close().ok());
  index_.reset();
  const auto manifest = storage_.files(kDirectory).at("MANIFEST");
  const auto path = std::filesystem::path(kDirectory) / "MANIFEST";
  ASSERT_TRUE(storage_.remove(path).ok());
  const auto names = storage_.list(kDirectory).value();
  EXPECT_EQ(Index::open(kDirectory, options_).error().code, ErrorCode::corruption);
  const auto damage = Index::verify(kDirectory, {}, &storage_);
  ASSERT_TRUE(damage.ok());
  ASSERT_EQ(damage->size(), 1U);
  EXPECT_EQ(damage->front().file, "MANIFEST");
  const auto created = Index::create(kDirectory, {kWide, Metric::cosine, GetParam()}, options_);
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.error().code, ErrorCode::corruption);
  EXPECT_EQ(storage_.list(kDirectory).value(), names);
  storage_.replace(path, manifest);
  auto opened = Index::open(kDirectory, options_);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ((*opened)->statistics().rows, kRows);
}

INSTANTIATE_TEST_SUITE_P(Kinds, DiskTroubleTest, testing::Values(IndexKind::flat, IndexKind::graph),
                         [](const auto& kind) {
                           return kind.param == IndexKind::flat ? "Flat" : "Graph";
                         });

// A creation that was interrupted is made good by the next one.
TEST(DiskTrouble, AnInterruptedCreationIsMadeAgain) {
  SimulatedStorage storage(1);
  IndexOptions options;
  options.background = false;
  options.storage = &storage;
  for (std::uint64_t after = 0; after < 12; ++after) {
    SCOPED_TRACE(after);
    const std::string directory = "index" + std::to_string(after);
    storage.schedule(SimulatedStorage::Fault::power, after);
    auto index = Index::create(directory, {.dimensions = 3}, options);
    const bool done = index.ok();
    index = Error();
    storage.clear_faults();
    storage.crash();
    index = Index::open(directory, options);
    if (!done && !index.ok()) index = Index::create(directory, {.dimensions = 3}, options);
    ASSERT_TRUE(index.ok()) << index.error().message;
  }
}

// Whoever writes while another call compacts, and maintenance waits for its turn to do so, makes
// the checkpoints himself once the log is long.
TEST(DiskTrouble, WritersDoNotWaitForACompaction) {
  SimulatedStorage storage(1);
  IndexOptions options;
  options.storage = &storage;
  options.threads = 1;
  options.checkpoint_log_bytes = 1 << 10;
  auto created = Index::create(kDirectory, {.dimensions = 64}, options);
  ASSERT_TRUE(created.ok());
  Index& index = **created;
  const std::vector<float> vectors(200 * 64, 1.0F);
  std::uint64_t next = 1;
  const auto write = [&] {
    std::vector<Row> rows;
    for (std::size_t i = 0; i < 200; ++i)
      rows.push_back({next++, std::span(vectors).subspan(i * 64, 64), {}});
    return index.upsert(rows, {std::chrono::steady_clock::now() + std::chrono::seconds(20), {}});
  };
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(write().ok());
  std::vector<std::uint64_t> gone;
  for (std::uint64_t id = 1; id <= 1200; ++id) gone.push_back(id);
  ASSERT_TRUE(index.erase({gone.data(), 1}, {}).ok());
  ASSERT_TRUE(index.checkpoint().ok());
  int written = 0;
  std::string why;
  // Nothing else writes meanwhile: the next part is the compaction's.
  storage.on_next_sync("part-", [&] {
    ASSERT_TRUE(index.erase(gone, {}).ok());  // so many that maintenance is to compact
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    for (int i = 0; i < 20; ++i) {
      const auto result = write();
      written += result.ok() ? 1 : 0;
      if (result.ok()) continue;
      why = result.error().message;
      return;
    }
  });
  ASSERT_TRUE(index.compact({}).ok());
  EXPECT_EQ(written, 20) << why;
  EXPECT_EQ(index.statistics().rows, next - 1 - gone.size());
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// With fewer threads than wanted the work is done all the same. (Sanitizers need more memory than
// the limit leaves.)
TEST(DiskTroubleDeathTest, ThreadsTheSystemRefusesAreDoneWithout) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        rlimit limit{};
        ::getrlimit(RLIMIT_AS, &limit);
        limit.rlim_cur = 512 << 20;  // a thread's stack takes 8 MiB of it
        ::setrlimit(RLIMIT_AS, &limit);
        ThreadPool pool(500);
        std::atomic<int> calls{0};
        pool.run(500, [&] { ++calls; });
        ::_exit(calls >= 1 && calls < 500 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace similis::engine
