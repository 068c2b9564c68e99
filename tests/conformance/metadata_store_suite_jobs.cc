#include "conformance/metadata_store_suite.h"

// Jobs and API keys.
namespace similis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_P(MetadataStoreSuite, EveryKindOfJobComesBackAsWhatItIs) {
  for (const JobKind kind : {JobKind::build, JobKind::verify, JobKind::import_archive,
                             JobKind::export_archive, JobKind::export_tables}) {
    const Job made = value_of(store().create_job(ctx_, kind, collection_, "/a/b", {})).job;
    const Job job = value_of(store().get_job(ctx_, made.id));
    EXPECT_EQ(job.kind, kind);
    EXPECT_EQ(job.root, "/a/b");
  }
}

TEST_P(MetadataStoreSuite, AJobIsARow) {
  const BuildOptions options{.hidden = true, .retry_failed = false, .watch = true};
  const auto made =
      value_of(store().create_job(ctx_, JobKind::build, collection_, "/pict\xff", options));
  EXPECT_FALSE(made.existed);
  reopen();
  const Job job = value_of(store().get_job(ctx_, made.job.id));
  EXPECT_EQ(job.kind, JobKind::build);
  EXPECT_EQ(job.collection, collection_);
  EXPECT_EQ(job.collection_name, "pictures");
  EXPECT_EQ(job.root, "/pict\xff");
  EXPECT_EQ(job.options, options);
  EXPECT_EQ(job.state, JobState::queued);
  EXPECT_EQ(job.counters, JobCounters{});
  EXPECT_EQ(job.version, made.job.version);
  EXPECT_EQ(job.owner, "");
  EXPECT_EQ(job.started_at, 0);
  EXPECT_GT(job.created_at, 0);
  EXPECT_THAT(store().get_job(ctx_, 999), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().create_job(ctx_, JobKind::build, 999, "/x", {}),
              FailsWith(ErrorCode::not_found));
}

TEST_P(MetadataStoreSuite, TheSameWorkIsTheSameJobUntilItEnds) {
  const Job job = make_job();
  const auto again = value_of(
      store().create_job(ctx_, JobKind::build, collection_, "/pictures", {.retry_failed = true}));
  EXPECT_TRUE(again.existed);
  EXPECT_EQ(again.job.id, job.id);
  EXPECT_TRUE(again.job.options.retry_failed);
  EXPECT_GT(again.job.version, job.version);
  EXPECT_NE(make_job("/other").id, job.id);
  EXPECT_NE(
      value_of(store().create_job(ctx_, JobKind::verify, collection_, "/pictures", {})).job.id,
      job.id);
  ASSERT_THAT(claim(job.id, "me"), IsOk());
  EXPECT_EQ(make_job().id, job.id);
  ASSERT_THAT(report(job.id, "me", JobState::done), IsOk());
  const Job next = make_job();
  EXPECT_GT(next.id, job.id);
  const auto jobs = value_of(store().list_jobs(ctx_, 2));
  ASSERT_THAT(jobs, SizeIs(2));
  EXPECT_EQ(jobs[0].id, next.id);  // newest first
}

TEST_P(MetadataStoreSuite, UnfinishedJobsAreListedHoweverOld) {
  const Job queued = make_job("/a"), running = make_job("/b"), paused = make_job("/c");
  ASSERT_THAT(claim(running.id, "me"), IsOk());
  ASSERT_THAT(ask(paused.id, JobState::paused), IsOk());
  ASSERT_THAT(ask(make_job("/d").id, JobState::cancelled), IsOk());
  const auto other = value_of(store().create_collection(ctx_, "other"));
  const Job elsewhere = value_of(store().create_job(ctx_, JobKind::verify, other.id, "", {})).job;
  const auto ids = [&](CollectionId collection) {
    std::vector<JobId> out;
    for (const Job& job : value_of(store().unfinished_jobs(ctx_, collection))) {
      out.push_back(job.id);
    }
    return out;
  };
  EXPECT_THAT(ids(collection_), ElementsAre(queued.id, running.id, paused.id));
  EXPECT_THAT(ids(other.id), ElementsAre(elsewhere.id));
  EXPECT_THAT(ids(0), ElementsAre(queued.id, running.id, paused.id, elsewhere.id));
}

TEST_P(MetadataStoreSuite, OldFinishedJobsAreForgotten) {
  const Job waiting = make_job("/waiting");
  const Job first = make_job("/done");
  ASSERT_THAT(ask(first.id, JobState::cancelled), IsOk());
  Job last;
  for (int i = 0; i < 1001; ++i) {
    last = make_job("/done");
    ASSERT_THAT(ask(last.id, JobState::cancelled), IsOk());
  }
  make_job("/next");
  EXPECT_THAT(store().get_job(ctx_, first.id), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().get_job(ctx_, last.id), IsOk());
  EXPECT_THAT(store().get_job(ctx_, waiting.id), IsOk());
}

