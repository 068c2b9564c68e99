#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <random>

#include "base/file.h"
#include "services/harness.h"

namespace similis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

namespace fs = std::filesystem;

class BuildTest : public ServicesTest {};

TEST_F(BuildTest, TakesInPicturesAndCountsTheRest) {
  write("a.jpg", picture_bytes(10, 20, 30));
  write("sub/deep/b.dat", picture_bytes(200, 20, 30));  // by content, not by name
  write("notes.txt", "some words");
  write("sub/film.mov", std::string("\0\0\0\x14"
                                    "ftypqt  \0\0\0\0qt  ",
                                    20));
  write(".hidden/c.jpg", picture_bytes(1, 2, 3));
  write("broken.jpg", picture_bytes(1, 2, 3, "BROKEN"));
  write("empty.jpg", "");
  fs::create_symlink(path("a.jpg"), path("link.jpg"));       // inside the root: a file
  fs::create_symlink("/etc/hostname", path("outside.jpg"));  // outside: not followed
  fs::create_directory_symlink(root_, path("loop"));         // never followed

  const Job job = build();
  EXPECT_EQ(job.state, JobState::done) << job.error;
  EXPECT_EQ(job.counters.found, 5);
  EXPECT_EQ(job.counters.ready, 3);
  EXPECT_EQ(job.counters.failed, 2);
  EXPECT_EQ(job.counters.skipped, 4);
  EXPECT_FALSE(job.counters.scanning);
  EXPECT_THAT(rows(), UnorderedElementsAre(Key("a.jpg"), Key("sub/deep/b.dat"), Key("link.jpg")));
  EXPECT_THAT(failures(),
              UnorderedElementsAre(Pair("broken.jpg", "unreadable_media: JPEG ends early"),
                                   Pair("empty.jpg", HasSubstr("unreadable_media"))));
  const auto roots = value_of(sqlite_->list_roots(ctx_, collection().id));
  ASSERT_THAT(roots, SizeIs(1));
  EXPECT_THAT(roots[0].skipped,
              UnorderedElementsAre(Pair("txt", 1), Pair("mov", 1), Pair("link", 2)));
  expect_consistent();
}

TEST_F(BuildTest, LeavesTheUnchangedUnopened) {
  write("a.jpg", picture_bytes(10, 20, 30));
  write("b.jpg", picture_bytes(20, 20, 30));
  write("broken.jpg", "\xFF\xD8\xFF nothing BROKEN");
  build();
  decoder_.decoded = 0;
  Job job = build();
  EXPECT_EQ(job.counters.unchanged, 2);
  EXPECT_EQ(job.counters.ready, 0);
  EXPECT_EQ(job.counters.failed, 1);  // it still is one
  EXPECT_EQ(job.counters.found, job.counters.done());
  EXPECT_EQ(decoder_.decoded, 0);

  job = build({.retry_failed = true});
  EXPECT_EQ(decoder_.decoded, 1);
  EXPECT_EQ(job.counters.failed, 1);
  expect_consistent();
}

TEST_F(BuildTest, AChangedFileKeepsItsIdAndTags) {
  write("a.jpg", picture_bytes(10, 20, 30));
  build();
  const ImageId id = rows().at("a.jpg").id;
  ASSERT_THAT(sqlite_->set_tags(ctx_, collection().id, id, std::vector<std::string>{"cat"}, 0),
              IsOk());
  write("a.jpg", picture_bytes(200, 20, 30, "longer"));
  const Job job = build();
  EXPECT_EQ(job.counters.ready, 1);
  const auto after = rows().at("a.jpg");
  EXPECT_EQ(after.id, id);
  EXPECT_THAT(after.tags, ElementsAre("cat"));
  EXPECT_EQ(after.classes.front().name, "red");
  expect_consistent();
}

TEST_F(BuildTest, ATouchedFileIsNotEmbeddedAgain) {
  write("a.jpg", picture_bytes(10, 20, 30));
  build();
  const utimbuf times{1'600'000'000, 1'600'000'000};
  ASSERT_EQ(utime(path("a.jpg").c_str(), &times), 0);
  const int embedded = models_.embedder->embedded;
  Job job = build();
  EXPECT_EQ(job.counters.unchanged, 1);
  EXPECT_EQ(models_.embedder->embedded, embedded);
  EXPECT_EQ(rows().at("a.jpg").mtime_ns, 1'600'000'000'000'000'000);
  expect_consistent();  // the date that filters see, too
}

