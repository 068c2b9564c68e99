#include "conformance/cache_suite.h"

#include <map>
#include <random>
#include <thread>
#include <vector>

namespace similis {
namespace {

using std::chrono::seconds;
using testing::Optional;

constexpr seconds kForever{0};

TEST_P(CacheSuite, ValuesComeBackByteForByte) {
  const auto cache = make();
  const std::string key("a\0b", 3), value("\0\xff value", 8);
  EXPECT_EQ(cache->get(ctx_, key), std::nullopt);
  cache->put(ctx_, key, value, kForever);
  EXPECT_THAT(cache->get(ctx_, key), Optional(value));
  EXPECT_EQ(cache->get(ctx_, "a"), std::nullopt);
  cache->put(ctx_, key, "", kForever);
  EXPECT_THAT(cache->get(ctx_, key), Optional(std::string()));
  cache->erase(ctx_, key);
  cache->erase(ctx_, "never there");
  EXPECT_EQ(cache->get(ctx_, key), std::nullopt);
}

TEST_P(CacheSuite, EntriesExpire) {
  const auto cache = make();
  cache->put(ctx_, "short", "x", seconds(1));
  cache->put(ctx_, "long", "x", seconds(1000));
  cache->put(ctx_, "endless", "x", seconds::max());
  EXPECT_TRUE(cache->get(ctx_, "short").has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_FALSE(cache->get(ctx_, "short").has_value());
  EXPECT_TRUE(cache->get(ctx_, "long").has_value());
  EXPECT_TRUE(cache->get(ctx_, "endless").has_value());
  // A new value has a new life.
  cache->put(ctx_, "long", "y", seconds(1));
  cache->put(ctx_, "long", "z", kForever);
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_THAT(cache->get(ctx_, "long"), Optional(std::string("z")));
}

TEST_P(CacheSuite, StatisticsAreTrue) {
  const auto cache = make();
  cache->put(ctx_, "a", std::string(1000, 'x'), kForever);
  cache->get(ctx_, "a");
  cache->get(ctx_, "a");
  cache->get(ctx_, "b");
  const CacheStats stats = cache->stats();
  EXPECT_EQ(stats.entries, 1);
  EXPECT_GE(stats.bytes, 1001);
  EXPECT_EQ(stats.bytes_max, 1 << 20);
  EXPECT_EQ(stats.hits, 2);
  EXPECT_EQ(stats.misses, 1);
  cache->erase(ctx_, "a");
  EXPECT_EQ(cache->stats().entries, 0);
  EXPECT_EQ(cache->stats().bytes, 0);
}

TEST_P(CacheSuite, StaysWithinItsBytesWhateverComes) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr std::int64_t kBytesMax = 100'000;
  const auto cache = make(kBytesMax);
  std::map<std::string, std::string> model;  // what was put last; the cache may have forgotten it
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "key " + std::to_string(random() % 500);
    switch (random() % 4) {
      case 0:
      case 1: {
        std::string value(random() % 3000, static_cast<char>('a' + random() % 26));
        model[key] = value;
        cache->put(ctx_, key, std::move(value), kForever);
        break;
      }
      case 2:
        if (const auto found = cache->get(ctx_, key)) {
          ASSERT_TRUE(model.contains(key));
          ASSERT_EQ(*found, model[key]);
        }
        break;
      default:
        cache->erase(ctx_, key);
        model.erase(key);
    }
    ASSERT_LE(cache->stats().bytes, kBytesMax);
  }
  EXPECT_GT(cache->stats().entries, 10);
}

TEST_P(CacheSuite, WhatIsLargerThanTheCacheIsNotKept) {
  const auto cache = make(10'000);
  cache->put(ctx_, "small", "x", kForever);
  cache->put(ctx_, "large", std::string(20'000, 'x'), kForever);
  EXPECT_FALSE(cache->get(ctx_, "large").has_value());
  EXPECT_TRUE(cache->get(ctx_, "small").has_value());
  // ...nor is what it was to replace: that would be a wrong answer.
  cache->put(ctx_, "small", std::string(20'000, 'x'), kForever);
  EXPECT_FALSE(cache->get(ctx_, "small").has_value());
}

TEST_P(CacheSuite, ManyThreadsUseIt) {
  const auto cache = make(200'000);
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(t);
        for (int i = 0; i < 5000; ++i) {
          const std::string key = std::to_string(random() % 100);
          if (random() % 2 == 0) {
            cache->put(ctx_, key, std::string(500, key.front()), seconds(100));
          } else if (const auto value = cache->get(ctx_, key)) {
            EXPECT_EQ(*value, std::string(500, key.front()));
          }
        }
      });
    }
  }
  const CacheStats stats = cache->stats();
  EXPECT_LE(stats.bytes, 200'000);
  EXPECT_GT(stats.hits, 0);
}

}  // namespace
}  // namespace similis
