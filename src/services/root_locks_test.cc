#include "services/root_locks.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

namespace similis {
namespace {

TEST(RootLocks, OverlappingRootsOfOneCollectionExcludeEachOther) {
  RootLocks locks;
  const auto soon = Context{}.with_timeout(std::chrono::milliseconds(1));
  const auto held = locks.acquire(Context{}, 1, "/a/b");
  ASSERT_TRUE(held.ok());
  EXPECT_TRUE(locks.acquire(soon, 1, "/a/bc").ok());
  EXPECT_TRUE(locks.acquire(soon, 2, "/a/b").ok());
  for (const char* root : {"/a/b", "/a", "/", "/a/b/c"}) {
    EXPECT_EQ(locks.acquire(soon, 1, root).error().code, ErrorCode::deadline_exceeded) << root;
  }
}

TEST(RootLocks, AWaiterGetsItsTurn) {
  RootLocks locks;
  std::optional<RootLocks::Guard> held(std::move(locks.acquire(Context{}, 1, "/a")).value());
  std::atomic<bool> has_it{false};
  std::jthread waiter([&] { has_it = locks.acquire(Context{}, 1, "/a/b").ok(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(has_it);
  held.reset();
  waiter.join();
  EXPECT_TRUE(has_it);
}

}  // namespace
}  // namespace similis
