// Every k-th bit of every file is flipped in turn. SIMILIS_FLIP_STEP=1 flips them all.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>

#include "engine/index.h"
#include "engine/storage/format.h"
#include "engine/storage/simulated_storage_test.h"
#include "engine/support_test.h"

namespace similis::engine {
namespace {

class VerifyTest : public testing::Test {
 protected:
  static constexpr const char* kDirectory = "index";
  static constexpr std::uint32_t kDimensions = 70;  // three vectors a slot, padding behind each

  VerifyTest() {
    options_.background = false;
    options_.threads = 1;
    options_.storage = &storage_;
    options_.segment_rows = 60;
    options_.graph_rows_min = 40;
  }

  /// Sealed and open segments, a graph with copies and a zero, changes, logs that are full, cut
  /// short by the next, and marked.
  void fill() {
    auto index =
        Index::create(kDirectory, {kDimensions, Metric::cosine, IndexKind::graph}, options_);
    ASSERT_TRUE(index.ok());
    std::uint64_t next = 1;
    std::vector<float> copied;
    const auto put = [&](std::uint64_t count) {
      for (std::uint64_t i = 0; i < count; ++i) {
        auto vector = random_vector(random_, kDimensions);
        if (next == 20) copied = vector;
        if (next == 30 || next == 40) vector = copied;
        if (next == 50) vector.assign(kDimensions, 0);
        const std::string attributes(random_() % 30, 'x');
        const Row row{next++, vector, as_bytes(attributes)};
        ASSERT_TRUE((*index)->upsert({&row, 1}, {}).ok());
      }
    };
    put(70);
    ASSERT_TRUE((*index)->checkpoint().ok());  // sealed
    put(10);
    const std::vector<std::uint64_t> gone{3, 5, 75};
    ASSERT_TRUE((*index)->erase(gone, {}).ok());
    const AttributeChange change{7, as_bytes("changed")};
    ASSERT_TRUE((*index)->update_attributes({&change, 1}, {}).ok());
    ASSERT_TRUE((*index)->checkpoint().ok());  // a part of changes, one of rows
    // No more of graphs: their checkpoints would take the logs away.
    options_.graph_rows_min = 4000;
    index = Error();
    index = Index::open(kDirectory, options_);
    ASSERT_TRUE(index.ok()) << index.error().message;
    put(3);
    storage_.crash();  // one log with an uncertain end, written anew at opening
    index = Index::open(kDirectory, options_);
    ASSERT_TRUE(index.ok()) << index.error().message;
    put(4);
    ASSERT_TRUE((*index)->close().ok());
    index = Error();
    const auto damage = Index::verify(kDirectory, {}, &storage_);
    ASSERT_TRUE(damage.ok()) << damage.error().message;
    ASSERT_TRUE(damage->empty()) << damage->front().file << ": " << damage->front().what;
  }

  /// Ids and vectors; empty when opening fails.
  std::vector<std::pair<std::uint64_t, std::vector<float>>> content() {
    std::vector<std::pair<std::uint64_t, std::vector<float>>> out;
    const auto index = Index::open(kDirectory, options_);
    if (!index.ok()) return out;
    const auto ids = (*index)->snapshot().scan_ids(0, 1000, {});
    const auto vectors = (*index)->fetch(*ids, {});
    for (std::size_t i = 0; i < ids->size(); ++i) out.push_back({(*ids)[i], (*vectors)[i]});
    return out;
  }

