#include "conformance/cache_suite.h"
#include "stores/cache/memory/memory_cache.h"

namespace similis {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, CacheSuite,
                         testing::Values(CacheFactory{"memory",
                                                      [](std::int64_t bytes_max) {
                                                        return make_memory_cache(
                                                            {.bytes_max = bytes_max});
                                                      }}),
                         [](const auto& test) { return test.param.name; });

TEST(MemoryCache, TheLongestUnusedGoesFirst) {
  const Context ctx;
  const auto cache = make_memory_cache({.bytes_max = 5 * 1200});
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    cache->put(ctx, key, std::string(1000, 'x'), std::chrono::seconds(0));
  }
  ASSERT_EQ(cache->stats().entries, 5);
  EXPECT_TRUE(cache->get(ctx, "a").has_value());  // used just now
  cache->put(ctx, "f", std::string(1000, 'x'), std::chrono::seconds(0));
  EXPECT_TRUE(cache->get(ctx, "a").has_value());
  EXPECT_FALSE(cache->get(ctx, "b").has_value());
  EXPECT_TRUE(cache->get(ctx, "c").has_value());
}

}  // namespace
}  // namespace similis