TEST_F(BuildTest, AMovedFileKeepsItsId) {
  write("old/a.jpg", picture_bytes(10, 20, 30));
  write("old/b.jpg", picture_bytes(20, 20, 30));
  build();
  const auto before = rows();
  const int embedded = models_.embedder->embedded;
  move("old", "new/place");
  const Job job = build();
  EXPECT_EQ(job.counters.moved, 2);
  EXPECT_EQ(job.counters.removed, 0);
  EXPECT_EQ(job.counters.ready, 0);
  const auto after = rows();
  ASSERT_THAT(after, SizeIs(2));
  EXPECT_EQ(after.at("new/place/a.jpg").id, before.at("old/a.jpg").id);
  EXPECT_EQ(after.at("new/place/b.jpg").id, before.at("old/b.jpg").id);
  EXPECT_EQ(models_.embedder->embedded, embedded);
  expect_consistent();
}

TEST_F(BuildTest, AnIdIsHandedOverOnce) {
  write("a.jpg", picture_bytes(10, 20, 30));
  build();
  const ImageId id = rows().at("a.jpg").id;
  move("a.jpg", "b.jpg");
  fs::copy(path("b.jpg"), path("c.jpg"));
  const Job job = build();
  EXPECT_EQ(job.counters.moved, 1);
  EXPECT_EQ(job.counters.ready, 1);
  EXPECT_EQ(job.counters.removed, 0);
  const auto after = rows();
  ASSERT_THAT(after, UnorderedElementsAre(Key("b.jpg"), Key("c.jpg")));
  EXPECT_TRUE((after.at("b.jpg").id == id) != (after.at("c.jpg").id == id));
  EXPECT_EQ(models_.embedder->embedded, 1);
  expect_consistent();
}

TEST_F(BuildTest, TwoFilesThatTradePlacesTradeContents) {
  write("a.jpg", picture_bytes(10, 20, 30));
  write("b.jpg", picture_bytes(200, 20, 30, "longer"));
  build();
  const auto before = rows();
  move("a.jpg", "t");
  move("b.jpg", "a.jpg");
  move("t", "b.jpg");
  build();
  EXPECT_EQ(rows().at("a.jpg").id, before.at("a.jpg").id);
  EXPECT_EQ(rows().at("a.jpg").facts.content_hash, before.at("b.jpg").facts.content_hash);
  expect_consistent();
}

TEST_F(BuildTest, DeletedFilesGo) {
  write("a.jpg", picture_bytes(10, 20, 30));
  write("sub/b.jpg", picture_bytes(20, 20, 30));
  write("sub/c.jpg", picture_bytes(30, 20, 30));
  write("d.jpg", picture_bytes(40, 20, 30));
  build();
  blobs_.make_older(7200);
  remove("sub");
  remove("d.jpg");
  write("a.jpg", "no picture any more, and text at that");
  write("e.jpg", picture_bytes(50, 20, 30));
  const Job job = build();
  EXPECT_EQ(job.counters.removed, 4);
  EXPECT_THAT(rows(), ElementsAre(Key("e.jpg")));
  EXPECT_EQ(blobs_.count(BlobKind::thumbnail), 1U);
  expect_consistent();
}

/// Folders one in another, so deep that the innermost cannot be opened by its path: what even the
/// superuser cannot read.
void make_too_deep(const std::string& root) {
  int at = open(root.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 20; ++i) {
    const std::string name(250, 'x');
    ASSERT_EQ(mkdirat(at, name.c_str(), 0700), 0);
    const int next = openat(at, name.c_str(), O_RDONLY | O_DIRECTORY);
    close(at);
    at = next;
  }
  close(at);
}

TEST_F(BuildTest, NothingIsRemovedWhileSomethingCannotBeRead) {
  write("a.jpg", picture_bytes(10, 20, 30));
  write("b.jpg", picture_bytes(20, 20, 30));
  build();
  remove("a.jpg");
  make_too_deep(root_);
  const Job job = build();
  EXPECT_EQ(job.state, JobState::done);
  EXPECT_EQ(job.counters.removed, 0);
  EXPECT_THAT(rows(), SizeIs(2));
  const auto roots = value_of(sqlite_->list_roots(ctx_, collection().id));
  EXPECT_THAT(roots.at(0).skipped, ElementsAre(Pair("unreadable folder", 1)));

  remove(std::string(250, 'x'));
  EXPECT_EQ(build().counters.removed, 1);
  EXPECT_THAT(rows(), SizeIs(1));
}

