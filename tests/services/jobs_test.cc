#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "services/harness.h"
#include "services/job_owner.h"
#include "services/library_service.h"

namespace similis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class JobsTest : public ServicesTest {
 protected:
  void write_pictures(int count) {
    for (int i = 0; i < count; ++i) {
      write("p" + std::to_string(i / 100) + "/" + std::to_string(i) + ".jpg",
            picture_bytes(i % 256, i / 256, 3));
    }
  }
  StartedJob start(const BuildOptions& options = {}) {
    return value_of(jobs_->start_build(ctx_, "pictures", root_, options, ""));
  }
  static double seconds_since(Context::Clock::time_point begin) {
    return std::chrono::duration<double>(Context::Clock::now() - begin).count();
  }
};

TEST_F(JobsTest, OneJobPerCollectionAndRoot) {
  write_pictures(3);
  const auto first = start();
  EXPECT_FALSE(first.existed);
  EXPECT_EQ(first.job.state, JobState::queued);
  const auto second = value_of(jobs_->start_build(ctx_, "pictures", root_ + "/", {}, ""));
  EXPECT_TRUE(second.existed);
  EXPECT_EQ(second.job.id, first.job.id);
  EXPECT_NE(value_of(jobs_->start_build(ctx_, "others", root_, {}, "")).job.id, first.job.id);
  start_running();
  EXPECT_EQ(wait_until_finished(first.job.id).state, JobState::done);
  EXPECT_FALSE(start().existed);
}

TEST_F(JobsTest, BadRequests) {
  write("a.jpg", picture_bytes(1, 2, 3));
  const auto code = [&](const std::string& root, const std::string& model = "") {
    const auto out = jobs_->start_build(ctx_, "pictures", root, {}, model);
    return out.ok() ? "ok" : std::string(error_code_name(out.error().code));
  };
  EXPECT_EQ(code("relative/path"), "invalid_argument");
  EXPECT_EQ(code(path("a.jpg")), "invalid_argument");
  EXPECT_EQ(code(path("nothing")), "not_found");
  EXPECT_EQ(code(root_, "no such model"), "not_found");
  EXPECT_EQ(sqlite_->find_collection(ctx_, "pictures").error().code, ErrorCode::not_found);
  EXPECT_EQ(code(root_, "fake"), "ok");
  EXPECT_NE(collection().active_index, 0);  // the named model is fixed from now on
  EXPECT_EQ(code(root_, "fake"), "ok");
  EXPECT_EQ(code(root_, "no such model"), "not_found");
  models_.embedder = std::make_shared<FakeEmbedder>("other");
  models_.kept = std::make_shared<FakeEmbedder>("fake");
  const auto differs = jobs_->start_build(ctx_, "pictures", root_, {}, "other");
  ASSERT_FALSE(differs.ok());
  EXPECT_EQ(differs.error().code, ErrorCode::conflict);
  EXPECT_THAT(differs.error().message, HasSubstr("indexed with fake@"));
  EXPECT_EQ(code(root_), "ok");
  EXPECT_EQ(jobs_->get(ctx_, 4711).error().code, ErrorCode::not_found);
}

TEST_F(JobsTest, OneWhoWorksOnWhatItIsAskedForLeavesTheRest) {
  write_pictures(3);
  const JobId left = start().job.id;  // by a process that has gone
  restart();
  const JobId asked = value_of(jobs_->start_build(ctx_, "others", root_, {}, "")).job.id;
  std::jthread runner(
      [this](const std::stop_token& stop) { jobs_->run(stop, JobScope::asked_here); });
  EXPECT_EQ(wait_until_finished(asked).state, JobState::done);
  EXPECT_EQ(value_of(jobs_->get(ctx_, left)).state, JobState::queued);
  ASSERT_THAT(jobs_->resume(ctx_, left), IsOk());
  EXPECT_EQ(wait_until_finished(left).state, JobState::done);
  runner.request_stop();
  runner.join();
}

