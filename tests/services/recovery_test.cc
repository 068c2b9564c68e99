#include <set>

#include "services/harness.h"

namespace similis {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

/// A process that dies at some call: before the call has worked or just after; nothing works any
/// more from then on.
struct Death {
  std::string call;
  int nth = 1;
  bool after = false;
};

class RecoveryTest : public ServicesTest {
 protected:
  void die_at(const Death& death) {
    hits_ = 0;
    dead_ = false;
    const auto check = [this, death](bool after) {
      return [this, death, after](const std::string& call) -> Status {
        std::lock_guard lock(mutex_);
        if (!dead_ && call == death.call && after == death.after && ++hits_ == death.nth) {
          dead_ = true;
        }
        if (dead_) return Error(ErrorCode::io_error, "died at " + death.call);
        return {};
      };
    };
    faults_.before = check(false);
    faults_.after = check(true);
  }
  bool died() {
    std::lock_guard lock(mutex_);
    return dead_;
  }

  /// The state before: some pictures, indexed.
  void begin_with(int round) {
    std::filesystem::remove_all(root_);
    for (int i = 0; i < 30; ++i) {
      write("old/" + std::to_string(i) + ".jpg", picture_bytes(i, round, 1));
    }
    write("old/turns_bad.jpg", picture_bytes(99, round, 1));
  }

  /// Every kind of change. 38 pictures afterwards, and a broken one.
  void change(int round) {
    for (int i = 0; i < 12; ++i) {
      write("new" + std::to_string(round) + "/" + std::to_string(i) + ".jpg",
            picture_bytes(i, round, 2));
    }
    for (int i = 0; i < 5; ++i) {
      write("old/" + std::to_string(i) + ".jpg", picture_bytes(i, round, 3, "changed"));
      move("old/" + std::to_string(10 + i) + ".jpg", "moved/" + std::to_string(i) + ".jpg");
      remove("old/" + std::to_string(20 + i) + ".jpg");
    }
    std::filesystem::last_write_time(
        path("old/6.jpg"),
        std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * round));
    write("old/turns_bad.jpg", picture_bytes(99, round, 1, "BROKEN"));
    write("copy.jpg", picture_bytes(7, round, 1));
  }
  static constexpr std::size_t kAfterChange = 38;

