// Searches, writes, checkpoints and compactions at once; meant to run under the thread sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "engine/index.h"
#include "engine/storage/simulated_storage_test.h"
#include "engine/support_test.h"

namespace similis::engine {
namespace {

constexpr std::uint32_t kDimensions = 24;
constexpr const char* kDirectory = "index";

/// Follows from id and version, so that any reader can tell what it sees.
std::vector<float> vector_of(std::uint64_t id, std::uint64_t version) {
  std::mt19937_64 random(id * 1000003 + version);
  return random_vector(random, kDimensions);
}

/// The first letter says whether the id is even, the rest which version it is of.
std::string attributes_of(std::uint64_t id, std::uint64_t version) {
  return (id % 2 == 0 ? "e" : "o") + std::to_string(version);
}

TEST(Concurrency, ReadersSeeWholeWritesAndNeverWait) {
  SimulatedStorage storage(1);
  storage.set_sync_time(std::chrono::microseconds(300));  // writes land inside compactions
  IndexOptions options;
  options.storage = &storage;
  options.threads = 2;
  options.checkpoint_log_bytes = 64 << 10;
  options.segment_rows = 800;
  auto created = Index::create(kDirectory, {kDimensions, Metric::l2, IndexKind::flat}, options);
  ASSERT_TRUE(created.ok());
  Index& index = **created;

  // Ids up to kStable are never touched again; each writer replaces and erases ids of its own.
  constexpr std::uint64_t kStable = 300, kOwned = 200;
  constexpr int kWriters = 2, kSearchers = 2;
  const auto upsert = [&](std::uint64_t first, std::uint64_t count, std::uint64_t version) {
    std::vector<std::vector<float>> vectors;
    std::vector<std::string> attributes;
    std::vector<Row> rows;
    for (std::uint64_t id = first; id < first + count; ++id) {
      vectors.push_back(vector_of(id, version));
      attributes.push_back(attributes_of(id, version));
    }
    for (std::uint64_t i = 0; i < count; ++i)
      rows.push_back({first + i, vectors[i], as_bytes(attributes[i])});
    return index.upsert(rows, {});
  };
  ASSERT_TRUE(upsert(1, kStable, 0).ok());

  std::atomic<bool> stop{false};
  std::vector<std::string> problems;
  std::mutex problems_mutex;
  const auto problem = [&](std::string what) {
    std::lock_guard lock(problems_mutex);
    problems.push_back(std::move(what));
  };
  struct Versions {
    std::uint64_t vector = 0, attributes = 0;
  };
  std::vector<std::map<std::uint64_t, Versions>> versions(kWriters);
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      std::mt19937_64 random(static_cast<std::uint64_t>(w));
      const std::uint64_t begin = kStable + 1 + static_cast<std::uint64_t>(w) * kOwned;
      for (std::uint64_t version = 1; version <= 300; ++version) {
        const std::uint64_t first = begin + random() % (kOwned - 20);
        const std::uint64_t count = 1 + random() % 20;
        if (random() % 4 == 0) {
          std::vector<std::uint64_t> ids;
          for (std::uint64_t id = first; id < first + count; ++id) ids.push_back(id);
          if (!index.erase(ids, {}).ok()) problem("an erase failed");
          for (const std::uint64_t id : ids) versions[static_cast<std::size_t>(w)].erase(id);
        } else {
          if (!upsert(first, count, version).ok()) problem("an upsert failed");
          for (std::uint64_t id = first; id < first + count; ++id)
            versions[static_cast<std::size_t>(w)][id] = {version, version};
        }
        // Of any row of this writer's, there or not.
        const std::uint64_t changed = begin + random() % kOwned;
        const std::string later = attributes_of(changed, 1000 + version);
        const AttributeChange change{changed, as_bytes(later)};
        if (!index.update_attributes({&change, 1}, {}).ok()) problem("a change failed");
        auto& own = versions[static_cast<std::size_t>(w)];
        if (const auto it = own.find(changed); it != own.end())
          it->second.attributes = 1000 + version;
      }
      if (w == 0) stop = true;
    });
  }
  const RowFilter even = [](const AttributeColumns& columns, std::uint32_t first,
                            std::uint32_t count, std::span<std::uint64_t> bits) {
    std::vector<std::byte> value;
    for (std::uint32_t i = 0; i < count; ++i) {
      columns.get(first + i, value);
      if (!value.empty() && value[0] == std::byte{'e'})
        bits[i / 64] |= std::uint64_t{1} << (i % 64);
    }
  };
  for (int s = 0; s < kSearchers; ++s) {
    threads.emplace_back([&, s] {
      std::mt19937_64 random(static_cast<std::uint64_t>(100 + s));
      while (!stop) {
        const std::uint64_t id = 1 + random() % kStable;
        const auto query = vector_of(id, 0);
        const Snapshot snapshot = index.snapshot();
        const auto first = snapshot.search(query, {.k = 5, .filter = {}, .call = {}});
        if (!first.ok() || first->hits[0].size() != 5 || first->hits[0][0].id != id)
          problem("a stable row was not found");
        const auto again = snapshot.search(query, {.k = 5, .filter = {}, .call = {}});
        if (!again.ok() || again->hits != first->hits) problem("a snapshot changed");
        const auto filtered = index.search(query, {.k = 20, .filter = even, .call = {}});
        if (!filtered.ok()) {
          problem(filtered.error().message);
        } else {
          for (const Hit& hit : filtered->hits[0])
            if (hit.id % 2 != 0) problem("the filter let an odd id pass");
        }
        const std::vector<std::uint64_t> ids{id};
        const auto fetched = index.fetch(ids, {});
        if (!fetched.ok() || (*fetched)[0] != through_half(query)) problem("a fetch was wrong");
        const auto scanned = snapshot.scan_ids(0, kStable, {});
        if (!scanned.ok() || scanned->size() != kStable || scanned->back() != kStable)
          problem("a scan missed a stable row");
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) {
      if (!index.checkpoint().ok()) problem("a checkpoint failed");
      if (!index.compact({}).ok()) problem("a compaction failed");
      const auto damage = index.verify({});
      if (!damage.ok() || !damage->empty()) problem("verify found damage");
      (void)index.statistics();
    }
  });
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(problems.empty()) << problems.size() << " problems, the first: " << problems.front();

  for (const bool reopened : {false, true}) {
    SCOPED_TRACE(reopened ? "reopened" : "as it was");
    if (reopened) {
      ASSERT_TRUE((*created)->close().ok());
      created = Error();
      created = Index::open(kDirectory, options);
      ASSERT_TRUE(created.ok()) << created.error().message;
    }
    std::vector<std::uint64_t> expected;
    for (std::uint64_t id = 1; id <= kStable; ++id) expected.push_back(id);
    for (const auto& owned : versions)
      for (const auto& [id, version] : owned) expected.push_back(id);
    const auto ids = (*created)->snapshot().scan_ids(0, 100000, {});
    ASSERT_EQ(*ids, expected);
    const auto vectors = (*created)->fetch(*ids, {});
    for (const auto& owned : versions) {
      for (const auto& [id, version] : owned) {
        const auto at =
            static_cast<std::size_t>(std::lower_bound(ids->begin(), ids->end(), id) - ids->begin());
        ASSERT_EQ((*vectors)[at], through_half(vector_of(id, version.vector))) << id;
        const std::string expected_attributes = attributes_of(id, version.attributes);
        const RowFilter same = [&](const AttributeColumns& columns, std::uint32_t first,
                                   std::uint32_t count, std::span<std::uint64_t> bits) {
          std::vector<std::byte> value;
          for (std::uint32_t i = 0; i < count; ++i) {
            columns.get(first + i, value);
            if (std::ranges::equal(value, as_bytes(expected_attributes)))
              bits[i / 64] |= std::uint64_t{1} << (i % 64);
          }
        };
        const auto holders =
            (*created)->search((*vectors)[at], {.k = 1000, .filter = same, .call = {}});
        ASSERT_TRUE(std::ranges::any_of(holders->hits[0], [&](const Hit& h) { return h.id == id; }))
            << id << " lacks " << expected_attributes;
      }
    }
  }
}