  std::mt19937_64 random_{7};
  SimulatedStorage storage_{7};
  IndexOptions options_;
};

TEST_F(VerifyTest, FindsEveryFlippedBit) {
  fill();
  const char* text = std::getenv("SIMILIS_FLIP_STEP");
  const std::size_t step = text == nullptr ? 997 : std::strtoull(text, nullptr, 10);
  const auto files = storage_.files(kDirectory);
  std::set<std::string> kinds;
  for (const auto& [name, bytes] : files) kinds.insert(name.substr(0, name.find('-')));
  ASSERT_EQ(kinds, (std::set<std::string>{"MANIFEST", "derived", "part", "wal"}));
  const auto truth = content();
  ASSERT_EQ(truth.size(), 84U);
  std::size_t flips = 0, refused = 0, without_rows = 0;
  std::set<std::uint64_t> offsets;  // of damage
  for (const auto& [name, original] : files) {
    // The opening in content() made no change: nothing was written since the log was marked.
    ASSERT_EQ(storage_.files(kDirectory).at(name), original);
    for (std::size_t bit = flips % step; bit < original.size() * 8; bit += step, ++flips) {
      auto damaged = original;
      damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      storage_.replace(std::filesystem::path(kDirectory) / name, damaged);
      const auto found = Index::verify(kDirectory, {}, &storage_);
      ASSERT_TRUE(found.ok()) << found.error().message;
      ASSERT_FALSE(found->empty()) << name << " bit " << bit;
      ASSERT_EQ(found->front().file, name) << "bit " << bit;
      ASSERT_LE(found->front().offset, bit / 8) << name;
      offsets.insert(found->front().offset);
      // Opening never serves the damage: it refuses, or goes without the rows of the one slot, or
      // the bit was none that it rests on.
      if (flips % 7 == 0) {
        const auto served = content();
        if (served.empty()) {
          ++refused;
        } else {
          ASSERT_GE(served.size() + 3, truth.size()) << name << " bit " << bit;
          ASSERT_TRUE(std::includes(truth.begin(), truth.end(), served.begin(), served.end()))
              << name << " bit " << bit;
          without_rows += served.size() < truth.size() ? 1 : 0;
        }
        // Opening may have written the log's end anew.
        for (const auto& [other, bytes] : storage_.files(kDirectory))
          if (!files.contains(other)) {
            ASSERT_TRUE(storage_.remove(std::filesystem::path(kDirectory) / other).ok());
          }
        for (const auto& [other, bytes] : files)
          storage_.replace(std::filesystem::path(kDirectory) / other, bytes);
      }
    }
    storage_.replace(std::filesystem::path(kDirectory) / name, original);
  }
  EXPECT_GT(flips, 100U);
  EXPECT_GT(offsets.size(), 20U);
  EXPECT_GT(refused, 10U);
  EXPECT_GT(without_rows, 10U);
}

// The same of rows that a graph leads to, with nothing written meanwhile: a damaged row is not
// served, and those of equal bytes to it are found all the same.
TEST_F(VerifyTest, ADamagedVectorOfAGraphGivesWayToItsCopies) {
  constexpr std::uint32_t kWide = 300;  // a vector a slot of 1024 bytes
  constexpr std::uint64_t kRows = 2000, kCopies = 20;
  for (const bool streamed : {false, true}) {
    SCOPED_TRACE(streamed ? "on disk only" : "in memory");
    SimulatedStorage storage(4);
    IndexOptions options = options_;
    options.storage = &storage;
    options.segment_rows = kRows + kCopies;
    options.graph_rows_min = 200;
    std::vector<std::vector<float>> vectors;
    std::uint64_t tables = 0;
    {
      auto index = Index::create(kDirectory, {kWide, Metric::cosine, IndexKind::graph}, options);
      ASSERT_TRUE(index.ok());
      std::vector<Row> rows;
      for (std::uint64_t i = 0; i < kRows; ++i) vectors.push_back(random_vector(random_, kWide));
      for (std::uint64_t i = 0; i < kRows; ++i) rows.push_back({i + 1, vectors[i], {}});
      for (std::uint64_t i = 1; i <= kCopies; ++i) rows.push_back({kRows + i, vectors[49], {}});
      ASSERT_TRUE((*index)->upsert(rows, {}).ok());
      ASSERT_TRUE((*index)->build_graphs({}).ok());
      const IndexStatistics s = (*index)->statistics();
      const Geometry geometry(kWide);
      const std::uint64_t chunks = (s.rows + geometry.chunk_rows - 1) / geometry.chunk_rows;
      tables = s.bytes_in_memory - chunks * geometry.chunk_bytes() + s.read_buffer_bytes;
      ASSERT_EQ(s.graph_rows, kRows + kCopies);
    }
    auto files = storage.files(kDirectory);
    const auto part = files.lower_bound("part-");
    for (const std::size_t ordinal : {49, 99}) part->second[ordinal * 1024 + 5] ^= std::byte{16};
    storage.replace(std::filesystem::path(kDirectory) / part->first, part->second);
    if (streamed) options.memory = make_memory_budget(tables + (64 << 10));
    auto opened = Index::open(kDirectory, options);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    Index& index = **opened;
    ASSERT_EQ(index.statistics().graph_rows, kRows + kCopies);
    ASSERT_EQ(index.statistics().vector_bytes_in_memory == 0, streamed);
    for (int times = 0; times < 2; ++times) {
      const auto alone = index.search(vectors[99], {.k = 10, .filter = {}, .call = {}});
      ASSERT_TRUE(alone.ok()) << alone.error().message;
      for (const Hit& hit : alone->hits[0]) EXPECT_NE(hit.id, 100U);
      const auto copied = index.search(vectors[49], {.k = 10, .filter = {}, .call = {}});
      ASSERT_TRUE(copied.ok()) << copied.error().message;
      ASSERT_EQ(copied->hits[0].size(), 10U);
      for (std::size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(copied->hits[0][i].id, kRows + 1 + i);
        EXPECT_NEAR(copied->hits[0][i].score, 1, 1e-3);
      }
    }
    EXPECT_EQ(index.statistics().damaged_rows, 2U);
  }
}

// A damaged vector costs its row and nothing else, in memory or on disk only; written again, all is
// well, and compaction takes the damage away.
TEST_F(VerifyTest, ADamagedVectorCountsAsErased) {
  for (const bool streamed : {false, true}) {
    SCOPED_TRACE(streamed ? "on disk only" : "in memory");
    SimulatedStorage storage(3);
    IndexOptions options = options_;
    options.storage = &storage;
    options.segment_rows = 1000000;
    constexpr std::uint32_t kWide = 300;   // a vector a slot of 1024 bytes
    constexpr std::uint64_t kRows = 6000;  // more than a chunk: the first can leave memory
    std::vector<std::vector<float>> vectors;
    {
      auto index = Index::create(kDirectory, {kWide, Metric::cosine, IndexKind::flat}, options);
      ASSERT_TRUE(index.ok());
      std::vector<Row> rows;
      for (std::uint64_t i = 0; i < kRows; ++i) vectors.push_back(random_vector(random_, kWide));
      for (std::uint64_t i = 0; i < kRows; ++i) rows.push_back({i + 1, vectors[i], {}});
      ASSERT_TRUE((*index)->upsert(rows, {}).ok());
      ASSERT_TRUE((*index)->checkpoint().ok());
    }
    auto files = storage.files(kDirectory);
    const auto part = files.lower_bound("part-");
    part->second[99 * 1024 + 5] ^= std::byte{16};  // id 100
    storage.replace(std::filesystem::path(kDirectory) / part->first, part->second);
    if (streamed) options.memory = make_memory_budget(5 << 20);
    auto opened = Index::open(kDirectory, options);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    Index& index = **opened;
    EXPECT_EQ(index.statistics().damaged_rows, streamed ? 0U : 1U);
    EXPECT_EQ(index.statistics().vector_bytes_on_disk_only > 0, streamed);
    const Snapshot before = index.snapshot();
    const Row same{kRows, vectors[kRows - 1], {}};
    ASSERT_TRUE(index.upsert({&same, 1}, {}).ok());
    for (int times = 0; times < 2; ++times) {
      const auto answer = index.search(vectors[99], {.k = 1000, .filter = {}, .call = {}});
      ASSERT_TRUE(answer.ok()) << answer.error().message;
      ASSERT_EQ(answer->hits[0].size(), 1000U);
      for (const Hit& hit : answer->hits[0]) EXPECT_NE(hit.id, 100U);
    }
    EXPECT_EQ(index.statistics().damaged_rows, 1U);
    EXPECT_EQ(index.statistics().rows, kRows - 1);
    const std::vector<std::uint64_t> around{99, 100, 101};
    const auto fetched = index.fetch(around, {});
    EXPECT_FALSE((*fetched)[0].empty());
    EXPECT_TRUE((*fetched)[1].empty());
    EXPECT_EQ(index.snapshot().scan_ids(98, 3, {}).value(),
              (std::vector<std::uint64_t>{99, 101, 102}));
    // Also a snapshot from before the damage was noticed goes without the row.
    EXPECT_EQ(before.scan_ids(98, 3, {}).value(), (std::vector<std::uint64_t>{99, 101, 102}));
    auto damage = index.verify({});
    ASSERT_EQ(damage->size(), 1U);
    EXPECT_EQ(damage->front().offset, 99U * 1024);
    const Row again{100, vectors[99], {}};
    ASSERT_TRUE(index.upsert({&again, 1}, {}).ok());
    EXPECT_EQ(index.search(vectors[99], {}).value().hits[0][0].id, 100U);
    ASSERT_TRUE(index.compact({}).ok());
    damage = index.verify({});
    EXPECT_TRUE(damage->empty());
    EXPECT_EQ(index.statistics().rows, kRows);
  }
}

// Of a log that another one follows, too, the mark at its end and the log itself.
TEST_F(VerifyTest, FindsDamagedMarksAndMissingLogs) {
  for (std::uint64_t id = 1; id <= 2; ++id) {
    auto index =
        id == 1 ? Index::create(kDirectory, {kDimensions, Metric::l2, IndexKind::flat}, options_)
                : Index::open(kDirectory, options_);
    ASSERT_TRUE(index.ok());
    const auto vector = random_vector(random_, kDimensions);
    const Row row{id, vector, {}};
    ASSERT_TRUE((*index)->upsert({&row, 1}, {}).ok());
    ASSERT_TRUE((*index)->close().ok());
  }
  const auto files = storage_.files(kDirectory);
  const auto first = files.lower_bound("wal-");
  ASSERT_TRUE(std::next(first)->first.starts_with("wal-"));
  const auto path = std::filesystem::path(kDirectory) / first->first;
  const std::size_t mark = first->second.size() - sizeof(WalRecordHeader);
  for (std::size_t at = mark; at < first->second.size(); ++at) {
    auto damaged = first->second;
    damaged[at] ^= std::byte{4};
    storage_.replace(path, damaged);
    const auto found = Index::verify(kDirectory, {}, &storage_);
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->size(), 1U) << at;
    EXPECT_EQ(found->front().file, first->first);
    EXPECT_EQ(found->front().offset, mark);
  }
  ASSERT_TRUE(storage_.remove(path).ok());
  EXPECT_FALSE(Index::open(kDirectory, options_).ok());
  const auto found = Index::verify(kDirectory, {}, &storage_);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().file, std::next(first)->first);
}