// A process that ends with its job leaves the index quick to search; that it cannot be is no reason
// to fail. What is asked for meanwhile is done, too.
TEST_F(JobsTest, OneWhoWorksOnWhatItIsAskedForLeavesIndexesQuickToSearch) {
  write_pictures(3);
  const JobId job = start().job.id;
  std::atomic<bool> was_optimizing{false};
  faults_.before =
      [&, times = std::make_shared<std::atomic<int>>(0)](const std::string& call) -> Status {
    if (call != "vectors.optimize" || ++*times > 1) return {};
    wait_for(job, [](const Job& row) { return row.counters.optimizing; });
    was_optimizing = true;
    write_pictures(5);
    (void)start();
    return Error(ErrorCode::resource_exhausted, "out of memory");
  };
  std::jthread runner(
      [this](const std::stop_token& stop) { jobs_->run(stop, JobScope::asked_here); });
  const Job done = wait_until_finished(job);
  EXPECT_TRUE(was_optimizing);
  EXPECT_EQ(done.state, JobState::done) << done.error;
  EXPECT_EQ(done.counters.found, 5);
  EXPECT_FALSE(done.counters.optimizing);
  EXPECT_EQ(vectors_.optimized, 2);
  runner.request_stop();
  runner.join();
  faults_.clear();
}

// Paused while it makes search quick a job lets go of it, and takes it up again.
TEST_F(JobsTest, PausesWhileItLeavesIndexesQuickToSearch) {
  write_pictures(3);
  const JobId id = start().job.id;
  faults_.before =
      [&, times = std::make_shared<std::atomic<int>>(0)](const std::string& call) -> Status {
    if (call != "vectors.optimize" || ++*times > 1) return {};
    EXPECT_THAT(jobs_->pause(ctx_, id), IsOk());
    return Error(ErrorCode::cancelled, "as an engine says whose caller has gone");
  };
  std::jthread runner(
      [this](const std::stop_token& stop) { jobs_->run(stop, JobScope::asked_here); });
  const Job paused = wait_for(
      id, [](const Job& job) { return job.state == JobState::paused && job.owner.empty(); });
  EXPECT_FALSE(paused.counters.optimizing);
  EXPECT_EQ(paused.counters.ready, 3);
  ASSERT_THAT(jobs_->resume(ctx_, id), IsOk());
  EXPECT_EQ(wait_until_finished(id).state, JobState::done);
  EXPECT_EQ(vectors_.optimized, 2);
  runner.request_stop();
  runner.join();
  faults_.clear();
}

TEST_F(JobsTest, PauseAndResumeAreQuickAndLoseNothing) {
  write_pictures(300);
  decoder_.delay_ms = 10;
  const JobId id = start().job.id;
  start_running();
  wait_for(id, [](const Job& job) { return job.counters.ready >= 16; });
  auto begin = Context::Clock::now();
  ASSERT_THAT(jobs_->pause(ctx_, id), IsOk());
  // The owner lets go once it has stopped.
  const Job paused = wait_for(id, [](const Job& job) { return job.owner.empty(); });
  EXPECT_LT(seconds_since(begin), 1.5);
  EXPECT_EQ(paused.state, JobState::paused);
  EXPECT_GE(paused.counters.ready, 16);
  EXPECT_LT(paused.counters.ready, 300);
  EXPECT_EQ(value_of(sqlite_->counts(ctx_, collection().id)).ready, paused.counters.ready);
  const int decoded = decoder_.decoded;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(decoder_.decoded, decoded);

  decoder_.delay_ms = 0;
  ASSERT_THAT(jobs_->resume(ctx_, id), IsOk());
  const Job done = wait_until_finished(id);
  EXPECT_EQ(done.state, JobState::done);
  EXPECT_EQ(done.counters.ready, 300);  // of the whole job
  EXPECT_EQ(done.counters.unchanged, 0);
  EXPECT_EQ(done.counters.found, 300);
  EXPECT_LE(models_.embedder->embedded, 300 + 40);  // hardly any work was done twice
  expect_consistent();
}