// Twenty rows are replaced again and again, always by copies of one vector, in one call: whoever
// searches meanwhile finds twenty of one version, by the graph and by comparing.
TEST(Concurrency, ABatchIsSeenWholeOrNotAtAll) {
  constexpr std::uint32_t kWide = 32;  // as few as a graph is made of
  constexpr std::uint64_t kOthers = 600, kGroup = 20, kVersions = 200;
  SimulatedStorage storage(1);
  storage.set_sync_time(std::chrono::microseconds(300));
  IndexOptions options;
  options.storage = &storage;
  options.threads = 2;
  options.checkpoint_log_bytes = 64 << 10;
  options.segment_rows = 800;
  options.graph_rows_min = 200;
  auto created = Index::create(kDirectory, {kWide, Metric::l2, IndexKind::graph}, options);
  ASSERT_TRUE(created.ok());
  Index& index = **created;
  std::mt19937_64 random(7);
  for (std::uint64_t id = 1; id <= kOthers; ++id) {
    const auto vector = random_vector(random, kWide);
    const Row row{id, vector, {}};
    ASSERT_TRUE(index.upsert({&row, 1}, {}).ok());
  }
  // Nearer to the query than any other row, each version at a distance of its own.
  const std::vector<float> query(kWide);
  const auto write = [&](std::uint64_t version) {
    std::vector<float> vector(kWide);
    vector[0] = static_cast<float>(version) / 1024;  // as a half says it
    std::vector<Row> rows;
    for (std::uint64_t i = 0; i < kGroup; ++i) rows.push_back({kOthers + 1 + i, vector, {}});
    return index.upsert(rows, {});
  };
  ASSERT_TRUE(write(1).ok());
  ASSERT_TRUE(index.build_graphs({}).ok());
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0}, mixed{0}, searches{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (std::uint64_t version = 2; version <= kVersions; ++version)
      failures += write(version).ok() ? 0 : 1;
    stop = true;
  });
  // An effort, as few rows are else compared in either case.
  const SearchOptions by_graph{.k = kGroup + 1, .reach = 0.5F, .doubt = 4};
  const SearchOptions by_comparing{.k = kGroup + 1, .recall = 1};
  for (const SearchOptions& how : {by_graph, by_comparing}) {
    threads.emplace_back([&, how] {
      while (!stop) {
        const auto answer = index.search(query, how);
        if (!answer.ok() || answer->hits[0].size() != kGroup + 1) {
          ++failures;
          continue;
        }
        ++searches;
        const auto& hits = answer->hits[0];
        for (std::uint64_t i = 0; i < kGroup; ++i)
          mixed += hits[i].id != kOthers + 1 + i || hits[i].score != hits[0].score ? 1 : 0;
        mixed += hits[kGroup].id > kOthers ? 1 : 0;
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) {
      failures += index.checkpoint().ok() ? 0 : 1;
      failures += index.compact({}).ok() ? 0 : 1;
    }
  });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(mixed, 0);
  EXPECT_GT(searches, 10);
}

