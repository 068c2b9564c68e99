#include <fstream>

#include "services/harness.h"

namespace similis {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Key;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class WatchTest : public ServicesTest {
 protected:
  JobId watch() {
    const auto started = value_of(jobs_->start_build(ctx_, "pictures", root_, {.watch = true}, ""));
    start_running();
    id_ = started.job.id;
    wait_for(id_, [](const Job& job) {
      return job.state == JobState::running && !job.counters.scanning && job.counters.found > 0;
    });
    return id_;
  }
  template <typename Condition>
  bool soon(const Condition& condition) {
    const auto until = Context::Clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (Context::Clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }
  bool has(const std::string& name) { return rows().contains(name); }
  std::int64_t version_of(const std::string& name) {
    const auto all = rows();
    const auto it = all.find(name);
    return it == all.end() ? -1 : it->second.facts.size_bytes;
  }
  JobId id_ = 0;
};

TEST_F(WatchTest, FollowsNewChangedMovedAndDeletedFiles) {
  write("a.jpg", picture_bytes(1, 2, 3));
  watch();
  ASSERT_TRUE(soon([&] { return has("a.jpg"); }));
  const ImageId id = rows().at("a.jpg").id;

  write("b.jpg", picture_bytes(2, 2, 3));
  write("new/deep/c.jpg", picture_bytes(3, 2, 3));
  ASSERT_TRUE(soon([&] { return has("b.jpg") && has("new/deep/c.jpg"); }));
  write("new/deep/later.jpg", picture_bytes(4, 2, 3));
  ASSERT_TRUE(soon([&] { return has("new/deep/later.jpg"); }));

  write("a.jpg", picture_bytes(200, 2, 3, "changed"));
  ASSERT_TRUE(soon([&] { return version_of("a.jpg") == 13; }));
  EXPECT_EQ(rows().at("a.jpg").id, id);

  const int embedded = models_.embedder->embedded;
  move("a.jpg", "elsewhere/a2.jpg");
  ASSERT_TRUE(soon([&] { return has("elsewhere/a2.jpg"); }));
  EXPECT_EQ(rows().at("elsewhere/a2.jpg").id, id);
  const ImageId deep = rows().at("new/deep/c.jpg").id;
  move("new", "renamed");
  ASSERT_TRUE(soon([&] { return has("renamed/deep/c.jpg") && has("renamed/deep/later.jpg"); }));
  EXPECT_EQ(rows().at("renamed/deep/c.jpg").id, deep);
  EXPECT_EQ(models_.embedder->embedded, embedded);
  write("renamed/deep/d.jpg", picture_bytes(5, 2, 3));  // still watched under its new name
  ASSERT_TRUE(soon([&] { return has("renamed/deep/d.jpg"); }));

  remove("b.jpg");
  remove("renamed");
  ASSERT_TRUE(soon([&] {
    const auto counts = value_of(sqlite_->counts(ctx_, collection().id));
    return counts.ready == 1 && counts.removing == 0;
  }));
  expect_consistent();

  const Job job = value_of(jobs_->get(ctx_, id_));
  EXPECT_EQ(job.state, JobState::running);
  ASSERT_THAT(jobs_->cancel(ctx_, id_), IsOk());
  wait_for(id_, [](const Job& j) { return j.owner.empty(); });
  write("unseen.jpg", picture_bytes(9, 2, 3));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_FALSE(has("unseen.jpg"));
}

TEST_F(WatchTest, WaitsForHalfWrittenFiles) {
  limits_.watch_settle_ms = 300;
  restart();
  write("a.jpg", picture_bytes(1, 2, 3));
  watch();
  ASSERT_TRUE(soon([&] { return has("a.jpg"); }));
  const int decoded = decoder_.decoded;
  {
    std::ofstream slow(path("slow.jpg"), std::ios::binary);
    slow << "\xFF\xD8\xFF" << std::flush;  // not a whole picture yet
    for (int i = 0; i < 8; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      EXPECT_EQ(decoder_.decoded, decoded);
      slow << "abc" << std::flush;
    }
  }
  ASSERT_TRUE(soon([&] { return has("slow.jpg"); }));
  EXPECT_EQ(decoder_.decoded, decoded + 1);
  EXPECT_THAT(failures(), IsEmpty());
}

TEST_F(WatchTest, OtherJobsHaveTheirTurn) {
  write("a.jpg", picture_bytes(1, 2, 3));
  watch();
  const auto other = value_of(jobs_->start_build(ctx_, "others", root_, {}, "")).job;
  EXPECT_EQ(wait_until_finished(other.id).state, JobState::done);
  EXPECT_EQ(value_of(jobs_->get(ctx_, id_)).state, JobState::running);
}

TEST_F(WatchTest, GoesOnAfterAPauseAndARestart) {
  write("a.jpg", picture_bytes(1, 2, 3));
  watch();
  ASSERT_TRUE(soon([&] { return has("a.jpg"); }));
  ASSERT_THAT(jobs_->pause(ctx_, id_), IsOk());
  wait_for(id_, [](const Job& job) { return job.owner.empty(); });
  write("b.jpg", picture_bytes(2, 2, 3));
  ASSERT_THAT(jobs_->resume(ctx_, id_), IsOk());
  ASSERT_TRUE(soon([&] { return has("b.jpg"); }));
  restart();
  EXPECT_EQ(value_of(jobs_->get(ctx_, id_)).state, JobState::queued);
  write("c.jpg", picture_bytes(3, 2, 3));
  start_running();
  ASSERT_TRUE(soon([&] { return has("c.jpg"); }));
}

TEST_F(WatchTest, ARootThatGoesAwayRemovesNothing) {
  write("a.jpg", picture_bytes(1, 2, 3));
  watch();
  ASSERT_TRUE(soon([&] { return has("a.jpg"); }));
  std::filesystem::rename(root_, dir_ / "elsewhere");
  const Job job = wait_until_finished(id_);
  EXPECT_EQ(job.state, JobState::failed);
  EXPECT_EQ(job.error_code, "not_found");
  EXPECT_EQ(value_of(sqlite_->counts(ctx_, collection().id)).ready, 1);
  std::filesystem::rename(dir_ / "elsewhere", root_);
}

TEST_F(WatchTest, WatchAskedForWhileABuildIsAtWork) {
  for (int i = 0; i < 200; ++i) write(std::to_string(i) + ".jpg", picture_bytes(i, 2, 3));
  decoder_.delay_ms = 10;
  const auto plain = value_of(jobs_->start_build(ctx_, "pictures", root_, {}, "")).job;
  start_running();
  wait_for(plain.id, [](const Job& job) { return job.counters.ready > 0; });
  EXPECT_TRUE(value_of(jobs_->start_build(ctx_, "pictures", root_, {.watch = true}, "")).existed);
  decoder_.delay_ms = 0;
  ASSERT_TRUE(soon([&] { return rows().size() == 200; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(value_of(jobs_->get(ctx_, plain.id)).state, JobState::running);
  write("later.jpg", picture_bytes(99, 2, 3));
  EXPECT_TRUE(soon([&] { return has("later.jpg"); }));
}

TEST_F(WatchTest, TheSameBuildAgainLooksAgainAndTheFolderIsStillWatched) {
  const auto is_following = [](const Job& job) { return job.counters.following; };
  write("a.jpg", picture_bytes(1, 2, 3));
  write("broken.jpg", picture_bytes(9, 2, 3, "BROKEN"));
  watch();
  wait_for(id_, is_following);
  ASSERT_EQ(failures().size(), 1U);
  // Each of them is done when the job follows again, and not before.
  for (const BuildOptions& options :
       {BuildOptions{}, BuildOptions{.retry_failed = true}, BuildOptions{.retry_failed = true}}) {
    const auto rows_before = value_of(sqlite_->list_failures(ctx_, collection().id, 0, 10, ""));
    const auto again = value_of(jobs_->start_build(ctx_, "pictures", root_, options, ""));
    EXPECT_TRUE(again.existed);
    EXPECT_EQ(again.job.id, id_);
    EXPECT_TRUE(again.job.options.watch);
    EXPECT_FALSE(again.job.counters.following);
    const Job job = wait_for(id_, is_following);
    EXPECT_EQ(job.state, JobState::running);
    EXPECT_GT(job.version, again.job.version);
    EXPECT_EQ(job.counters.failed, 1);
    const auto rows_after = value_of(sqlite_->list_failures(ctx_, collection().id, 0, 10, ""));
    EXPECT_EQ(rows_after.rows.at(0).attempts,
              rows_before.rows.at(0).attempts + (options.retry_failed ? 1 : 0));
  }
  write("b.jpg", picture_bytes(2, 2, 3));
  EXPECT_TRUE(soon([&] { return has("b.jpg"); }));
  restart();  // and by the next process, too
  start_running();
  wait_for(id_, is_following);
  write("c.jpg", picture_bytes(3, 2, 3));
  EXPECT_TRUE(soon([&] { return has("c.jpg"); }));
}

TEST_F(WatchTest, APausedJobIsAskedForAnew) {
  write("a.jpg", picture_bytes(1, 2, 3));
  watch();
  ASSERT_THAT(jobs_->pause(ctx_, id_), IsOk());
  wait_for(id_, [](const Job& job) { return job.owner.empty(); });
  EXPECT_TRUE(value_of(jobs_->start_build(ctx_, "pictures", root_, {}, "")).existed);
  EXPECT_EQ(wait_until_finished(id_).state, JobState::done);
}

}  // namespace
}  // namespace similis