TEST_F(BuildTest, AMissingOrEmptyRootRemovesNothing) {
  write("a.jpg", picture_bytes(10, 20, 30));
  build();
  const auto started = value_of(jobs_->start_build(ctx_, "pictures", root_, {}, ""));
  wait_until_finished(started.job.id);
  stop_running();

  // Gone between being asked for and being worked on.
  const auto queued = value_of(jobs_->start_build(ctx_, "pictures", root_, {}, ""));
  fs::rename(root_, dir_ / "elsewhere");
  start_running();
  Job job = wait_until_finished(queued.job.id);
  EXPECT_EQ(job.state, JobState::failed);
  EXPECT_EQ(job.error_code, "not_found");
  EXPECT_EQ(jobs_->start_build(ctx_, "pictures", root_, {}, "").error().code, ErrorCode::not_found);

  fs::create_directory(root_);  // the mount point without its disk
  job = build();
  EXPECT_EQ(job.state, JobState::failed);
  EXPECT_EQ(job.error_code, "unavailable");
  EXPECT_THAT(job.error_hint, HasSubstr("mounted"));
  EXPECT_THAT(value_of(sqlite_->counts(ctx_, collection().id)).ready, 1);
  EXPECT_THAT(vectors_.entries(), SizeIs(1));
  fs::remove(root_);
  fs::rename(dir_ / "elsewhere", root_);
}

TEST_F(BuildTest, WhatIsWrittenWhileTheScanGoesOnIsNotGone) {
  for (int i = 0; i < 800; ++i) {
    write(std::to_string(i) + "/a.jpg", picture_bytes(i % 256, i / 256, 3));
  }
  const Job job = build();
  EXPECT_EQ(job.counters.ready, 800);
  EXPECT_EQ(job.counters.removed, 0);
  EXPECT_THAT(rows(), SizeIs(800));
}

TEST_F(BuildTest, EqualFilesShareOneEmbedding) {
  for (int i = 0; i < 40; ++i) write("copy" + std::to_string(i) + ".jpg", picture_bytes(9, 9, 9));
  const Job job = build();
  EXPECT_EQ(job.counters.ready, 40);
  EXPECT_EQ(models_.embedder->embedded, 1);
  EXPECT_EQ(decoder_.decoded, 1);
  EXPECT_THAT(rows(), SizeIs(40));
  expect_consistent();
}

TEST_F(BuildTest, EqualBrokenFilesAreDecodedOnce) {
  for (int i = 0; i < 10; ++i) {
    write("copy" + std::to_string(i) + ".jpg", picture_bytes(9, 9, 9, "BROKEN"));
  }
  EXPECT_EQ(build().counters.failed, 10);
  EXPECT_EQ(decoder_.decoded, 1);
  EXPECT_THAT(failures(), SizeIs(10));
}

TEST_F(BuildTest, AFileThatBreaksLosesItsOldAnswer) {
  write("a.jpg", picture_bytes(10, 20, 30));
  write("b.jpg", picture_bytes(20, 20, 30));
  build();
  const ImageId id = rows().at("a.jpg").id;
  write("a.jpg", picture_bytes(10, 20, 30, "BROKEN"));
  EXPECT_EQ(build().counters.failed, 1);
  EXPECT_THAT(rows(), ElementsAre(Key("b.jpg")));
  expect_consistent();
  write("a.jpg", picture_bytes(10, 20, 30, "whole again"));
  EXPECT_EQ(build().counters.ready, 1);
  EXPECT_EQ(rows().at("a.jpg").id, id);
  expect_consistent();
}

TEST_F(BuildTest, APictureTheModelCannotEmbedFailsAlone) {
  for (int i = 0; i < 12; ++i) write(std::to_string(i) + ".jpg", picture_bytes(i, 1, 1));
  int calls = 0;
  models_.embedder->before_embed = [&]() -> Status {
    // The whole batch, then the second picture of it alone.
    ++calls;
    if (calls == 1 || calls == 3) return Error(ErrorCode::internal, "not finite");
    return {};
  };
  const Job job = build();
  EXPECT_EQ(job.state, JobState::done);
  EXPECT_EQ(job.counters.ready, 11);
  EXPECT_EQ(job.counters.failed, 1);
  expect_consistent();
}

TEST_F(BuildTest, FileTooLargeIsAFailureThatNamesTheLimit) {
  limits_.file_bytes_max = 100;
  restart();
  write("big.jpg", picture_bytes(1, 2, 3, std::string(200, 'x')));
  write("small.jpg", picture_bytes(1, 2, 3));
  EXPECT_EQ(build().counters.failed, 1);
  EXPECT_THAT(failures(), ElementsAre(Pair("big.jpg", HasSubstr("too_large"))));
}