// Searches are answered while a write waits for the disk, and a checkpoint, and the file of a
// graph.
TEST(Concurrency, SearchesDoNotWaitForTheDisk) {
  constexpr std::uint32_t kWide = 32;
  SimulatedStorage storage(1);
  IndexOptions options;
  options.background = false;
  options.storage = &storage;
  options.threads = 2;
  options.graph_rows_min = 200;
  auto created = Index::create(kDirectory, {kWide, Metric::l2, IndexKind::graph}, options);
  ASSERT_TRUE(created.ok());
  Index& index = **created;
  std::mt19937_64 random(7);
  std::vector<std::vector<float>> vectors;
  std::vector<Row> rows;
  for (int i = 0; i < 400; ++i) vectors.push_back(random_vector(random, kWide));
  for (std::uint64_t i = 0; i < 300; ++i) rows.push_back({i + 1, vectors[i], {}});
  ASSERT_TRUE(index.upsert(rows, {}).ok());
  std::vector<std::future<bool>> searches;
  int answered = 0;
  const auto search_at_next_sync = [&](const std::string& prefix) {
    storage.on_next_sync(prefix, [&] {
      searches.push_back(std::async(std::launch::async, [&] {
        const auto answer = index.search(vectors[5], {.reach = 0.5F, .doubt = 4});
        return answer.ok() && answer->hits[0].size() == 10 && answer->hits[0][0].id == 6;
      }));
      // Whoever waits for what this sync holds waits for ever.
      answered += searches.back().wait_for(std::chrono::seconds(20)) == std::future_status::ready;
    });
  };
  std::uint64_t next = 301;
  const auto write = [&] {
    const Row row{next, vectors[next - 1], {}};
    ++next;
    return index.upsert({&row, 1}, {}).ok();
  };
  EXPECT_TRUE(write());  // makes a log: the next sync is of a record
  search_at_next_sync("wal-");
  EXPECT_TRUE(write());
  EXPECT_EQ(answered, 1);
  search_at_next_sync("part-");
  EXPECT_TRUE(index.checkpoint().ok());
  EXPECT_EQ(answered, 2);
  search_at_next_sync("MANIFEST");
  EXPECT_TRUE(write());
  EXPECT_TRUE(index.checkpoint().ok());
  EXPECT_EQ(answered, 3);
  search_at_next_sync("derived-");
  EXPECT_TRUE(index.build_graphs({}).ok());
  EXPECT_EQ(answered, 4);
  EXPECT_TRUE(write());
  EXPECT_TRUE(index.checkpoint().ok());
  search_at_next_sync("part-");  // of what is merged
  EXPECT_TRUE(index.compact({}).ok());
  EXPECT_EQ(answered, 5);
  for (auto& search : searches) EXPECT_TRUE(search.get());
}

