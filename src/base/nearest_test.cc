#include "base/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace similis {
namespace {

TEST(EditDistance, CountsSingleChanges) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("cut_off", "cutoff"), 1u);
  EXPECT_EQ(edit_distance("swap", "sawp"), 1u);  // neighbours swapped
}

TEST(NearestName, FindsTheMeantOne) {
  const std::vector<std::string> names = {"server.listen", "server.threads", "limits.pixels_max"};
  EXPECT_EQ(nearest_name("server.lisen", names), "server.listen");
  EXPECT_EQ(nearest_name("limits.pixel-max", names), "limits.pixels_max");
  EXPECT_EQ(nearest_name("LIMITS.PIXELS_MAX", names), "limits.pixels_max");
}

TEST(NearestName, SaysNothingWhenNothingIsNear) {
  const std::vector<std::string> names = {"server.listen", "k"};
  EXPECT_EQ(nearest_name("banana", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name(std::string(100000, 'k'), names), "");
  EXPECT_EQ(did_you_mean("banana", names), "");
  EXPECT_EQ(did_you_mean("server.listn", names), "Did you mean `server.listen`?");
}

}  // namespace
}  // namespace similis