TEST_F(JobsTest, CancelStopsAndTheSameWorkIsANewJob) {
  write_pictures(200);
  decoder_.delay_ms = 10;
  const JobId id = start().job.id;
  start_running();
  wait_for(id, [](const Job& job) { return job.counters.ready > 0; });
  const auto begin = Context::Clock::now();
  EXPECT_EQ(value_of(jobs_->cancel(ctx_, id)).state, JobState::cancelled);
  wait_for(id, [](const Job& job) { return job.owner.empty(); });
  EXPECT_LT(seconds_since(begin), 1.5);
  EXPECT_EQ(jobs_->resume(ctx_, id).error().code, ErrorCode::conflict);
  decoder_.delay_ms = 0;
  EXPECT_EQ(build().state, JobState::done);
  EXPECT_THAT(rows(), SizeIs(200));
  expect_consistent();
}

TEST_F(JobsTest, AQueuedJobCanBePausedAndStartingItAgainResumesIt) {
  write_pictures(3);
  const JobId id = start().job.id;
  ASSERT_THAT(jobs_->pause(ctx_, id), IsOk());
  start_running();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(value_of(jobs_->get(ctx_, id)).state, JobState::paused);
  const auto again = start();
  EXPECT_TRUE(again.existed);
  EXPECT_EQ(again.job.id, id);
  EXPECT_EQ(wait_until_finished(id).state, JobState::done);
}

TEST_F(JobsTest, AStopGivesTheJobBackAndTheNextProcessGoesOn) {
  write_pictures(200);
  decoder_.delay_ms = 10;
  const JobId id = start().job.id;
  start_running();
  wait_for(id, [](const Job& job) { return job.counters.ready > 0; });
  const auto begin = Context::Clock::now();
  stop_running();
  EXPECT_LT(seconds_since(begin), 1.5);
  EXPECT_EQ(value_of(jobs_->get(ctx_, id)).state, JobState::queued);
  decoder_.delay_ms = 0;
  restart();
  start_running();
  EXPECT_EQ(wait_until_finished(id).state, JobState::done);
  EXPECT_THAT(rows(), SizeIs(200));
}

TEST_F(JobsTest, SeveralJobsRunOneAfterAnother) {
  write_pictures(20);
  std::vector<JobId> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(
        value_of(jobs_->start_build(ctx_, "c" + std::to_string(i), root_, {}, "")).job.id);
  }
  start_running();
  std::vector<Job> jobs;
  for (const JobId id : ids) jobs.push_back(wait_until_finished(id));
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ(jobs[i].state, JobState::done);
    EXPECT_EQ(jobs[i].counters.ready, 20);
    EXPECT_GE(jobs[i].started_at, jobs[i == 0 ? 0 : i - 1].started_at);
  }
  EXPECT_THAT(value_of(jobs_->list(ctx_, 10)), SizeIs(4));
}

TEST_F(JobsTest, AJobOfADeadProcessIsTakenUpAtOnce) {
  write_pictures(5);
  const JobId id = start().job.id;
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const pid_t child = fork();
  if (child == 0) {  // claims to work on the job, and dies
    const std::string owner = own_job_owner();
    const bool written = ::write(pipe_fds[1], owner.data(), owner.size()) > 0;
    _exit(written ? 0 : 1);
  }
  std::array<char, 512> owner{};
  ASSERT_GT(read(pipe_fds[0], owner.data(), owner.size() - 1), 0);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(job_owner_is_dead(owner.data()));
  EXPECT_FALSE(job_owner_is_dead(own_job_owner()));
  EXPECT_FALSE(job_owner_is_dead("elsewhere:1:2"));
  ASSERT_THAT(sqlite_->claim_job(ctx_, id, owner.data(), 3600), IsOk());
  start_running();
  EXPECT_EQ(wait_until_finished(id).state, JobState::done);
}

TEST_F(JobsTest, AJobOfALivingOwnerElsewhereIsLeftAloneUntilItsLeaseEnds) {
  write_pictures(5);
  const JobId id = start().job.id;
  ASSERT_THAT(sqlite_->claim_job(ctx_, id, "elsewhere:1:2", 2), IsOk());
  start_running();
  std::this_thread::sleep_for(std::chrono::milliseconds(800));
  EXPECT_EQ(value_of(jobs_->get(ctx_, id)).owner, "elsewhere:1:2");
  EXPECT_EQ(wait_until_finished(id).state, JobState::done);
}