TEST_P(MetadataStoreSuite, OneOwnerWorksUnderALease) {
  const Job job = make_job();
  const Job claimed = value_of(claim(job.id, "me"));
  EXPECT_EQ(claimed.state, JobState::running);
  EXPECT_EQ(claimed.owner, "me");
  EXPECT_GE(claimed.lease_until, claimed.started_at + kLease_s);
  EXPECT_GT(claimed.started_at, 0);
  EXPECT_GT(claimed.version, job.version);
  EXPECT_THAT(claim(job.id, "you"), FailsWith(ErrorCode::conflict));
  EXPECT_THAT(report(job.id, "you", JobState::running), FailsWith(ErrorCode::conflict));

  const Job reported = value_of(report(job.id, "me", JobState::running, 5));
  EXPECT_EQ(reported.counters.ready, 5);
  EXPECT_EQ(reported.worked_s, 2.5);
  EXPECT_GT(reported.version, claimed.version);

  // A lease that has run out is anybody's; its owner of before has lost the job.
  const Job other = make_job("/other");
  ASSERT_THAT(claim(other.id, "dead", 0), IsOk());
  EXPECT_EQ(value_of(claim(other.id, "you")).owner, "you");
  EXPECT_THAT(report(other.id, "dead", JobState::done), FailsWith(ErrorCode::conflict));
}

TEST_P(MetadataStoreSuite, AJobEndsOnce) {
  const Job job = make_job();
  ASSERT_THAT(claim(job.id, "me"), IsOk());
  JobUpdate update;
  update.state = JobState::failed;
  update.error = Error(ErrorCode::resource_exhausted, "the disk is full", "Free some space.");
  const Job failed = value_of(store().update_job(ctx_, job.id, "me", update, kLease_s));
  EXPECT_EQ(failed.state, JobState::failed);
  EXPECT_EQ(failed.owner, "");
  EXPECT_GT(failed.finished_at, 0);
  EXPECT_EQ(failed.error_code, "resource_exhausted");
  EXPECT_EQ(failed.error, "the disk is full");
  EXPECT_EQ(failed.error_hint, "Free some space.");
  EXPECT_THAT(claim(job.id, "me"), FailsWith(ErrorCode::conflict));
  for (const JobState state : {JobState::paused, JobState::queued, JobState::cancelled}) {
    EXPECT_THAT(ask(job.id, state), FailsWith(ErrorCode::conflict));
  }
}

TEST_P(MetadataStoreSuite, AnybodyPausesResumesAndCancels) {
  const Job job = make_job();
  EXPECT_EQ(value_of(ask(job.id, JobState::paused)).state, JobState::paused);
  EXPECT_THAT(claim(job.id, "me"), FailsWith(ErrorCode::conflict));
  EXPECT_EQ(value_of(ask(job.id, JobState::queued)).state, JobState::queued);
  ASSERT_THAT(claim(job.id, "me"), IsOk());
  const Job paused = value_of(ask(job.id, JobState::paused));
  EXPECT_EQ(paused.state, JobState::paused);
  EXPECT_EQ(paused.owner, "me");  // until it reports
  // Asking for what is so already changes nothing.
  EXPECT_EQ(value_of(ask(job.id, JobState::paused)).version, paused.version);
  const Job stopped = value_of(report(job.id, "me", JobState::running, 3));
  EXPECT_EQ(stopped.state, JobState::paused);
  EXPECT_EQ(stopped.counters.ready, 3);
  EXPECT_EQ(stopped.owner, "");

  const Job cancelled = value_of(ask(job.id, JobState::cancelled));
  EXPECT_EQ(cancelled.state, JobState::cancelled);
  EXPECT_GT(cancelled.finished_at, 0);
  EXPECT_EQ(value_of(ask(job.id, JobState::cancelled)).version, cancelled.version);
  EXPECT_THAT(ask(job.id, JobState::queued), FailsWith(ErrorCode::conflict));
  EXPECT_THAT(ask(make_job().id, JobState::done), FailsWith(ErrorCode::invalid_argument));
}

