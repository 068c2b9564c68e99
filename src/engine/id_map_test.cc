#include "engine/id_map.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

namespace similis::engine {
namespace {

TEST(IdMap, AgreesWithTheStandardMap) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  IdMap map;
  std::unordered_map<std::uint64_t, Location> model;
  const auto expect_same = [](const std::optional<Location>& got, const auto& model_map,
                              std::uint64_t id) {
    const auto it = model_map.find(id);
    ASSERT_EQ(got.has_value(), it != model_map.end()) << id;
    if (got) {
      ASSERT_EQ(*got, it->second) << id;
    }
  };
  for (std::uint32_t i = 0; i < 200000; ++i) {
    // Long runs of ids, and phases that mostly grow or mostly shrink.
    const std::uint64_t id = 1 + (random() % 5000);
    const Location location{i, ~i};
    if (random() % 10 < (i / 20000 % 2 == 0 ? 7U : 3U)) {
      expect_same(map.put(id, location), model, id);
      model[id] = location;
    } else {
      expect_same(map.remove(id), model, id);
      model.erase(id);
    }
    const std::uint64_t other = 1 + (random() % 5000);
    expect_same(map.find(other), model, other);
    ASSERT_EQ(map.size(), model.size());
    if (HasFatalFailure()) return;
  }
  for (std::uint64_t id = 1; id <= 5000; ++id) expect_same(map.find(id), model, id);
}

}  // namespace
}  // namespace similis::engine