// What is written to rows while a compaction copies them holds for the copies, also on disk,
// whether or not the compaction can be published at once.
TEST(Concurrency, ChangesDuringACompactionAreKept) {
  for (const bool disk_full : {false, true}) {
    SCOPED_TRACE(disk_full ? "published late" : "published at once");
    SimulatedStorage storage(1);
    IndexOptions options;
    options.background = false;
    options.storage = &storage;
    auto created = Index::create(kDirectory, {kDimensions, Metric::l2, IndexKind::flat}, options);
    ASSERT_TRUE(created.ok());
    const auto put = [&](std::uint64_t id, std::uint64_t version) {
      const auto vector = vector_of(id, version);
      const std::string attributes = attributes_of(id, version);
      const Row row{id, vector, as_bytes(attributes)};
      ASSERT_TRUE((*created)->upsert({&row, 1}, {}).ok());
    };
    const auto erase = [&](std::uint64_t id) {
      ASSERT_EQ((*created)->erase({&id, 1}, {})->rows, 1U);
    };
    for (std::uint64_t id = 1; id <= 50; ++id) put(id, 0);
    erase(1);
    ASSERT_TRUE((*created)->checkpoint().ok());
    const std::uint64_t before = (*created)->snapshot().lsn();
    storage.on_next_sync("part-", [&] {
      erase(20);
      put(21, 1);
      const AttributeChange change{22, as_bytes("changed")};
      ASSERT_TRUE((*created)->update_attributes({&change, 1}, {}).ok());
      if (disk_full) storage.schedule(SimulatedStorage::Fault::no_space, 1, 1);
    });
    EXPECT_EQ((*created)->compact({}).ok(), !disk_full);
    EXPECT_EQ((*created)->snapshot().lsn(), before + 3);
    storage.clear_faults();
    ASSERT_TRUE((*created)->checkpoint().ok());
    for (const bool reopened : {false, true}) {
      if (reopened) {
        created = Error();
        created = Index::open(kDirectory, options);
        ASSERT_TRUE(created.ok()) << created.error().message;
        EXPECT_EQ((*created)->statistics().log_bytes, 0U);
      }
      EXPECT_EQ((*created)->statistics().rows, 48U);
      // Only the late one stops there; else a second compaction drops what died in the first.
      EXPECT_EQ((*created)->statistics().dead_rows, disk_full ? 2U : 0U);
      const std::vector<std::uint64_t> ids{1, 20, 21, 23};
      const auto vectors = (*created)->fetch(ids, {});
      EXPECT_TRUE((*vectors)[0].empty());
      EXPECT_TRUE((*vectors)[1].empty());
      EXPECT_EQ((*vectors)[2], through_half(vector_of(21, 1)));
      EXPECT_EQ((*vectors)[3], through_half(vector_of(23, 0)));
      const RowFilter changed = [](const AttributeColumns& columns, std::uint32_t first,
                                   std::uint32_t count, std::span<std::uint64_t> bits) {
        std::vector<std::byte> value;
        for (std::uint32_t i = 0; i < count; ++i) {
          columns.get(first + i, value);
          if (value.size() == 7) bits[i / 64] |= std::uint64_t{1} << (i % 64);
        }
      };
      const auto answer =
          (*created)->search((*vectors)[3], {.k = 9, .filter = changed, .call = {}});
      ASSERT_EQ(answer->hits[0].size(), 1U);
      EXPECT_EQ(answer->hits[0][0].id, 22U);
    }
  }
}

// Writers that arrive while a sync is under way share the next one.
TEST(Concurrency, WritersShareSyncs) {
  SimulatedStorage storage(1);
  storage.set_sync_time(std::chrono::milliseconds(3));
  IndexOptions options;
  options.background = false;
  options.storage = &storage;
  auto created = Index::create(kDirectory, {8, Metric::l2, IndexKind::flat}, options);
  ASSERT_TRUE(created.ok());
  const std::uint64_t before = storage.syncs();
  constexpr std::uint64_t kWriters = 16, kWrites = 10;
  std::vector<std::thread> threads;
  for (std::uint64_t w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      for (std::uint64_t i = 0; i < kWrites; ++i) {
        const std::vector<float> vector(8, 1.0F);
        const Row row{1 + w * kWrites + i, vector, {}};
        EXPECT_TRUE((*created)->upsert({&row, 1}, {}).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ((*created)->statistics().rows, kWriters * kWrites);
  EXPECT_LT(storage.syncs() - before, kWriters * kWrites / 2);
}

}  // namespace
}  // namespace similis::engine
