#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "services/harness.h"
#include "services/library_service.h"

// What the services make of stores that are damaged, lost or out of step.
namespace similis {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class DamageTest : public ServicesTest {
 protected:
  void build_pictures(int count) {
    for (int i = 0; i < count; ++i) {
      write(std::to_string(i) + ".jpg", picture_bytes(i, 20, 30));
    }
    ASSERT_EQ(build().state, JobState::done);
  }
  Job verify() {
    const auto job = value_of(jobs_->start_verify(ctx_, "pictures")).job;
    start_running();
    const Job done = wait_until_finished(job.id);
    EXPECT_EQ(done.state, JobState::done) << done.error;
    findings_ = value_of(jobs_->findings(ctx_, job.id));
    return done;
  }
  ImageId id_of(const std::string& name) { return rows().at(name).id; }
  IndexId index() { return collection().active_index; }
  /// As another program might.
  void change(const std::string& sql) const {
    soci::session session(soci::sqlite3, "db=" + (dir_ / "data" / "similis.db").native());
    session << sql;
  }
  /// As a query does it.
  Result<std::vector<VectorHits>> search() {
    const std::vector<float> vector(8, 1.0F);
    const VectorSearch one{vector, 10, nullptr, collection().token};
    return vectors_.search(ctx_, index(), std::span(&one, 1));
  }

  std::vector<std::string> findings_;
};

TEST_F(DamageTest, VerifyTellsWhatItFoundWhenTheIndexDoesNotOpen) {
  build_pictures(3);
  vectors_.damage(index(), {"collections/1/indexes/1/MANIFEST", 12, "its checksum is wrong"});
  vectors_.break_index(index());
  blobs_.damage({"blobs/ab/cd", 0, "does not match its name"});
  const Job done = verify();
  EXPECT_THAT(findings_, Contains(HasSubstr("indexes/1/MANIFEST: its checksum is wrong")));
  EXPECT_THAT(findings_, Contains(HasSubstr("does not open")));
  EXPECT_THAT(findings_, Contains(HasSubstr("blobs/ab/cd")));
  EXPECT_EQ(done.counters.failed, static_cast<std::int64_t>(findings_.size()));
}

TEST_F(DamageTest, VerifyGoesOnBehindADamagedRowAndKeepsItsVector) {
  build_pictures(4);
  const ImageId damaged = id_of("1.jpg"), lost = id_of("3.jpg");
  change("UPDATE image SET size_bytes = size_bytes + 1 WHERE id = " + std::to_string(damaged));
  value_of(vectors_.erase(ctx_, index(), std::span(&lost, 1)));
  verify();
  EXPECT_THAT(findings_, Contains(HasSubstr("row image " + std::to_string(damaged))));
  EXPECT_THAT(findings_, Contains(HasSubstr("its vector was missing; it was made again")));
  EXPECT_THAT(findings_, SizeIs(2));
  EXPECT_TRUE(vectors_.entries().contains(damaged));
  EXPECT_TRUE(vectors_.entries().contains(lost));
}

TEST_F(DamageTest, ADamagedRowIsLeftOutAndCanBeRemoved) {
  build_pictures(3);
  const ImageId damaged = id_of("1.jpg");
  change("UPDATE image SET name = 'wrong' WHERE id = " + std::to_string(damaged));
  LibraryService library(*ports_);
  EXPECT_THAT(value_of(library.list_images(ctx_, "pictures", {})).rows, SizeIs(2));
  EXPECT_EQ(library.get_image(ctx_, "pictures", damaged).error().code, ErrorCode::corruption);
  EXPECT_THAT(library.remove_image(ctx_, "pictures", damaged), IsOk());
  EXPECT_EQ(library.remove_image(ctx_, "pictures", damaged).error().code, ErrorCode::not_found);
  EXPECT_EQ(build().counters.ready, 1);  // its file comes back
  expect_consistent();
}

TEST_F(DamageTest, ADamagedRowThatWasBeingRemovedGoes) {
  build_pictures(3);
  const ImageId damaged = id_of("1.jpg");
  ASSERT_THAT(sqlite_->begin_removal(ctx_, collection().id, std::span(&damaged, 1)), IsOk());
  change("UPDATE image SET camera = 'wrong' WHERE id = " + std::to_string(damaged));
  ASSERT_THAT(jobs_->recover(ctx_), IsOk());
  EXPECT_THAT(value_of(sqlite_->scan_image_ids(ctx_, collection().id, RowState::removing, 0, 10)),
              IsEmpty());
  EXPECT_FALSE(vectors_.entries().contains(damaged));
}

TEST_F(DamageTest, ALostIndexIsMadeAgainAndAnswers) {
  build_pictures(4);
  for (int i = 0; i < 20; ++i) {
    write("0.jpg", picture_bytes(i, 90, 30));  // the database knows of many writes
    build();
  }
  const auto before = collection();
  vectors_.lose_index(index());
  EXPECT_EQ(search().error().code, ErrorCode::not_found);
  verify();
  EXPECT_THAT(findings_, Contains(HasSubstr("is missing; it is made again")));
  const auto hits = search();
  ASSERT_THAT(hits, IsOk());
  EXPECT_THAT(hits->front().hits, SizeIs(4));
  EXPECT_LT(collection().token, before.token);
  EXPECT_GT(collection().epoch, before.epoch);
  expect_consistent();
  verify();
  EXPECT_THAT(findings_, IsEmpty());
}

TEST_F(DamageTest, VerifySendsAttributesThatDiffer) {
  build_pictures(3);
  const ImageId id = id_of("1.jpg");
  Attributes wrong = attributes_of(rows().at("1.jpg"));
  wrong.tags = {"stale"};
  vectors_.set_attributes(id, wrong);
  const auto before = collection();
  const Job done = verify();
  EXPECT_THAT(findings_, ElementsAre(AllOf(HasSubstr("1.jpg"), HasSubstr("sent again"))));
  EXPECT_EQ(done.counters.unchanged, 2);
  EXPECT_GT(collection().epoch, before.epoch);
  expect_consistent();
  verify();
  EXPECT_THAT(findings_, IsEmpty());
}

TEST_F(DamageTest, TagsThatTheDatabaseDoesNotTakeAreNotLeftInFilters) {
  build_pictures(2);
  LibraryService library(*ports_);
  const ImageId id = id_of("1.jpg");
  value_of(library.set_tags(ctx_, "pictures", id, {"old"}));
  for (const bool after : {false, true}) {
    (after ? faults_.after : faults_.before) = [](const std::string& call) -> Status {
      if (call != "metadata.set_tags") return {};
      return Error(ErrorCode::resource_exhausted, "database or disk is full");
    };
    EXPECT_EQ(library.set_tags(ctx_, "pictures", id, {"new"}).error().code,
              ErrorCode::resource_exhausted);
    faults_.clear();
    expect_consistent();
  }
}

TEST_F(DamageTest, TagsFromSeveralSidesAndAReindexEndTheSameInBothStores) {
  build_pictures(6);
  LibraryService library(*ports_);
  std::vector<ImageId> ids;
  for (const auto& [name, row] : rows()) ids.push_back(row.id);
  // Between the two stores is where others come in.
  faults_.after = [](const std::string& call) -> Status {
    if (call.starts_with("vectors.")) std::this_thread::sleep_for(std::chrono::microseconds(300));
    return {};
  };
  for (int round = 0; round < 8; ++round) {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 4; ++i) {
          const std::string tag = "t" + std::to_string(t) + std::to_string(i);
          for (const ImageId id : ids) {
            EXPECT_THAT(library.set_tags(ctx_, "pictures", id, {tag}), IsOk());
          }
        }
      });
    }
    for (int i = 0; i < 6; ++i) {
      write(std::to_string(i) + ".jpg",
            picture_bytes(i, 20, round, std::string(static_cast<std::size_t>(round) + 1, ' ')));
    }
    EXPECT_EQ(build().state, JobState::done);
    threads.clear();
    expect_consistent();
    if (HasFailure()) return;
  }
}