TEST_F(VerifyTest, FindsMissingAndShortenedFiles) {
  fill();
  const auto files = storage_.files(kDirectory);
  for (const auto& [name, original] : files) {
    SCOPED_TRACE(name);
    const auto path = std::filesystem::path(kDirectory) / name;
    if (name != "MANIFEST" && name != files.rbegin()->first) {  // the last log may be absent
      ASSERT_TRUE(storage_.remove(path).ok());
      const auto found = Index::verify(kDirectory, {}, &storage_);
      ASSERT_TRUE(found.ok());
      // A log that is gone shows in the one before it only when that one does not reach as far; of
      // the first one's see above.
      if (name.starts_with("part-")) {
        EXPECT_FALSE(found->empty());
      }
    }
    auto shortened = original;
    shortened.pop_back();
    storage_.replace(path, shortened);
    const auto found = Index::verify(kDirectory, {}, &storage_);
    ASSERT_TRUE(found.ok());
    EXPECT_FALSE(found->empty());
    storage_.replace(path, original);
  }
}

// What memory still has is written anew: a vector, a graph.
TEST_F(VerifyTest, AnOpenIndexMendsWhatItHasInMemory) {
  options_.segment_rows = 1000;
  auto index = Index::create(kDirectory, {kDimensions, Metric::l2, IndexKind::graph}, options_);
  ASSERT_TRUE(index.ok());
  std::vector<std::vector<float>> vectors;
  std::vector<Row> rows;
  for (std::uint64_t i = 0; i < 300; ++i) vectors.push_back(random_vector(random_, kDimensions));
  for (std::uint64_t i = 0; i < 300; ++i) rows.push_back({i + 1, vectors[i], {}});
  ASSERT_TRUE((*index)->upsert(rows, {}).ok());
  ASSERT_TRUE((*index)->build_graphs({}).ok());
  for (const char* prefix : {"part-", "derived-"}) {
    SCOPED_TRACE(prefix);
    const auto files = storage_.files(kDirectory);
    const auto file = files.lower_bound(prefix);
    ASSERT_TRUE(file->first.starts_with(prefix));
    storage_.flip(std::filesystem::path(kDirectory) / file->first, 5000);
    auto found = (*index)->verify({});
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->size(), 1U);
    EXPECT_EQ(found->front().file, file->first);
    EXPECT_GT(found->front().offset, 0U);
    const Row more{1000, vectors[0], {}};  // who writes keeps it in shape, without a thread
    ASSERT_TRUE((*index)->upsert({&more, 1}, {}).ok());
    ASSERT_TRUE((*index)->optimize({}).ok());
    ASSERT_TRUE((*index)->checkpoint().ok());
    found = (*index)->verify({});
    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(found->empty()) << found->front().file << ": " << found->front().what;
    const auto now = storage_.files(kDirectory);
    EXPECT_FALSE(now.contains(file->first));
    EXPECT_TRUE(now.lower_bound("derived-")->first.starts_with("derived-"));
    const IndexStatistics s = (*index)->statistics();
    EXPECT_EQ(s.damaged_rows, 0U);
    EXPECT_EQ(s.rows, 301U);
    EXPECT_GE(s.graph_rows, 300U);
  }
  // A log: its rows are in parts from then on.
  const Row last{1001, vectors[0], {}};
  ASSERT_TRUE((*index)->upsert({&last, 1}, {}).ok());
  const auto log = storage_.files(kDirectory).rbegin()->first;
  ASSERT_TRUE(log.starts_with("wal-"));
  storage_.flip(std::filesystem::path(kDirectory) / log, 100);
  EXPECT_EQ((*index)->verify({})->size(), 1U);
  EXPECT_TRUE((*index)->verify({})->empty());
  // And the manifest.
  storage_.flip(std::filesystem::path(kDirectory) / "MANIFEST", 60);
  EXPECT_EQ((*index)->verify({})->size(), 1U);
  EXPECT_TRUE((*index)->verify({})->empty());
  ASSERT_TRUE((*index)->close().ok());
  index = Error();
  index = Index::open(kDirectory, options_);
  ASSERT_TRUE(index.ok()) << index.error().message;
  EXPECT_EQ((*index)->statistics().rows, 302U);
  EXPECT_GE((*index)->statistics().graph_rows, 300U);
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const std::uint64_t id = i + 1;
    EXPECT_EQ((*index)->fetch({&id, 1}, {}).value().front(), through_half(vectors[i]));
  }
}

