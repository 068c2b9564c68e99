// Collections that are exported, and archives that are imported.

#include <fcntl.h>
#include <sys/stat.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "archive/tar_writer.h"
#include "core/sha256.h"
#include "services/harness.h"
#include "services/library_service.h"
#include "wire/export_format.h"

namespace similis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class ArchiveTest : public ServicesTest {
 protected:
  using Members = std::vector<std::pair<std::string, std::string>>;

  std::string write_tar(const Members& members, const std::string& name = "set.tar") {
    const std::string at = (dir_ / name).string();
    std::filesystem::remove(at);
    auto tar = TarWriter::create(at, "test");
    EXPECT_THAT(tar, IsOk());
    if (!tar.ok()) return at;
    for (const auto& [member, bytes] : members) {
      EXPECT_THAT(tar->add(member, std::as_bytes(std::span(bytes)), 1'000'000'000), IsOk());
    }
    EXPECT_THAT(tar->finish(), IsOk());
    return at;
  }
  Members read_tar(const std::string& at) {
    Members out;
    const File file = value_of(File::open(at, O_RDONLY));
    const Status read = unpacker_->unpack(
        ctx_, file, 1 << 30,
        {[](std::string_view, std::optional<std::uint64_t>) { return Result<bool>(true); },
         [&](ArchiveMember member) -> Status {
           out.emplace_back(member.name,
                            std::string(reinterpret_cast<const char*>(member.bytes.data()),
                                        member.bytes.size()));
           return {};
         }});
    EXPECT_THAT(read, IsOk());
    return out;
  }
  Job import(const std::string& at, const std::string& collection = "pictures") {
    const auto started = value_of(jobs_->start_import(ctx_, collection, at, ""));
    start_running();
    return wait_until_finished(started.job.id);
  }
  Job export_to(const std::string& at, bool with_pictures = true) {
    const auto started = value_of(jobs_->start_export(ctx_, "pictures", at, with_pictures));
    start_running();
    return wait_until_finished(started.job.id);
  }
  std::vector<std::string> reasons(const Job& job) {
    std::vector<std::string> out;
    for (const ImageRow& row : value_of(jobs_->failures(ctx_, job.id, 100, "")).rows)
      out.push_back(row.name + ": " + row.error);
    return out;
  }
  static std::string file_bytes(const std::string& at) {
    std::ifstream file(at, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// `sent` outlives it.
  static ReadPart reader_of(const std::string& sent) {
    return [&sent](std::uint64_t offset, std::span<std::byte> out) {
      const std::size_t begin = std::min<std::size_t>(offset, sent.size());
      const std::size_t size = std::min(out.size(), sent.size() - begin);
      std::memcpy(out.data(), sent.data() + begin, size);
      return Result<std::size_t>(size);
    };
  }
  std::vector<std::string> tags_of(const std::string& name) { return rows().at(name).tags; }
};

TEST_F(ArchiveTest, AnArchivesPicturesBecomeUploadsTaggedByTheirFolder) {
  const std::string at = write_tar({{"./cats/siamese/1.jpg", picture_bytes(1, 0, 0)},
                                    {"top.jpg", picture_bytes(2, 0, 0)},
                                    {"cats/broken.jpg", picture_bytes(3, 0, 0, "BROKEN")},
                                    {"cats/empty.jpg", ""},
                                    {"cats/.hidden.jpg", picture_bytes(4, 0, 0)},
                                    {"__MACOSX/cats/._1.jpg", "resource"},
                                    {"notes.txt", "a text"}});
  const Job job = import(at);
  EXPECT_EQ(job.state, JobState::done) << job.error;
  EXPECT_EQ(job.counters.ready, 2);
  EXPECT_EQ(job.counters.failed, 2);
  EXPECT_EQ(job.counters.skipped, 3);
  EXPECT_EQ(job.counters.found, 4);
  EXPECT_THAT(rows(), UnorderedElementsAre(Key("upload:1.jpg"), Key("upload:top.jpg")));
  EXPECT_THAT(tags_of("upload:1.jpg"), ElementsAre("cats/siamese"));
  EXPECT_THAT(tags_of("upload:top.jpg"), IsEmpty());
  EXPECT_EQ(rows().at("upload:top.jpg").mtime_ns, 1'000'000'000LL * 1'000'000'000);
  EXPECT_THAT(reasons(job), UnorderedElementsAre("cats/broken.jpg: JPEG ends early",
                                                 "cats/empty.jpg: the file is empty"));
  expect_consistent();
  EXPECT_TRUE(std::filesystem::exists(at)) << "an import took the user's archive away";

  const Job again = import(at);
  EXPECT_EQ(again.counters.unchanged, 2);
  EXPECT_EQ(again.counters.ready, 0);
  EXPECT_THAT(rows(), SizeIs(2));
}

TEST_F(ArchiveTest, WhatIsThereAlreadyGetsTheTagsToo) {
  import(write_tar({{"cats/1.jpg", picture_bytes(1, 0, 0)}}));
  import(write_tar({{"pets/1.jpg", picture_bytes(1, 0, 0)}}, "other.tar"));
  EXPECT_THAT(tags_of("upload:1.jpg"), ElementsAre("cats", "pets"));
  expect_consistent();
}

TEST_F(ArchiveTest, AnExportComesBackAsItWas) {
  write("a/1.jpg", picture_bytes(1, 0, 0));
  write("a/2.jpg", picture_bytes(2, 0, 0));
  build();
  const std::string bytes = picture_bytes(3, 0, 0);
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  const UploadFile upload{"up.jpg",
                          std::make_shared<std::vector<std::byte>>(data, data + bytes.size()),
                          {"mine", "red"}};
  value_of(uploads_->upload(ctx_, "pictures", std::span(&upload, 1)));
  const std::string at = (dir_ / "out.tar").string();
  const Job job = export_to(at);
  EXPECT_EQ(job.state, JobState::done) << job.error;
  EXPECT_EQ(job.counters.ready, 3);
  EXPECT_EQ(job.counters.found, 3);

  const Members members = read_tar(at);
  ASSERT_THAT(members, SizeIs(6));
  EXPECT_EQ(members[0].first, "similis.json");
  EXPECT_THAT(members[0].second, HasSubstr("\"collection\": \"pictures\""));
  EXPECT_EQ(members[1].first, "rows/000001.jsonl");
  const auto rows_out = value_of(wire::read_export_rows(members[1].second));
  ASSERT_THAT(rows_out, SizeIs(3));
  EXPECT_EQ(rows_out[0].file, "pictures" + root_ + "/a/" + rows_out[0].name);
  EXPECT_THAT(rows_out[2].tags, ElementsAre("mine", "red"));
  EXPECT_EQ(members[2].first, "embeddings/000001.npy");
  // As NumPy reads it: a header of a multiple of 64 bytes, then the matrix.
  const std::string& npy = members[2].second;
  const auto vectors = vectors_.entries();
  const std::size_t dimensions = vectors.begin()->second.vector.size();
  ASSERT_EQ((npy.size() - 3 * dimensions * sizeof(float)) % 64, 0U);
  EXPECT_THAT(npy, HasSubstr("'descr': '<f4', 'fortran_order': False, 'shape': (3, " +
                             std::to_string(dimensions) + ")"));
  const std::size_t begin = npy.size() - 3 * dimensions * sizeof(float);
  std::size_t i = 0;
  for (const auto& [id, entry] : vectors) {
    std::vector<float> row(dimensions);
    std::memcpy(row.data(), npy.data() + begin + i++ * dimensions * sizeof(float),
                dimensions * sizeof(float));
    EXPECT_EQ(row, entry.vector) << id;
  }
  EXPECT_EQ(members[5].first,
            "uploads/" + std::to_string(rows().at("upload:up.jpg").id) + "/up.jpg");
  EXPECT_EQ(members[5].second, bytes);

  // Into a new collection: everything, as uploads with the names and tags they had.
  const Job back = import(at, "copy");
  EXPECT_EQ(back.state, JobState::done) << back.error;
  EXPECT_EQ(back.counters.ready, 3);
  const auto copy = value_of(sqlite_->find_collection(ctx_, "copy"));
  std::map<std::string, std::vector<std::string>> names;
  for (const auto& row : value_of(sqlite_->scan_images(ctx_, copy.id, RowState::ready, 0, 10)))
    names[row.name] = row.tags;
  EXPECT_THAT(names, UnorderedElementsAre(Key("1.jpg"), Key("2.jpg"), Key("up.jpg")));
  EXPECT_THAT(names["up.jpg"], ElementsAre("mine", "red"));
}

TEST_F(ArchiveTest, AnExportGivesItsTagsToPicturesThatAreIndexedAlready) {
  write("1.jpg", picture_bytes(1, 0, 0));
  write("2.jpg", picture_bytes(2, 0, 0));
  build();
  // As on another machine: the same folder, whose pictures carried a tag.
  ImageRow tagged = rows().at("1.jpg"), missing = rows().at("2.jpg");
  tagged.tags = {"best"};
  missing.facts.content_hash = {};
  const std::string lines =
      wire::export_row_line(tagged, true) + wire::export_row_line(missing, false);
  const std::string at = write_tar({{"similis.json", wire::export_manifest(collection(), {}, 2, 0)},
                                    {"rows/000001.jsonl", lines},
                                    {"embeddings/000001.npy", "never read"},
                                    {wire::exported_file_name(tagged), picture_bytes(1, 0, 0)},
                                    {"pictures/not/named.jpg", picture_bytes(9, 0, 0)}});
  const Job job = import(at);
  EXPECT_EQ(job.state, JobState::done) << job.error;
  EXPECT_EQ(job.counters.unchanged, 1);
  EXPECT_EQ(job.counters.ready, 0);
  EXPECT_EQ(job.counters.failed, 1);
  EXPECT_THAT(reasons(job), ElementsAre(HasSubstr("2.jpg: the export holds no file of it")));
  EXPECT_THAT(rows(), SizeIs(2)) << "a picture that is in a folder was added as an upload too";
  EXPECT_THAT(tags_of("1.jpg"), ElementsAre("best"));
  expect_consistent();
}

TEST_F(ArchiveTest, TablesLeaveThePicturesOut) {
  write("1.jpg", picture_bytes(1, 0, 0));
  build();
  const std::string at = (dir_ / "tables.tar").string();
  const Job job = export_to(at, false);
  EXPECT_EQ(job.kind, JobKind::export_tables);
  EXPECT_EQ(job.counters.ready, 1);
  EXPECT_THAT(read_tar(at), SizeIs(3));
}

TEST_F(ArchiveTest, PicturesThatCannotBeReadAreFailuresOfAnExport) {
  write("1.jpg", picture_bytes(1, 0, 0));
  write("2.jpg", picture_bytes(2, 0, 0));
  write("3.jpg", picture_bytes(3, 0, 0));
  build();
  remove("1.jpg");
  write("2.jpg", picture_bytes(9, 9, 9, "longer"));
  const std::string at = (dir_ / "out.tar").string();
  const Job job = export_to(at);
  EXPECT_EQ(job.state, JobState::done) << job.error;
  EXPECT_EQ(job.counters.ready, 1);
  EXPECT_EQ(job.counters.failed, 2);
  EXPECT_THAT(reasons(job), UnorderedElementsAre(HasSubstr("no longer there"),
                                                 HasSubstr("has changed since it was indexed")));
  const Members members = read_tar(at);
  ASSERT_THAT(members, SizeIs(4));
  EXPECT_THAT(value_of(wire::read_export_rows(members[1].second)), SizeIs(3));
}

TEST_F(ArchiveTest, AnExportOfManyPartsHoldsEachPictureOnce) {
  constexpr int kPictures = 2300;
  for (int i = 0; i < kPictures; ++i)
    write("d" + std::to_string(i % 7) + "/" + std::to_string(i) + ".jpg",
          picture_bytes(i % 251, i / 251, 1));
  build();
  const std::string at = (dir_ / "out.tar").string();
  const Job job = export_to(at);
  EXPECT_EQ(job.counters.ready, kPictures);
  EXPECT_THAT(read_tar(at), SizeIs(1 + 3 * 2 + kPictures));
  const Job back = import(at, "copy");
  EXPECT_EQ(back.counters.ready, kPictures);
}

TEST_F(ArchiveTest, ADamagedArchiveFailsTheJobAndKeepsWhatCameBefore) {
  Members members;
  for (int i = 0; i < 50; ++i)
    members.emplace_back(std::to_string(i) + ".jpg",
                         picture_bytes(i, 0, 0, std::string(5000, 'x')));
  const std::string at = write_tar(members);
  std::filesystem::resize_file(at, std::filesystem::file_size(at) / 2);
  const Job job = import(at);
  EXPECT_EQ(job.state, JobState::failed);
  EXPECT_EQ(job.error_code, "unreadable_media");
  EXPECT_THAT(job.error_hint, HasSubstr("What came before it is kept"));
  EXPECT_GE(rows().size(), 20U);
  expect_consistent();
}

TEST_F(ArchiveTest, WhatCannotBeImportedIsToldAtOnce) {
  std::ofstream(dir_ / "a.txt") << "a text";
  const auto refused = [&](const std::string& at) {
    auto started = jobs_->start_import(ctx_, "fresh", at, "");
    EXPECT_FALSE(started.ok());
    return started.ok() ? ErrorCode::internal : started.error().code;
  };
  EXPECT_EQ(refused((dir_ / "a.txt").string()), ErrorCode::unsupported_media);
  EXPECT_EQ(refused((dir_ / "none.zip").string()), ErrorCode::not_found);
  EXPECT_EQ(refused(dir_.string()), ErrorCode::not_found);
  EXPECT_FALSE(sqlite_->find_collection(ctx_, "fresh").ok());
}

TEST_F(ArchiveTest, WhereNothingMayBeWrittenIsToldAtOnce) {
  write("1.jpg", picture_bytes(1, 0, 0));
  build();
  ports_->limits.never_inside = (dir_ / "data").string();
  limits_ = ports_->limits;
  restart();
  const auto refused = [&](const std::string& at) {
    auto started = jobs_->start_export(ctx_, "pictures", at, true);
    EXPECT_FALSE(started.ok()) << at;
    return started.ok() ? ErrorCode::internal : started.error().code;
  };
  std::ofstream(dir_ / "there.tar") << "mine";
  EXPECT_EQ(refused((dir_ / "there.tar").string()), ErrorCode::already_exists);
  EXPECT_EQ(refused((dir_ / "none" / "a.tar").string()), ErrorCode::not_found);
  EXPECT_EQ(refused((dir_ / "data" / "a.tar").string()), ErrorCode::invalid_argument);
  EXPECT_EQ(refused("relative.tar"), ErrorCode::invalid_argument);
}

TEST_F(ArchiveTest, AnExportsMembersMustBeWhatItsRowsSay) {
  write("1.jpg", picture_bytes(1, 0, 0));
  build();
  ImageRow good = rows().at("1.jpg"), other = good, absent = good;
  good.folder_path = "/a";
  other.folder_path = "/b";
  absent.folder_path = "/c";
  good.facts.content_hash = value_of(sha256(picture_bytes(7, 0, 0)));
  other.facts.content_hash = value_of(sha256(picture_bytes(8, 0, 0)));
  absent.facts.content_hash = value_of(sha256(picture_bytes(9, 0, 0)));
  const std::string at = write_tar({{"similis.json", wire::export_manifest(collection(), {}, 3, 0)},
                                    {"rows/000001.jsonl", wire::export_row_line(good, true) +
                                                              wire::export_row_line(other, true) +
                                                              wire::export_row_line(absent, true)},
                                    {wire::exported_file_name(good), picture_bytes(7, 0, 0)},
                                    {wire::exported_file_name(other), picture_bytes(99, 0, 0)}});
  const Job job = import(at, "copy");
  EXPECT_EQ(job.counters.ready, 1);
  EXPECT_EQ(job.counters.failed, 2);
  EXPECT_EQ(job.counters.found, 3);
  EXPECT_THAT(reasons(job),
              UnorderedElementsAre(HasSubstr("/b/1.jpg: its bytes are not those"),
                                   HasSubstr("/c/1.jpg: the archive does not hold it")));
}

TEST_F(ArchiveTest, NamesThatAreNoFilesAreRefused) {
  write("1.jpg", picture_bytes(1, 0, 0));
  build();
  ImageRow row = rows().at("1.jpg");
  for (const std::string& name :
       {std::string("../../evil.jpg"), std::string(".."), std::string("a\0b", 3), std::string()}) {
    row.name = name;
    EXPECT_FALSE(wire::read_export_rows(wire::export_row_line(row, true)).ok()) << name;
    row.folder = 0;
    EXPECT_EQ(wire::exported_file_name(row), "uploads/" + std::to_string(row.id) + "/picture");
  }
  std::string many;
  for (int i = 0; i < 1001; ++i) {
    row.name = "a";
    many += wire::export_row_line(row, false);
  }
  EXPECT_FALSE(wire::read_export_rows(many).ok());
}

TEST_F(ArchiveTest, TagsThatAreThereStay) {
  import(write_tar({{"1.jpg", picture_bytes(1, 0, 0)}}));
  std::vector<std::string> full;
  for (std::size_t i = 0; i < kTagsMax - 1; ++i) full.push_back("z" + std::to_string(1000 + i));
  LibraryService library(*ports_);
  value_of(library.set_tags(ctx_, "pictures", rows().at("upload:1.jpg").id, full));
  import(write_tar({{"a/1.jpg", picture_bytes(1, 0, 0)}}, "a.tar"));
  import(write_tar({{"b/1.jpg", picture_bytes(1, 0, 0)}}, "b.tar"));
  full.insert(full.begin(), "a");
  EXPECT_EQ(tags_of("upload:1.jpg"), full);
}

TEST_F(ArchiveTest, OddTimesAndFolderNamesDoNoHarm) {
  const std::string at = (dir_ / "odd.tar").string();
  {
    auto tar = TarWriter::create(at, "test");
    ASSERT_THAT(tar, IsOk());
    const std::string bytes = picture_bytes(1, 0, 0);
    EXPECT_THAT(tar->add("caf\xe9/1.jpg", std::as_bytes(std::span(bytes)), 99'999'999'999'999),
                IsOk());
    EXPECT_THAT(tar->finish(), IsOk());
  }
  import(at);
  const ImageRow row = rows().at("upload:1.jpg");
  EXPECT_GT(row.mtime_ns, 1'700'000'000LL * 1'000'000'000) << "an impossible time is now";
  EXPECT_THAT(row.tags, ElementsAre("caf\xef\xbf\xbd"));
}

TEST_F(ArchiveTest, LargeFilesThatAreNoPicturesAreSkipped) {
  limits_.file_bytes_max = 10'000;
  restart();
  const Job job = import(write_tar({{"film.mp4", std::string("\0\0\0\x18"
                                                             "ftypmp42",
                                                             12) +
                                                     std::string(50'000, 'm')},
                                    {"huge.jpg", picture_bytes(1, 0, 0, std::string(50'000, 'x'))},
                                    {"1.jpg", picture_bytes(2, 0, 0)}}));
  EXPECT_EQ(job.counters.skipped, 1);
  EXPECT_EQ(job.counters.failed, 1);
  EXPECT_EQ(job.counters.ready, 1);
}

TEST_F(ArchiveTest, AnExportThatWasInterruptedBeginsAnew) {
  for (int i = 0; i < 40; ++i) write(std::to_string(i) + ".jpg", picture_bytes(i, 0, 0));
  build();
  stop_running();
  const std::string at = (dir_ / "out.tar").string();
  const auto started = value_of(jobs_->start_export(ctx_, "pictures", at, true));
  // As a process that was killed half-way leaves the row.
  value_of(sqlite_->claim_job(ctx_, started.job.id, "gone", 1));
  JobUpdate half;
  half.state = JobState::queued;
  half.counters.found = 40;
  half.counters.ready = 11;
  value_of(sqlite_->update_job(ctx_, started.job.id, "gone", half, 1));
  start_running();
  const Job job = wait_until_finished(started.job.id);
  EXPECT_EQ(job.state, JobState::done) << job.error;
  EXPECT_EQ(job.counters.ready, 40);
  EXPECT_EQ(job.counters.found, 40);
  EXPECT_THAT(read_tar(at), SizeIs(3 + 40));
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir_)) {
    files += entry.path().native().ends_with(".partial") ? 1 : 0;
  }
  EXPECT_EQ(files, 0U);
}

TEST_F(ArchiveTest, AnArchiveThatBecameAPipeIsNotWaitedFor) {
  const std::string at = write_tar({{"1.jpg", picture_bytes(1, 0, 0)}});
  const auto started = value_of(jobs_->start_import(ctx_, "pictures", at, ""));
  std::filesystem::remove(at);
  ASSERT_EQ(::mkfifo(at.c_str(), 0600), 0);
  start_running();
  const Job job = wait_until_finished(started.job.id);
  EXPECT_EQ(job.state, JobState::failed);
  EXPECT_THAT(job.error, HasSubstr("not a regular file"));
}

TEST_F(ArchiveTest, ACollectionThatGoesTakesItsJobsAlong) {
  Members members;
  for (int i = 0; i < 300; ++i)
    members.emplace_back(std::to_string(i) + ".jpg", picture_bytes(i % 256, i / 256, 0));
  const auto started = value_of(jobs_->start_import(ctx_, "gone", write_tar(members), ""));
  start_running();
  wait_for(started.job.id, [](const Job& job) { return job.state == JobState::running; });
  value_of(jobs_->cancel(ctx_, started.job.id));
  LibraryService library(*ports_);
  EXPECT_THAT(library.delete_collection(ctx_, "gone"), IsOk());
  // The runner has its hands free.
  EXPECT_EQ(import(write_tar({{"1.jpg", picture_bytes(1, 0, 0)}}, "b.tar")).state, JobState::done);
}

TEST_F(ArchiveTest, TheSameDataSetSentAgainAndAgainIsNeverLost) {
  value_of(sqlite_->create_collection(ctx_, "pictures"));
  start_running();
  const std::string sent = file_bytes(write_tar({{"1.jpg", picture_bytes(1, 0, 0)}}));
  std::vector<JobId> jobs;
  for (int i = 0; i < 60; ++i) {
    jobs.push_back(value_of(jobs_->start_import(ctx_, "pictures", reader_of(sent), "")).job.id);
    if (i % 3 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(i % 7));
  }
  for (const JobId id : jobs) EXPECT_EQ(wait_until_finished(id).state, JobState::done);
  stop_running();
  EXPECT_TRUE(std::filesystem::is_empty(limits_.imports_dir));
}

TEST_F(ArchiveTest, AnArchiveThatWasSentIsKeptUntilItsJobIsDone) {
  const std::string at = write_tar({{"1.jpg", picture_bytes(1, 0, 0)}});
  const std::string sent = file_bytes(at);
  const ReadPart read = reader_of(sent);
  const auto started = value_of(jobs_->start_import(ctx_, "pictures", read, ""));
  const auto again = value_of(jobs_->start_import(ctx_, "pictures", read, ""));
  EXPECT_EQ(again.job.id, started.job.id) << "the same data set is the same job";
  EXPECT_TRUE(again.existed);
  EXPECT_TRUE(std::filesystem::exists(started.job.root));
  restart();  // the process that took it ends before the job began
  start_running();
  EXPECT_EQ(wait_until_finished(started.job.id).state, JobState::done);
  EXPECT_THAT(rows(), SizeIs(1));
  stop_running();
  EXPECT_TRUE(std::filesystem::is_empty(limits_.imports_dir));
}

TEST_F(ArchiveTest, LinesThatAreNoneAreNamed) {
  const auto bad = wire::read_export_rows("{\"name\":\"a\"}\n");
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(bad.error().message, HasSubstr("line 1"));
  const std::string at = write_tar({{"similis.json", "{\"similis_export\": 2}"}});
  const Job job = import(at);
  EXPECT_EQ(job.state, JobState::failed);
  EXPECT_THAT(job.error, HasSubstr("newer similis"));
}

}  // namespace
}  // namespace similis