TEST_F(BuildTest, TheDataFolderIsNotEntered) {
  limits_.never_inside = path("data");
  restart();
  write("data/thumb.jpg", picture_bytes(1, 2, 3));
  write("a.jpg", picture_bytes(1, 2, 4));
  build();
  EXPECT_THAT(rows(), ElementsAre(Key("a.jpg")));
}

TEST_F(BuildTest, NamesAreBytes) {
  const std::string name = "caf\xE9 \xFF\n.jpg";  // not UTF-8
  write(name, picture_bytes(1, 2, 3));
  build();
  EXPECT_THAT(rows(), ElementsAre(Key(name)));
  EXPECT_EQ(build().counters.unchanged, 1);
}

/// Random edits of a tree; after each scan rows and vectors are those of a fresh index.
TEST_F(BuildTest, FollowsRandomEdits) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto pick = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
  std::map<std::string, std::string> model;  // path -> bytes
  int version = 0;
  write("keep.jpg", picture_bytes(1, 1, 1));
  model["keep.jpg"] = picture_bytes(1, 1, 1);
  for (int round = 0; round < 8; ++round) {
    for (int edit = 0; edit < 12; ++edit) {
      const std::string name = std::string(1, static_cast<char>('a' + pick(3))) + "/" +
                               std::to_string(pick(12)) + ".jpg";
      switch (pick(4)) {
        case 0:
        case 1: {  // few contents, so that equal ones meet
          const std::string bytes = picture_bytes(pick(6) * 40, 7, 7, std::to_string(pick(3)));
          write(name, bytes + std::string(static_cast<std::size_t>(++version % 50), ' '));
          model[name] = bytes;
          break;
        }
        case 2:
          remove(name);
          model.erase(name);
          break;
        default: {
          if (!model.contains(name)) break;
          const std::string to = "d/" + std::to_string(pick(12)) + ".jpg";
          move(name, to);
          model[to] = model[name];
          model.erase(name);
        }
      }
    }
    const Job job = build();
    ASSERT_EQ(job.state, JobState::done) << job.error;
    EXPECT_EQ(job.counters.failed, 0);
    std::vector<std::string> want, have;
    for (const auto& [name, bytes] : model) want.push_back(name);
    for (const auto& [name, row] : rows()) have.push_back(name);
    ASSERT_EQ(have, want) << "round " << round;
    expect_consistent();
    if (HasFailure()) return;
  }
}

TEST_F(BuildTest, AFileThatCannotBeReadNowKeepsItsRow) {
  write("noextension", picture_bytes(10, 20, 30));
  build();
  const ImageId id = rows().at("noextension").id;
  write("noextension", picture_bytes(11, 20, 30, "changed"));
  // A lease makes it unreadable for everybody else, the superuser included.
  ASSERT_NE(std::signal(SIGIO, SIG_IGN), SIG_ERR);
  const File held(::open(path("noextension").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::fcntl(held.fd(), F_SETLEASE, F_WRLCK), 0) << std::strerror(errno);
  const Job job = build();
  EXPECT_EQ(job.state, JobState::done);
  EXPECT_EQ(job.counters.removed, 0);
  EXPECT_EQ(job.counters.skipped, 1);
  EXPECT_EQ(rows().at("noextension").id, id);
  ASSERT_EQ(::fcntl(held.fd(), F_SETLEASE, F_UNLCK), 0);
  EXPECT_EQ(build().counters.ready, 1);
  EXPECT_EQ(rows().at("noextension").id, id);
}

// Its hash is of other bytes than what was decoded: equal files must not take over that answer.
TEST_F(BuildTest, AFileThatChangesWhileItIsReadIsReadAgain) {
  write("a.jpg", picture_bytes(10, 20, 200));
  decoder_.before_decode = [&] { write("a.jpg", picture_bytes(200, 20, 30, "longer")); };
  EXPECT_EQ(build().counters.failed, 1);
  EXPECT_THAT(failures(), ElementsAre(Pair("a.jpg", HasSubstr("changed while it was read"))));
  decoder_.before_decode = {};
  EXPECT_EQ(build().counters.ready, 1);
  EXPECT_EQ(rows().at("a.jpg").classes.front().name, "red");
  expect_consistent();
}

TEST_F(BuildTest, TheConfigurationMayAskForHiddenFilesAlways) {
  write(".hidden.jpg", picture_bytes(10, 20, 30));
  EXPECT_EQ(build().counters.ready, 0);
  limits_.hidden = true;
  restart();
  EXPECT_EQ(build().counters.ready, 1);
}

}  // namespace
}  // namespace similis