// While graphs are made and segments compacted, and while searches go on.
TEST_F(VerifyTest, AnOpenIndexMendsBesideItsMaintenance) {
  options_.segment_rows = 150;
  options_.background = true;
  auto index = Index::create(kDirectory, {kDimensions, Metric::l2, IndexKind::graph}, options_);
  ASSERT_TRUE(index.ok());
  std::vector<std::vector<float>> vectors;
  for (std::uint64_t i = 0; i < 400; ++i) vectors.push_back(random_vector(random_, kDimensions));
  for (std::uint64_t i = 0; i < 400; ++i) {
    const Row row{i + 1, vectors[i], {}};
    ASSERT_TRUE((*index)->upsert({&row, 1}, {}).ok());
  }
  ASSERT_TRUE((*index)->build_graphs({}).ok());
  std::atomic<bool> stop{false};
  std::thread keeper([&] {
    while (!stop) {
      EXPECT_TRUE((*index)->build_graphs({}).ok());
      EXPECT_TRUE((*index)->compact({}).ok());
    }
  });
  std::size_t found = 0;
  for (int i = 0; i < 20; ++i) {
    const auto files = storage_.files(kDirectory);
    const auto file = files.lower_bound(i % 2 == 0 ? "derived-" : "part-");
    if (file == files.end()) continue;
    try {
      storage_.flip(std::filesystem::path(kDirectory) / file->first, 4000);
    } catch (const std::out_of_range&) {  // it has been replaced meanwhile
    }
    const auto damage = (*index)->verify({});
    EXPECT_TRUE(damage.ok());
    found += damage.ok() ? damage->size() : 0;
    EXPECT_EQ((*index)->search(vectors[7], {}).value().hits[0].size(), 10U);
  }
  stop = true;
  keeper.join();
  EXPECT_GT(found, 0U);
  ASSERT_TRUE((*index)->compact({}).ok());
  ASSERT_TRUE((*index)->checkpoint().ok());
  // What compaction had just written, and nothing had loaded yet, may be lost.
  const IndexStatistics s = (*index)->statistics();
  EXPECT_EQ(s.rows + s.damaged_rows, 400U);
}

TEST_F(VerifyTest, AnOpenIndexFindsItsOwnDamage) {
  fill();
  auto index = Index::open(kDirectory, options_);
  ASSERT_TRUE(index.ok());
  const std::vector<float> vector(kDimensions, 1.0F);
  const Row row{500, vector, {}};
  ASSERT_TRUE((*index)->upsert({&row, 1}, {}).ok());
  auto found = (*index)->verify({});
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->empty());
  const auto files = storage_.files(kDirectory);
  const auto& [name, original] = *files.rbegin();  // the log being written, which has no mark yet
  ASSERT_TRUE(name.starts_with("wal-"));
  auto damaged = original;
  damaged.back() ^= std::byte{1};
  storage_.replace(std::filesystem::path(kDirectory) / name, damaged);
  found = (*index)->verify({});
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().file, name);
}

}  // namespace
}  // namespace similis::engine
