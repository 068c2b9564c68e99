#include "engine/id_map.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

namespace similis::engine {
namespace {

void agree(std::uint64_t seed, std::uint64_t apart, bool reserved) {
  SCOPED_TRACE("seed " + std::to_string(seed) + ", apart " + std::to_string(apart));
  std::mt19937_64 random(seed);
  IdMap map;
  if (reserved) map.reserve(2000, 5000 * apart);
  std::unordered_map<std::uint64_t, Location> model;
  const auto expect_same = [](const std::optional<Location>& got, const auto& model_map,
                              std::uint64_t id) {
    const auto it = model_map.find(id);
    ASSERT_EQ(got.has_value(), it != model_map.end()) << id;
    if (got) {
      ASSERT_EQ(*got, it->second) << id;
    }
  };
  for (std::uint32_t i = 0; i < 60000; ++i) {
    // Long runs of ids, and phases that mostly grow or mostly shrink.
    const std::uint64_t id = (1 + random() % 5000) * apart;
    const Location location{i, ~i};
    if (random() % 10 < (i / 6000 % 2 == 0 ? 7U : 3U)) {
      expect_same(map.put(id, location), model, id);
      model[id] = location;
    } else {
      expect_same(map.remove(id), model, id);
      model.erase(id);
    }
    const std::uint64_t other = (1 + random() % 5000) * apart;
    expect_same(map.find(other), model, other);
    ASSERT_EQ(map.size(), model.size());
    if (testing::Test::HasFatalFailure()) return;
  }
  for (std::uint64_t id = 1; id <= 5000; ++id) expect_same(map.find(id * apart), model, id * apart);
}

TEST(IdMap, AgreesWithTheStandardMap) {
  const std::uint64_t seed = std::random_device{}();
  // Ids close to one another, and such that are not, from the first or a later one on.
  for (const std::uint64_t apart : {1ULL, 2ULL, 5ULL, 1ULL << 40})
    for (const bool reserved : {false, true}) agree(seed, apart, reserved);
}

TEST(IdMap, TakesLittleForIdsInARow) {
  IdMap map;
  map.reserve(1000, 1000);
  for (std::uint32_t id = 1; id <= 1000; ++id) map.put(id, {1, id});
  EXPECT_LE(map.bytes_in_memory(), 8008U);
  map.put(1'000'000'000'000, {1, 7});  // has them scattered
  EXPECT_LE(map.bytes_in_memory(), 1001U * 40);
  for (std::uint32_t id = 1; id <= 1000; ++id) EXPECT_EQ(map.find(id), (Location{1, id}));
}

}  // namespace
}  // namespace similis::engine