TEST_F(JobsTest, ALostLeaseStopsTheWork) {
  write_pictures(200);
  decoder_.delay_ms = 10;
  limits_.lease_s = 3;
  restart();
  const JobId id = start().job.id;
  start_running();
  const Job job = wait_for(id, [](const Job& j) { return j.counters.ready > 0; });
  // Somebody takes it, as after a lease that ran out while this process was held up.
  JobUpdate given_back{JobState::queued, job.counters, job.worked_s, std::nullopt};
  ASSERT_THAT(sqlite_->update_job(ctx_, id, job.owner, given_back, 3), IsOk());
  ASSERT_THAT(sqlite_->claim_job(ctx_, id, "elsewhere:1:2", 3600), IsOk());
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  const int decoded = decoder_.decoded;
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(decoder_.decoded, decoded);
  const Job now = value_of(jobs_->get(ctx_, id));
  EXPECT_EQ(now.owner, "elsewhere:1:2");
  EXPECT_EQ(now.state, JobState::running);
}

TEST_F(JobsTest, CountersAreWrittenAtMostTwiceASecond) {
  write_pictures(300);
  decoder_.delay_ms = 10;
  std::atomic<int> updates{0};
  faults_.before = [&](const std::string& call) -> Status {
    if (call == "metadata.update_job") ++updates;
    return {};
  };
  const auto begin = Context::Clock::now();
  build();
  EXPECT_LE(updates, 2 + static_cast<int>(2 * seconds_since(begin)));
  EXPECT_GE(updates, 2);
}

TEST_F(JobsTest, WaitWakesWithTheNextVersion) {
  write_pictures(1);
  const Job queued = start().job;
  auto begin = Context::Clock::now();
  const Job same =
      value_of(jobs_->wait(ctx_, queued.id, queued.version, std::chrono::milliseconds(50)));
  EXPECT_EQ(same.version, queued.version);
  EXPECT_LT(seconds_since(begin), 0.4);
  std::jthread pauser([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    EXPECT_THAT(jobs_->pause(ctx_, queued.id), IsOk());
  });
  begin = Context::Clock::now();
  const Job paused = value_of(jobs_->wait(ctx_, queued.id, queued.version, std::chrono::hours(1)));
  EXPECT_EQ(paused.state, JobState::paused);
  EXPECT_LT(seconds_since(begin), 0.45);
}

TEST_F(JobsTest, AFullDiskFailsTheJobAndTheSameCommandResumes) {
  write_pictures(100);
  decoder_.delay_ms = 2;
  std::atomic<int> writes{0};
  faults_.before = [&](const std::string& call) -> Status {
    if (call != "vectors.upsert" || ++writes < 3) return {};
    return Error(ErrorCode::resource_exhausted, "write /data/wal: No space left on device",
                 "Free some space.");
  };
  const Job failed = build();
  EXPECT_EQ(failed.state, JobState::failed);
  EXPECT_EQ(failed.error_code, "resource_exhausted");
  EXPECT_EQ(failed.error_hint, "Free some space.");
  faults_.clear();
  EXPECT_EQ(build().state, JobState::done);
  EXPECT_THAT(rows(), SizeIs(100));
  expect_consistent();
}

TEST_F(JobsTest, AnEndThatCannotBeWrittenShowsAllTheSame) {
  write_pictures(10);
  std::atomic<bool> full{true};
  faults_.before = [&](const std::string& call) -> Status {
    if (!full || (call != "metadata.put_pending" && call != "metadata.update_job")) return {};
    return Error(ErrorCode::resource_exhausted, "database or disk is full");
  };
  const Job failed = build();
  EXPECT_EQ(failed.state, JobState::failed);
  EXPECT_EQ(failed.error, "database or disk is full");
  EXPECT_EQ(value_of(sqlite_->get_job(ctx_, failed.id)).state, JobState::running);
  full = false;
  const Job written = wait_for(failed.id, [&](const Job&) {
    return value_of(sqlite_->get_job(ctx_, failed.id)).state == JobState::failed;
  });
  EXPECT_EQ(written.error, "database or disk is full");
  EXPECT_EQ(build().state, JobState::done);
}