TEST_F(DamageTest, AnIndexThatDoesNotOpenHidesNoCollection) {
  build_pictures(3);
  const auto other = value_of(jobs_->start_build(ctx_, "others", root_, {}, "")).job;
  wait_until_finished(other.id);
  vectors_.break_index(index());
  LibraryService library(*ports_);
  const auto all = value_of(library.list_collections(ctx_));
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].index.rows, 3);
  EXPECT_FALSE(all[0].index_error);
  EXPECT_EQ(all[1].collection.name, "pictures");
  EXPECT_EQ(all[1].counts.ready, 3);
  ASSERT_TRUE(all[1].index_error);
  EXPECT_EQ(all[1].index_error->code, ErrorCode::corruption);
  EXPECT_TRUE(value_of(library.get_collection(ctx_, "pictures")).index_error);
}

TEST_F(DamageTest, OldUnfinishedJobsAreNotForgotten) {
  build_pictures(1);
  stop_running();
  const auto waiting = value_of(jobs_->start_build(ctx_, "pictures", root_, {}, "")).job;
  const auto others = value_of(sqlite_->create_collection(ctx_, "others"));
  for (int i = 0; i < 1100; ++i) {
    const auto job = value_of(
        sqlite_->create_job(ctx_, JobKind::build, others.id, "/none/" + std::to_string(i), {}));
    value_of(sqlite_->set_job_state(ctx_, job.job.id, JobState::paused));
  }
  LibraryService library(*ports_);
  EXPECT_EQ(library.delete_collection(ctx_, "pictures").error().code, ErrorCode::conflict);
  start_running();
  EXPECT_EQ(wait_until_finished(waiting.id).state, JobState::done);
}

TEST_F(DamageTest, IndexesOfNoCollectionGoAtTheStart) {
  build_pictures(2);
  stop_running();
  ASSERT_THAT(vectors_.create_index(ctx_, 77, 99, 8), IsOk());
  const std::vector<float> vector(8, 1.0F);
  const VectorUpsert stray{5000, vector, {}};
  value_of(vectors_.upsert(ctx_, 99, std::span(&stray, 1)));
  restart();
  EXPECT_EQ(build().state, JobState::done);
  const auto left = value_of(vectors_.list_indexes(ctx_));
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].index, index());
  expect_consistent();
  write("new.jpg", picture_bytes(9, 9, 9));
  build();
  EXPECT_GT(id_of("new.jpg"), 5000);  // its ids are not given again
}

}  // namespace
}  // namespace similis
