#include "inference/lanes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <set>

namespace similis {
namespace {

using namespace std::chrono_literals;

/// Pictures whose width is their number.
std::vector<PictureTensor> numbered(std::uint32_t first, std::size_t count) {
  std::vector<PictureTensor> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i].width = first + static_cast<std::uint32_t>(i);
  return out;
}

Embedding echo(const PictureTensor& picture) {
  return {{static_cast<float>(picture.width)}, {}};
}

TEST(Lanes, AnswersInOrderFromManyThreads) {
  std::atomic<int> alone_now{0};
  InferenceLanes lanes(
      3, [&](std::size_t, bool alone, const PictureTensor& picture) -> Result<Embedding> {
        if (alone) {
          EXPECT_EQ(alone_now.fetch_add(1), 0) << "two were told that they are alone";
        }
        std::this_thread::sleep_for(std::chrono::microseconds(50));
        if (alone) alone_now.fetch_sub(1);
        return echo(picture);
      });
  std::vector<std::jthread> clients;
  for (std::uint32_t client = 0; client < 8; ++client) {
    clients.emplace_back([&lanes, client] {
      for (std::uint32_t round = 0; round < 20; ++round) {
        const std::size_t count = 1 + (client * 7 + round) % 12;
        const auto pictures = numbered(1000 * client + 10 * round, count);
        const Result<EmbedBatch> batch = lanes.embed(Context{}, pictures);
        ASSERT_TRUE(batch.ok());
        ASSERT_EQ(batch->size(), count);
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_EQ((*batch)[i].vector.at(0), static_cast<float>(pictures[i].width));
        }
      }
    });
  }
}

TEST(Lanes, ALonePictureIsTold) {
  std::vector<bool> told;
  InferenceLanes lanes(
      2, [&](std::size_t, bool alone, const PictureTensor& picture) -> Result<Embedding> {
        told.push_back(alone);
        return echo(picture);
      });
  ASSERT_TRUE(lanes.embed(Context{}, numbered(1, 1)).ok());
  ASSERT_TRUE(lanes.embed(Context{}, numbered(2, 1)).ok());
  EXPECT_EQ(told, (std::vector<bool>{true, true}));
}

TEST(Lanes, NoPicturesNoWork) {
  InferenceLanes lanes(1, [](std::size_t, bool, const PictureTensor&) -> Result<Embedding> {
    ADD_FAILURE();
    return Embedding{};
  });
  EXPECT_TRUE(lanes.embed(Context{}, {}).value().empty());
}

TEST(Lanes, ABulkCallSpreadsOverAllLanes) {
  std::latch all(3);
  std::mutex mutex;
  std::set<std::size_t> used;
  InferenceLanes lanes(
      3, [&](std::size_t lane, bool, const PictureTensor& picture) -> Result<Embedding> {
        bool first = false;
        {
          std::lock_guard lock(mutex);
          first = used.insert(lane).second;
        }
        if (first) all.arrive_and_wait();  // hangs unless three run at once
        return echo(picture);
      });
  ASSERT_TRUE(lanes.embed(Context{}, numbered(0, 9)).ok());
  EXPECT_EQ(used.size(), 3u);
}

TEST(Lanes, QueriesGoBeforeBulkWhichStillMovesOn) {
  std::mutex mutex;
  std::vector<std::uint32_t> order;
  std::latch bulk_began(1), queries_wait(1);
  InferenceLanes lanes(1,
                       [&](std::size_t, bool, const PictureTensor& picture) -> Result<Embedding> {
                         if (picture.width == 0) {
                           bulk_began.count_down();
                           queries_wait.wait();
                         }
                         std::lock_guard lock(mutex);
                         order.push_back(picture.width);
                         return echo(picture);
                       });
  std::vector<std::jthread> clients;
  clients.emplace_back([&] { ASSERT_TRUE(lanes.embed(Context{}, numbered(0, 20)).ok()); });
  bulk_began.wait();
  for (std::uint32_t query = 100; query < 108; ++query) {
    clients.emplace_back(
        [&, query] { ASSERT_TRUE(lanes.embed(Context{}, numbered(query, 1)).ok()); });
  }
  while (lanes.waiting() < 9) std::this_thread::sleep_for(1ms);  // the bulk call and eight queries
  queries_wait.count_down();
  clients.clear();
  ASSERT_EQ(order.size(), 28u);
  const auto last_query =
      std::find_if(order.rbegin(), order.rend(), [](std::uint32_t n) { return n >= 100; });
  const auto position = static_cast<std::size_t>(order.rend() - last_query) - 1;
  EXPECT_LE(position, 10u);  // the picture that ran, eight queries, two bulk pictures between them
  EXPECT_GE(position, 9u);
}

TEST(Lanes, AFailureEndsItsCallAndNoOther) {
  InferenceLanes lanes(2, [](std::size_t, bool, const PictureTensor& picture) -> Result<Embedding> {
    if (picture.width == 3) return Error(ErrorCode::internal, "three");
    return echo(picture);
  });
  const Result<EmbedBatch> bad = lanes.embed(Context{}, numbered(0, 50));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message, "three");
  EXPECT_TRUE(lanes.embed(Context{}, numbered(10, 50)).ok());
}

TEST(Lanes, DeadlineAndCancelEndTheWait) {
  std::atomic<int> ran{0};
  InferenceLanes lanes(1,
                       [&](std::size_t, bool, const PictureTensor& picture) -> Result<Embedding> {
                         std::this_thread::sleep_for(20ms);
                         ++ran;
                         return echo(picture);
                       });
  const Context soon = Context{}.with_timeout(50ms);
  const auto begin = Context::Clock::now();
  EXPECT_EQ(lanes.embed(soon, numbered(0, 1000)).error().code, ErrorCode::deadline_exceeded);
  EXPECT_LT(Context::Clock::now() - begin, 5s);
  EXPECT_LT(ran.load(), 200);

  std::stop_source stop;
  Context cancelled;
  cancelled.cancel = stop.get_token();
  std::jthread later([&] {
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  });
  EXPECT_EQ(lanes.embed(cancelled, numbered(0, 1000)).error().code, ErrorCode::cancelled);
  EXPECT_TRUE(lanes.embed(Context{}, numbered(0, 1)).ok());
}

}  // namespace
}  // namespace similis