TEST_F(JobsTest, AMissingModelFailsTheJobClearly) {
  write_pictures(1);
  models_.missing = true;
  const Job job = build();
  EXPECT_EQ(job.state, JobState::failed);
  EXPECT_EQ(job.error_code, "not_found");
  models_.missing = false;
  EXPECT_EQ(build().state, JobState::done);
}

TEST_F(JobsTest, FailuresOfTheJobsRootOnly) {
  write("a/broken.jpg", picture_bytes(1, 2, 3, "BROKEN"));
  write("b/broken.jpg", picture_bytes(1, 2, 4, "BROKEN"));
  build();
  const auto job = value_of(jobs_->start_build(ctx_, "pictures", path("a"), {}, "")).job;
  wait_until_finished(job.id);
  const auto page = value_of(jobs_->failures(ctx_, job.id, 10, ""));
  ASSERT_THAT(page.rows, SizeIs(1));
  EXPECT_EQ(page.rows[0].path(), path("a/broken.jpg"));
  EXPECT_EQ(page.rows[0].error, "JPEG ends early");
}

TEST_F(JobsTest, VerifyBringsRowsAndVectorsTogether) {
  write_pictures(30);
  build();
  const auto index = collection().active_index;
  EXPECT_THAT(value_of(jobs_->findings(ctx_,
                                       [&] {
                                         const auto job =
                                             value_of(jobs_->start_verify(ctx_, "pictures")).job;
                                         return wait_until_finished(job.id).id;
                                       }())),
              IsEmpty());
  // A vector without a row, and rows without a vector, one of them without a file.
  const std::vector<float> vector(8, 1.0F);
  const VectorUpsert stray{4711, vector, {}};
  value_of(vectors_.upsert(ctx_, index, std::span(&stray, 1)));
  const auto all = rows();
  const std::vector<ImageId> lost{all.at("p0/3.jpg").id, all.at("p0/7.jpg").id,
                                  all.at("p0/9.jpg").id};
  value_of(vectors_.erase(ctx_, index, lost));
  remove("p0/9.jpg");
  const auto job = value_of(jobs_->start_verify(ctx_, "pictures")).job;
  const Job done = wait_until_finished(job.id);
  EXPECT_EQ(done.state, JobState::done) << done.error;
  EXPECT_EQ(done.counters.unchanged, 27);
  EXPECT_EQ(done.counters.failed, 4);
  EXPECT_EQ(done.counters.found, 31);
  const auto findings = value_of(jobs_->findings(ctx_, job.id));
  EXPECT_THAT(findings, SizeIs(4));
  EXPECT_THAT(findings, testing::Contains(HasSubstr("vector 4711")));
  EXPECT_THAT(findings,
              testing::Contains(HasSubstr("p0/9.jpg): its vector and its file are missing")));
  build();
  expect_consistent();
}

TEST_F(JobsTest, WhatADeletedCollectionHeldIsSweptInAQuietMoment) {
  limits_.sweep_idle_ms = 100;
  restart();
  write_pictures(3);
  build();
  blobs_.make_older(7200);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  ASSERT_EQ(blobs_.count(BlobKind::thumbnail), 3U);
  LibraryService library(*ports_);
  ASSERT_THAT(library.delete_collection(ctx_, "pictures"), IsOk());
  const auto until = Context::Clock::now() + std::chrono::seconds(10);
  while (blobs_.count(BlobKind::thumbnail) > 0 && Context::Clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(blobs_.count(BlobKind::thumbnail), 0U);
}

TEST_F(JobsTest, DeletingACollectionDoesNotWaitForTheSweep) {
  write_pictures(1);
  build();
  blobs_.make_older(7200);
  LibraryService library(*ports_);
  ASSERT_THAT(library.delete_collection(ctx_, "pictures"), IsOk());
  EXPECT_EQ(blobs_.count(BlobKind::thumbnail), 1U);  // the sweeper's default minute is not over
}

}  // namespace
}  // namespace similis