TEST_P(MetadataStoreSuite, WhatWasAskedMeanwhileHoldsAgainstTheOwnersReport) {
  const Job job = make_job();
  ASSERT_THAT(claim(job.id, "me"), IsOk());
  ASSERT_THAT(ask(job.id, JobState::paused), IsOk());
  ASSERT_THAT(ask(job.id, JobState::queued), IsOk());
  EXPECT_THAT(claim(job.id, "you"), FailsWith(ErrorCode::conflict));  // "me" still stops
  EXPECT_EQ(value_of(report(job.id, "me", JobState::paused)).state, JobState::queued);
  EXPECT_EQ(value_of(claim(job.id, "you")).owner, "you");
  ASSERT_THAT(ask(job.id, JobState::cancelled), IsOk());
  const Job late = value_of(report(job.id, "you", JobState::done, 9));
  EXPECT_EQ(late.state, JobState::cancelled);
  EXPECT_EQ(late.counters.ready, 9);
}

TEST_P(MetadataStoreSuite, AnOwnerHandsItsJobBack) {
  const Job job = make_job();
  ASSERT_THAT(claim(job.id, "me"), IsOk());
  const Job back = value_of(report(job.id, "me", JobState::queued, 2));
  EXPECT_EQ(back.state, JobState::queued);
  EXPECT_EQ(back.owner, "");
  const Job again = value_of(claim(job.id, "you"));
  EXPECT_EQ(again.counters.ready, 2);
}

TEST_P(MetadataStoreSuite, KeysAreKnownByTheirHash) {
  const auto made = value_of(store().create_key(ctx_, "laptop", "sk_ab", hash_of(1)));
  EXPECT_EQ(made.last_used_at, 0);
  const auto second = value_of(store().create_key(ctx_, "phone", "sk_cd", hash_of(2)));
  EXPECT_THAT(store().create_key(ctx_, "again", "sk_ab", hash_of(1)),
              FailsWith(ErrorCode::already_exists));
  const auto used = value_of(store().use_key(ctx_, hash_of(1)));
  EXPECT_EQ(used.id, made.id);
  EXPECT_EQ(used.name, "laptop");
  EXPECT_EQ(used.prefix, "sk_ab");
  EXPECT_GT(used.last_used_at, 0);
  auto keys = value_of(store().list_keys(ctx_));
  ASSERT_THAT(keys, SizeIs(2));
  EXPECT_EQ(keys[0].last_used_at, used.last_used_at);
  EXPECT_EQ(keys[1].last_used_at, 0);
  EXPECT_THAT(store().use_key(ctx_, hash_of(3)), FailsWith(ErrorCode::unauthenticated));
  EXPECT_THAT(store().use_key(ctx_, ContentHash{}), FailsWith(ErrorCode::unauthenticated));
  ASSERT_THAT(store().delete_key(ctx_, made.id), IsOk());
  EXPECT_THAT(store().use_key(ctx_, hash_of(1)), FailsWith(ErrorCode::unauthenticated));
  EXPECT_THAT(store().delete_key(ctx_, made.id), FailsWith(ErrorCode::not_found));
  EXPECT_GT(value_of(store().create_key(ctx_, "new", "sk_ef", hash_of(4))).id, second.id);
}

TEST_P(MetadataStoreSuite, AWatchedFolderIsWatchedUntilItsJobIsPausedOrEnds) {
  const auto again = [&](const BuildOptions& options) {
    return value_of(store().create_job(ctx_, JobKind::build, collection_, "/pictures", options))
        .job;
  };
  const Job job = again({.watch = true});
  EXPECT_TRUE(again({.hidden = true}).options.watch);
  ASSERT_THAT(claim(job.id, "me"), IsOk());
  const Job asked = again({.retry_failed = true});
  EXPECT_TRUE(asked.options.watch);
  EXPECT_TRUE(asked.options.retry_failed);
  EXPECT_FALSE(asked.options.hidden);

  JobUpdate update;
  update.counters.following = true;
  update.known_version = asked.version - 1;  // not knowing of what was asked for
  Job row = value_of(store().update_job(ctx_, job.id, "me", update, kLease_s));
  EXPECT_FALSE(row.counters.following);
  update.known_version = row.version;
  row = value_of(store().update_job(ctx_, job.id, "me", update, kLease_s));
  EXPECT_TRUE(row.counters.following);
  EXPECT_FALSE(again({}).counters.following);
  update.counters.following = false;
  update.counters.optimizing = true;
  row = value_of(store().update_job(ctx_, job.id, "me", update, kLease_s));
  EXPECT_TRUE(row.counters.optimizing);
  EXPECT_FALSE(row.counters.scanning || row.counters.following);

  ASSERT_THAT(store().set_job_state(ctx_, job.id, JobState::paused), IsOk());
  EXPECT_FALSE(again({}).options.watch);
}

}  // namespace
}  // namespace similis
