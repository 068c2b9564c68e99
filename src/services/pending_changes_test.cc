#include "services/pending_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace similis {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class PendingChangesTest : public testing::Test {
 protected:
  PendingChanges::Settled take(int at_ms, bool exists = true) {
    return changes_.take(start_ + milliseconds(at_ms),
                         [&](const std::string&, const std::string&) { return exists; });
  }
  void note(const std::string& name, int at_ms) {
    changes_.note_file("/r", name, start_ + milliseconds(at_ms));
  }
  PendingChanges::Clock::time_point start_ = PendingChanges::Clock::now();
  PendingChanges changes_{milliseconds(100)};
};

TEST_F(PendingChangesTest, AFileRestsForTheSettleTimeAfterItsLastChange) {
  note("a", 0);
  note("b", 50);
  note("a", 60);
  EXPECT_EQ(changes_.files(), 2U);
  EXPECT_TRUE(take(149).empty());
  EXPECT_THAT(take(150).present, ElementsAre(Pair("/r", ElementsAre("b"))));
  EXPECT_THAT(take(160).present, ElementsAre(Pair("/r", ElementsAre("a"))));
  EXPECT_EQ(changes_.files(), 0U);
  EXPECT_TRUE(take(1000).empty());
}

TEST_F(PendingChangesTest, WhatIsGoneWaitsTwiceAsLong) {
  note("a", 0);
  changes_.note_gone_folder("/r/f", start_);
  EXPECT_TRUE(take(199, false).empty());
  const auto settled = take(200, false);
  EXPECT_THAT(settled.present, IsEmpty());
  EXPECT_THAT(settled.absent, ElementsAre(Pair("/r", ElementsAre("a"))));
  EXPECT_THAT(settled.gone_folders, ElementsAre("/r/f"));
  EXPECT_TRUE(take(1000, false).empty());
}

}  // namespace
}  // namespace similis
