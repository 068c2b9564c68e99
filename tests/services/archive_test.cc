// Collections that are exported, and archives that are imported.

#include <fcntl.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "archive/tar_writer.h"
#include "services/harness.h"
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
    auto tar = TarWriter::create(at);
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
            "pictures/uploads/" + std::to_string(rows().at("upload:up.jpg").id) + "/up.jpg");
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
  EXPECT_EQ(refused(dir_.string()), ErrorCode::invalid_argument);
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

TEST_F(ArchiveTest, AnArchiveThatWasSentIsKeptUntilItsJobIsDone) {
  const std::string at = write_tar({{"1.jpg", picture_bytes(1, 0, 0)}});
  std::ifstream file(at, std::ios::binary);
  const std::string sent{std::istreambuf_iterator<char>(file), {}};
  const ReadPart read = [&](std::uint64_t offset, std::span<std::byte> out) {
    const std::size_t size =
        offset >= sent.size() ? 0 : std::min<std::size_t>(out.size(), sent.size() - offset);
    std::memcpy(out.data(), sent.data() + std::min<std::size_t>(offset, sent.size()), size);
    return Result<std::size_t>(size);
  };
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
