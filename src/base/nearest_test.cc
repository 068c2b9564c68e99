#include "base/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace similis {
namespace {

TEST(NearestName, FindsWhatWasMeant) {
  const std::vector<std::string> names = {"pictures", "holidays", "k", "min_score"};
  EXPECT_EQ(nearest_name("pictuers", names), "pictures");
  EXPECT_EQ(nearest_name("holiday", names), "holidays");
  EXPECT_EQ(nearest_name("minscore", names), "min_score");
  EXPECT_EQ(nearest_name("zebra", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name(std::string(100'000, 'x'), names), "");
}

TEST(Nearest, AsAHint) {
  const std::vector<std::string> names = {"server.listen", "server.threads"};
  EXPECT_EQ(did_you_mean("server.lisen", names), "Did you mean \"server.listen\"?");
  EXPECT_EQ(did_you_mean("banana", names), "");
}

}  // namespace
}  // namespace similis
