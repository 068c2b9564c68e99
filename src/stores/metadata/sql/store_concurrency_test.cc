#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "base/temporary_folder.h"
#include "base/test_expect.h"
#include "stores/metadata/sql/sqlite.h"

// Readers beside a writer, and a writer that is killed.
namespace similis {
namespace {

constexpr std::size_t kBatch = 50;

std::vector<PendingImage> batch_of(FolderId folder, int number) {
  std::vector<PendingImage> out;
  for (std::size_t i = 0; i < kBatch; ++i) {
    PendingImage image;
    image.folder = folder;
    image.name = std::to_string(number) + "_" + std::to_string(i);
    image.mtime_ns = number;
    image.facts.format = "jpeg";
    image.facts.content_hash[0] = static_cast<std::byte>(1 + i);
    image.facts.content_hash[1] = static_cast<std::byte>(number);
    out.push_back(std::move(image));
  }
  return out;
}

struct Opened {
  std::unique_ptr<MetadataStore> store;
  CollectionId collection = 0;
  IndexId index = 0;
  FolderId folder = 0;
};

Opened open_with_collection(const std::filesystem::path& file) {
  const Context ctx;
  Opened out;
  out.store = value_of(open_sqlite_metadata({.file = file}));
  if (const auto found = out.store->find_collection(ctx, "pictures"); found.ok()) {
    out.collection = found->id;
    out.index = found->active_index;
  } else {
    out.collection = value_of(out.store->create_collection(ctx, "pictures")).id;
    IndexInfo index;
    index.collection = out.collection;
    index.identity = "identity";
    index.dimensions = 4;
    out.index = value_of(out.store->create_index(ctx, index)).id;
  }
  out.folder = value_of(out.store->intern_folder(ctx, "/pictures"));
  return out;
}

/// One batch through its life. The token is the batch's number: each ready batch raises both the
/// epoch and the token by one.
Status write_batch(const Opened& opened, int number) {
  const Context ctx;
  auto pending = batch_of(opened.folder, number);
  TRY(opened.store->put_pending(ctx, opened.collection, opened.index, pending));
  std::vector<ReadyImage> ready;
  for (const auto& image : pending) ready.push_back({image.id, image.mtime_ns, image.facts, {}});
  return opened.store->mark_ready(ctx, opened.collection, opened.index, ready, number);
}

TEST(StoreConcurrency, ReadersSeeWholeBatchesWhileAWriterWrites) {
  const Context ctx;
  const TemporaryFolder folder;
  const Opened opened = open_with_collection(folder.path() / "similis.db");
  MetadataStore& store = *opened.store;
  const std::int64_t epoch_before = value_of(store.get_collection(ctx, opened.collection)).epoch;
  constexpr int kBatches = 40;
  std::atomic<bool> done = false;
  std::atomic<int> reads = 0;
  {
    std::vector<std::jthread> readers;
    for (int r = 0; r < 3; ++r) {
      readers.emplace_back([&, r] {
        std::int64_t last_epoch = 0;
        while (!done) {
          const auto collection = value_of(store.get_collection(ctx, opened.collection));
          EXPECT_EQ(collection.epoch - epoch_before, collection.token);  // read together
          EXPECT_GE(collection.epoch, last_epoch);
          last_epoch = collection.epoch;
          const auto counts = value_of(store.counts(ctx, opened.collection));
          EXPECT_EQ(counts.ready % static_cast<std::int64_t>(kBatch), 0);
          EXPECT_GE(counts.ready, collection.token * static_cast<std::int64_t>(kBatch));
          ListRequest request;
          request.collection = opened.collection;
          request.limit = 1000;
          request.sort = static_cast<ListSort>(r);
          const auto page = value_of(store.list_images(ctx, request));
          EXPECT_TRUE(!page.next_cursor.empty() || page.rows.size() % kBatch == 0);
          ++reads;
          if (testing::Test::HasFailure()) return;
        }
      });
    }
    for (int b = 1; b <= kBatches; ++b) EXPECT_THAT(write_batch(opened, b), IsOk());
    done = true;
  }
  EXPECT_GT(reads.load(), 0);
  EXPECT_EQ(value_of(store.counts(ctx, opened.collection)).ready,
            static_cast<std::int64_t>(kBatches * kBatch));
  EXPECT_TRUE(value_of(store.verify(ctx)).ok);
}

TEST(StoreConcurrency, WritersTakeTurns) {
  const Context ctx;
  const TemporaryFolder folder;
  const Opened opened = open_with_collection(folder.path() / "similis.db");
  {
    std::vector<std::jthread> writers;
    for (int w = 0; w < 4; ++w) {
      writers.emplace_back([&, w] {
        for (int b = 0; b < 5; ++b) EXPECT_THAT(write_batch(opened, 1 + w * 5 + b), IsOk());
      });
    }
  }
  EXPECT_EQ(value_of(opened.store->counts(ctx, opened.collection)).ready,
            static_cast<std::int64_t>(20 * kBatch));
  EXPECT_TRUE(value_of(opened.store->verify(ctx)).ok);
}

/// Writes batches from `first` on and tells each one's number once it is acknowledged.
[[noreturn]] void write_until_killed(const std::filesystem::path& file, int first, int pipe) {
  const Opened opened = open_with_collection(file);
  for (int number = first;; ++number) {
    if (!write_batch(opened, number).ok()) ::_exit(1);
    if (::write(pipe, &number, sizeof number) != sizeof number) ::_exit(1);
  }
}

TEST(StoreCrash, EveryAcknowledgedBatchSurvivesAKill) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const Context ctx;
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "similis.db";
  int acknowledged = 0;
  for (int round = 0; round < 8; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe[0]);
      write_until_killed(file, acknowledged + 1, pipe[1]);
    }
    ::close(pipe[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(50 + random() % 400));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << status;
    for (int number = 0; ::read(pipe[0], &number, sizeof number) == sizeof number;) {
      acknowledged = number;
    }
    ::close(pipe[0]);

    const Opened opened = open_with_collection(file);
    const auto counts = value_of(opened.store->counts(ctx, opened.collection));
    EXPECT_GE(counts.ready, static_cast<std::int64_t>(kBatch) * acknowledged);
    EXPECT_LE(counts.ready, static_cast<std::int64_t>(kBatch) * (acknowledged + 1));
    EXPECT_EQ(counts.ready % static_cast<std::int64_t>(kBatch), 0);
    EXPECT_GE(value_of(opened.store->get_collection(ctx, opened.collection)).token, acknowledged);
    const auto health = value_of(opened.store->verify(ctx));
    EXPECT_TRUE(health.ok) << (health.findings.empty() ? "" : health.findings.front());
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(acknowledged, 0);
}

}  // namespace
}  // namespace similis