  /// A build that dies there, and its process with it. False when it ended before.
  bool build_until(const Death& death, const std::string& collection) {
    die_at(death);
    const auto started = jobs_->start_build(ctx_, collection, root_, {}, "");
    start_running();
    const auto until = Context::Clock::now() + std::chrono::seconds(20);
    while (!died() && Context::Clock::now() < until) {
      const auto job = jobs_->get(ctx_, started.value().job.id);
      if (job.ok() && is_finished(job->state)) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    restart();  // joins what still runs, with all calls failing
    faults_.clear();
    return died();
  }

  std::mutex mutex_;
  int hits_ = 0;
  bool dead_ = false;
};

/// Whatever call a build dies at, recovery leaves nothing half done and the next build ends as if
/// nothing had happened.
TEST_F(RecoveryTest, ABuildThatDiesAnywhereIsFinishedByTheNext) {
  int round = 0;
  for (const std::string call :
       {"metadata.intern_folder", "metadata.intern_folders", "metadata.put_root",
        "metadata.put_pending", "metadata.mark_ready", "metadata.mark_failed",
        "metadata.move_images", "metadata.touch_images", "metadata.begin_removal",
        "metadata.finish_removal", "metadata.finish_scan", "metadata.find_by_hash",
        "vectors.upsert", "vectors.update_attributes", "vectors.erase", "blobs.put_thumbnail",
        "metadata.claim_job"}) {
    for (const bool after : {false, true}) {
      SCOPED_TRACE(call + (after ? ", after it has worked" : ", before it works"));
      begin_with(++round);
      ASSERT_EQ(build().state, JobState::done);
      change(round);
      ASSERT_TRUE(build_until({call, 1, after}, "pictures"));

      // Recovery alone leaves rows and vectors in step.
      ASSERT_THAT(jobs_->recover(ctx_), IsOk());
      for (const RowState state : {RowState::pending, RowState::removing}) {
        EXPECT_THAT(value_of(sqlite_->scan_images(ctx_, collection().id, state, 0, 10)), IsEmpty());
      }
      std::set<ImageId> ready;
      for (const auto& [name, row] : rows()) ready.insert(row.id);
      for (const auto& [id, entry] : vectors_.entries()) EXPECT_TRUE(ready.contains(id)) << id;

      const Job job = build();
      EXPECT_EQ(job.state, JobState::done) << job.error;
      EXPECT_THAT(rows(), SizeIs(kAfterChange));
      EXPECT_THAT(failures(), SizeIs(1));
      expect_consistent();
      if (HasFailure()) return;
    }
  }
}

TEST_F(RecoveryTest, AnIndexThatWasHalfMadeIsMadeWhole) {
  int round = 0;
  for (const std::string call : {"metadata.create_index", "vectors.create_index"}) {
    for (const bool after : {false, true}) {
      SCOPED_TRACE(call + (after ? ", after it has worked" : ", before it works"));
      begin_with(++round);
      change(round);
      const std::string fresh = "fresh" + std::to_string(round);
      // The vector store's call has no after.
      EXPECT_TRUE(build_until({call, 1, after}, fresh) || (after && call.starts_with("vectors")));
      const auto again = value_of(jobs_->start_build(ctx_, fresh, root_, {}, ""));
      start_running();
      const Job job = wait_until_finished(again.job.id);
      EXPECT_EQ(job.state, JobState::done) << job.error;
      EXPECT_EQ(value_of(sqlite_->counts(ctx_, job.collection)).ready,
                static_cast<std::int64_t>(kAfterChange));
      EXPECT_THAT(value_of(sqlite_->list_indexes(ctx_, job.collection)), SizeIs(1));
    }
  }
}

TEST_F(RecoveryTest, AnUploadThatDiedIsFinishedOrGone) {
  value_of(sqlite_->create_collection(ctx_, "pictures"));
  const std::string bytes = picture_bytes(1, 2, 3);
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  const UploadFile file{
      "a.jpg", std::make_shared<std::vector<std::byte>>(data, data + bytes.size()), {}};
  for (const Death& death : {Death{"blobs.put_upload", 1, true},
                             {"metadata.put_pending", 1, true},
                             {"vectors.upsert", 1, true},
                             {"metadata.mark_ready", 1, true}}) {
    SCOPED_TRACE(death.call);
    die_at(death);
    EXPECT_FALSE(uploads_->upload(ctx_, "pictures", std::span(&file, 1)).ok());
    faults_.clear();
    restart();
    ASSERT_THAT(jobs_->recover(ctx_), IsOk());
    expect_consistent();
    const auto again = value_of(uploads_->upload(ctx_, "pictures", std::span(&file, 1)));
    EXPECT_NE(again.at(0).status, UploadStatus::failed);
    EXPECT_THAT(rows(), SizeIs(1));
    expect_consistent();
    const ImageId id = rows().begin()->second.id;
    ASSERT_THAT(sqlite_->begin_removal(ctx_, collection().id, std::span(&id, 1)), IsOk());
    ASSERT_THAT(jobs_->recover(ctx_), IsOk());  // finishes the removal
    EXPECT_THAT(rows(), IsEmpty());
    expect_consistent();
  }
}

TEST_F(RecoveryTest, IdsStayAboveThoseOfVectors) {
  write("a.jpg", picture_bytes(1, 2, 3));
  build();
  const std::vector<float> vector(8, 1.0F);
  const VectorUpsert far{1'000'000, vector, {}};
  value_of(vectors_.upsert(ctx_, collection().active_index, std::span(&far, 1)));
  ASSERT_THAT(jobs_->recover(ctx_), IsOk());
  write("b.jpg", picture_bytes(2, 2, 3));
  build();
  EXPECT_GT(rows().at("b.jpg").id, 1'000'000);
}

TEST_F(RecoveryTest, AMissingModelLeavesThingsForLater) {
  write("a.jpg", picture_bytes(1, 2, 3));
  die_at({"metadata.put_pending", 1, true});
  const auto started = jobs_->start_build(ctx_, "pictures", root_, {}, "");
  start_running();
  while (!died()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  restart();
  faults_.clear();
  models_.missing = true;
  EXPECT_THAT(jobs_->recover(ctx_), IsOk());
  EXPECT_EQ(value_of(sqlite_->counts(ctx_, collection().id)).pending, 1);
  models_.missing = false;
  EXPECT_THAT(jobs_->recover(ctx_), IsOk());
  expect_consistent();
  EXPECT_THAT(rows(), SizeIs(1));
}

}  // namespace
}  // namespace similis
