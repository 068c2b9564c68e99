#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "archive/tar_writer.h"
#include "archive/unpack_process.h"
#include "base/temporary_folder.h"
#include "base/test_expect.h"

namespace similis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr std::uint64_t kMemberMax = 1 << 20;

struct TestMember {
  std::string name;
  std::string bytes;
};

/// An archive of these members, written by libarchive: format "zip", "ustar" or "pax", filter
/// "gzip", "zstd" ... or "".
void write_archive(const std::filesystem::path& path, const std::string& format,
                   const std::string& filter, const std::vector<TestMember>& members,
                   const std::string& passphrase = "") {
  struct archive* a = archive_write_new();
  ASSERT_EQ(archive_write_set_format_by_name(a, format.c_str()), ARCHIVE_OK);
  if (!filter.empty()) {
    ASSERT_EQ(archive_write_add_filter_by_name(a, filter.c_str()), ARCHIVE_OK);
  }
  if (!passphrase.empty()) {
    ASSERT_EQ(archive_write_set_options(a, "zip:encryption=aes256"), ARCHIVE_OK);
    ASSERT_EQ(archive_write_set_passphrase(a, passphrase.c_str()), ARCHIVE_OK);
  }
  ASSERT_EQ(archive_write_open_filename(a, path.c_str()), ARCHIVE_OK);
  for (const TestMember& member : members) {
    struct archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, member.name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(member.bytes.size()));
    archive_entry_set_filetype(entry, member.name.ends_with('/') ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, 1'000'000'000, 0);
    ASSERT_GE(archive_write_header(a, entry), ARCHIVE_WARN) << archive_error_string(a);
    if (!member.bytes.empty()) {
      ASSERT_EQ(archive_write_data(a, member.bytes.data(), member.bytes.size()),
                static_cast<la_ssize_t>(member.bytes.size()));
    }
    archive_entry_free(entry);
  }
  ASSERT_EQ(archive_write_close(a), ARCHIVE_OK);
  archive_write_free(a);
}

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string text_of(const ArchiveMember& member) {
  return {reinterpret_cast<const char*>(member.bytes.data()), member.bytes.size()};
}

class UnpackTest : public testing::Test {
 protected:
  /// What the archive gives, in its order: name and bytes, or name and "error: ...".
  Status unpack(const std::filesystem::path& path, std::uint64_t member_bytes_max = kMemberMax) {
    members_.clear();
    auto file = File::open(path, O_RDONLY);
    if (!file.ok()) return std::move(file).error();
    return unpacker_->unpack(
        ctx_, *file, member_bytes_max,
        {[this](std::string_view name, std::optional<std::uint64_t>) {
           return Result<bool>(!name.starts_with("unwanted"));
         },
         [this](ArchiveMember member) -> Status {
           members_.emplace_back(
               member.name, member.error ? "error: " + member.error->message : text_of(member));
           last_modified_s_ = member.modified_at_s;
           return {};
         }});
  }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "a.archive";
  const std::unique_ptr<Unpacker> unpacker_ = make_unpacker(SIMILIS_UNPACK);
  Context ctx_;
  std::vector<std::pair<std::string, std::string>> members_;
  std::optional<std::int64_t> last_modified_s_;
};

TEST_F(UnpackTest, ReadsEveryFormatThatIsPromised) {
  const std::vector<TestMember> members = {{"cats/", ""},
                                           {"cats/1.jpg", "one"},
                                           {"unwanted.mov", std::string(300'000, 'x')},
                                           {"dögs/ü.jpg", "two"},
                                           {"empty.jpg", ""}};
  for (const auto& [format, filter] :
       std::vector<std::pair<std::string, std::string>>{{"zip", ""},
                                                        {"pax", ""},
                                                        {"ustar", ""},
                                                        {"gnutar", "gzip"},
                                                        {"pax", "bzip2"},
                                                        {"pax", "xz"},
                                                        {"pax", "zstd"}}) {
    SCOPED_TRACE(format + " " + filter);
    setlocale(LC_ALL, "C.UTF-8");  // for the writer
    write_archive(path_, format, filter, members);
    EXPECT_THAT(unpack(path_), IsOk());
    EXPECT_THAT(members_, ElementsAre(Pair("cats/1.jpg", "one"), Pair("dögs/ü.jpg", "two"),
                                      Pair("empty.jpg", "")));
    EXPECT_EQ(last_modified_s_, 1'000'000'000);
    const std::string head = read_all(path_).substr(0, kArchiveHeadBytes);
    const std::string_view type = archive_type(std::as_bytes(std::span(head)));
    EXPECT_EQ(type, !filter.empty() ? filter : format == "zip" ? "zip" : "tar");
  }
}

TEST_F(UnpackTest, WhatTheTarWriterWritesIsReadAgainByteForByte) {
  // A name that is not UTF-8, and one longer than a tar header holds.
  const std::string latin = "caf\xe9/\xff.jpg";
  const std::string deep = std::string(90, 'd') + "/" + std::string(200, 'n') + ".jpg";
  {
    auto tar = TarWriter::create(path_, "test");
    ASSERT_TRUE(tar.ok()) << tar.error().message;
    const std::string text = "bytes";
    EXPECT_THAT(tar->add(latin, std::as_bytes(std::span(text)), 5), IsOk());
    EXPECT_THAT(tar->add(deep, std::as_bytes(std::span(text)), 7), IsOk());
    std::ofstream(folder_.path() / "file", std::ios::binary) << std::string(3'000'000, 'f');
    auto file = File::open(folder_.path() / "file", O_RDONLY);
    ASSERT_TRUE(file.ok());
    EXPECT_THAT(tar->add("file.jpg", *file, 3'000'000, 8), IsOk());
    // The file is shorter than was said: the archive stays readable.
    const Status lost = tar->add("lost.jpg", *file, 3'000'010, 9);
    ASSERT_FALSE(lost.ok());
    EXPECT_EQ(lost.error().code, ErrorCode::unreadable_media);
    EXPECT_FALSE(std::filesystem::exists(path_)) << "it shows before it is whole";
    EXPECT_THAT(tar->finish(), IsOk());
  }
  EXPECT_THAT(unpack(path_, 4 << 20), IsOk());
  ASSERT_THAT(members_, SizeIs(4));
  EXPECT_THAT(members_[0], Pair(latin, "bytes"));
  EXPECT_THAT(members_[1], Pair(deep, "bytes"));
  EXPECT_EQ(members_[2].second, std::string(3'000'000, 'f'));
  EXPECT_EQ(members_[3].second.size(), 3'000'010U);
}

TEST_F(UnpackTest, AnUnfinishedTarLeavesNothingBehindAndReplacesNothing) {
  {
    auto tar = TarWriter::create(path_, "test");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  auto tar = TarWriter::create(path_, "test");
  ASSERT_TRUE(tar.ok());
  std::ofstream(path_) << "somebody else's";
  const Status finished = tar->finish();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().code, ErrorCode::already_exists);
  EXPECT_EQ(read_all(path_), "somebody else's");
}

TEST_F(UnpackTest, ATarIsNotWrittenThroughALink) {
  std::ofstream(folder_.path() / "precious") << "precious";
  const auto partial = folder_.path() / ".similis-test.partial";
  std::filesystem::create_symlink(folder_.path() / "precious", partial);
  auto tar = TarWriter::create(path_, "test");
  ASSERT_THAT(tar, IsOk());
  EXPECT_THAT(tar->finish(), IsOk());
  EXPECT_EQ(read_all(folder_.path() / "precious"), "precious");
  EXPECT_FALSE(std::filesystem::is_symlink(path_));
}

TEST_F(UnpackTest, AMemberThatIsTooLargeIsNamedAndTheRestComes) {
  for (const char* format : {"zip", "pax"}) {
    write_archive(path_, format, "",
                  {{"a.jpg", "a"}, {"huge.jpg", std::string(5'000'000, 'h')}, {"b.jpg", "b"}});
    EXPECT_THAT(unpack(path_, 1'000'000), IsOk());
    EXPECT_THAT(members_,
                ElementsAre(Pair("a.jpg", "a"),
                            Pair("huge.jpg", "error: the file has more than 1000000 bytes"),
                            Pair("b.jpg", "b")));
  }
}

TEST_F(UnpackTest, OfATooLargeMemberTheHeadTellsWhatItIs) {
  for (const char* filter : {"", "gzip"}) {
    write_archive(path_, "pax", filter, {{"film.mp4", "head" + std::string(5'000'000, 'h')}});
    std::vector<std::byte> head;
    auto file = File::open(path_, O_RDONLY);
    ASSERT_TRUE(file.ok());
    EXPECT_THAT(unpacker_->unpack(ctx_, *file, 1'000'000,
                                  {[](std::string_view, std::optional<std::uint64_t>) {
                                     return Result<bool>(true);
                                   },
                                   [&](ArchiveMember member) -> Status {
                                     EXPECT_TRUE(member.error);
                                     head = std::move(member.bytes);
                                     return {};
                                   }}),
                IsOk());
    ASSERT_GE(head.size(), 4096U);
    EXPECT_LE(head.size(), 1'000'000U);
    EXPECT_EQ(std::memcmp(head.data(), "headhhhh", 8), 0);
  }
}

TEST_F(UnpackTest, WhatDoesNotMatchItsChecksumIsBroken) {
  std::mt19937 random(3);
  std::string bytes(700'000, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  write_archive(path_, "zip", "", {{"a.jpg", bytes}, {"b.jpg", "b"}});
  std::string whole = read_all(path_);
  whole[whole.size() / 2] = static_cast<char>(whole[whole.size() / 2] ^ 1);
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << whole;
  EXPECT_THAT(unpack(path_), IsOk());
  ASSERT_THAT(members_, SizeIs(2));
  EXPECT_THAT(members_[0].second, HasSubstr("error: the archive does not give it"));
  EXPECT_THAT(members_[1], Pair("b.jpg", "b"));
}

TEST_F(UnpackTest, LinksAndEndlessNamesAreNamedAsWhatTheyAre) {
  const std::string endless(10'000, 'n');
  {
    struct archive* a = archive_write_new();
    archive_write_set_format_pax(a);
    ASSERT_EQ(archive_write_open_filename(a, path_.c_str()), ARCHIVE_OK);
    const auto add = [&](const std::string& name, const char* link, const std::string& bytes) {
      struct archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, name.c_str());
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_entry_set_perm(entry, 0644);
      archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
      if (link != nullptr) archive_entry_set_hardlink(entry, link);
      ASSERT_GE(archive_write_header(a, entry), ARCHIVE_WARN) << archive_error_string(a);
      archive_write_data(a, bytes.data(), bytes.size());
      archive_entry_free(entry);
    };
    add("a.jpg", nullptr, "a");
    add("again.jpg", "a.jpg", "");
    add(endless, nullptr, "bytes");
    add("z.jpg", nullptr, "z");
    ASSERT_EQ(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
  }
  EXPECT_THAT(unpack(path_), IsOk());
  ASSERT_THAT(members_, SizeIs(4));
  EXPECT_THAT(members_[1], Pair("again.jpg", HasSubstr("a link to another file")));
  EXPECT_THAT(members_[2].second, HasSubstr("more than 4096 bytes"));
  EXPECT_LT(members_[2].first.size(), 200U);
  EXPECT_THAT(members_[3], Pair("z.jpg", "z"));
}

TEST_F(UnpackTest, EncryptedMembersAreNamed) {
  write_archive(path_, "zip", "", {{"a.jpg", "secret"}}, "pass");
  EXPECT_THAT(unpack(path_), IsOk());
  EXPECT_THAT(members_,
              ElementsAre(Pair("a.jpg", "error: the archive does not give it: it is encrypted")));
}

TEST_F(UnpackTest, WhatIsNoArchiveIsSaidToBeNone) {
  for (const std::string& bytes :
       {std::string("hello, I am a text"), std::string(), std::string(100'000, '\0'),
        std::string("\xff\xd8\xff\xe0 JFIF", 9)}) {
    std::ofstream(path_, std::ios::binary) << bytes;
    const Status status = unpack(path_);
    // Zeros and nothing at all are an empty tar to some: no member comes of them.
    if (!status.ok()) {
      EXPECT_EQ(status.error().code, ErrorCode::unsupported_media) << bytes.size();
    }
    EXPECT_THAT(members_, IsEmpty());
    EXPECT_EQ(archive_type(std::as_bytes(std::span(bytes))), "");
  }
}

TEST_F(UnpackTest, ATruncatedArchiveGivesWhatItHolds) {
  std::mt19937 random(7);
  std::vector<TestMember> members;
  for (int i = 0; i < 20; ++i) {
    std::string bytes(20'000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    members.push_back({std::to_string(i) + ".jpg", std::move(bytes)});
  }
  for (const char* filter : {"", "gzip"}) {
    write_archive(path_, "pax", filter, members);
    std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
    const Status status = unpack(path_);
    ASSERT_FALSE(status.ok()) << filter;
    EXPECT_EQ(status.error().code, ErrorCode::unreadable_media);
    EXPECT_THAT(status.error().hint, HasSubstr("What came before it is kept"));
    ASSERT_GE(members_.size(), 8U);
    for (std::size_t i = 0; i + 1 < members_.size(); ++i) {
      EXPECT_EQ(members_[i].second, members[i].bytes) << i;
    }
  }
}

// Nothing that an archive holds may bring this process down or make it wait for ever.
TEST_F(UnpackTest, RandomDamageEndsInAnErrorOrInMembers) {
  const unsigned seed = std::random_device()();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  for (const char* format : {"zip", "pax", "ustar"}) {
    for (const char* filter : {"", "gzip", "zstd", "xz"}) {
      if (std::string(format) == "zip" && *filter != '\0') continue;
      write_archive(path_, format, filter,
                    {{"a.jpg", std::string(5000, 'a')}, {"b.jpg", std::string(300, 'b')}});
      const std::string good = read_all(path_);
      for (int round = 0; round < 15; ++round) {
        std::string bad = good;
        for (int flips = 1 + static_cast<int>(random() % 20); flips > 0; --flips)
          bad[random() % bad.size()] = static_cast<char>(random());
        std::ofstream(path_, std::ios::binary | std::ios::trunc) << bad;
        const Status status = unpack(path_);
        if (status.ok()) continue;
        EXPECT_TRUE(status.error().code == ErrorCode::unreadable_media ||
                    status.error().code == ErrorCode::unsupported_media)
            << status.error().message;
      }
    }
  }
}

TEST_F(UnpackTest, TheVisitorsErrorEndsIt) {
  write_archive(path_, "pax", "", {{"a.jpg", "a"}, {"b.jpg", "b"}});
  auto file = File::open(path_, O_RDONLY);
  ASSERT_TRUE(file.ok());
  int taken = 0;
  const Status status = unpacker_->unpack(
      ctx_, *file, kMemberMax,
      {[](std::string_view, std::optional<std::uint64_t>) { return Result<bool>(true); },
       [&](ArchiveMember) -> Status {
         ++taken;
         return Error(ErrorCode::resource_exhausted, "full");
       }});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "full");
  EXPECT_EQ(taken, 1);
}

TEST_F(UnpackTest, CancellationEndsItSoon) {
  write_archive(path_, "pax", "", {{"a.jpg", "a"}});
  std::stop_source stop;
  stop.request_stop();
  ctx_.cancel = stop.get_token();
  const Status status = unpack(path_);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::cancelled);
}

TEST_F(UnpackTest, CancellationInTheMiddleEndsItSoon) {
  // What takes seconds to read over: zeros, compressed.
  write_archive(path_, "pax", "gzip",
                {{"a.jpg", "a"}, {"unwanted.bin", std::string(400 << 20, '\0')}, {"b.jpg", "b"}});
  std::stop_source stop;
  ctx_.cancel = stop.get_token();
  auto file = File::open(path_, O_RDONLY);
  ASSERT_TRUE(file.ok());
  std::jthread cancels;
  auto begun = Context::Clock::now();
  const Status status = unpacker_->unpack(ctx_, *file, kMemberMax,
                                          {[](std::string_view name, std::optional<std::uint64_t>) {
                                             return Result<bool>(!name.starts_with("unwanted"));
                                           },
                                           [&](ArchiveMember member) -> Status {
                                             EXPECT_EQ(member.name, "a.jpg");
                                             begun = Context::Clock::now();
                                             stop.request_stop();
                                             return {};
                                           }});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::cancelled);
  EXPECT_LT(Context::Clock::now() - begun, std::chrono::seconds(2));
}

/// A reader that a hostile archive has taken over: a script that says these bytes, and then does
/// what its last line says.
class HostileReader : public UnpackTest {
 protected:
  Status unpack_with(const std::string& script) {
    const auto program = folder_.path() / "reader";
    std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    write_archive(path_, "pax", "", {{"a.jpg", "a"}});
    auto file = File::open(path_, O_RDONLY);
    if (!file.ok()) return std::move(file).error();
    return make_unpacker(program)->unpack(
        ctx_, *file, kMemberMax,
        {[](std::string_view, std::optional<std::uint64_t>) { return Result<bool>(true); },
         [](ArchiveMember) -> Status { return {}; }});
  }
  // Frames for printf: kind, length, payload.
  static constexpr const char* kMember =
      "\\2\\21\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0n";
};

TEST_F(HostileReader, OneThatTalksNonsenseIsCutOff) {
  for (const char* frames : {"\\377\\0\\0\\0\\0", "\\1\\377\\377\\377\\377", "\\3\\1\\0\\0\\0x",
                             "\\4\\0\\0\\0\\0", "\\2\\1\\0\\0\\0n"}) {
    const Status status = unpack_with(std::string("printf '") + frames + "' >&3; sleep 60");
    ASSERT_FALSE(status.ok()) << frames;
    EXPECT_EQ(status.error().code, ErrorCode::unreadable_media);
    EXPECT_THAT(status.error().message, HasSubstr("went astray")) << frames;
  }
}

TEST_F(HostileReader, OneThatEndsInTheMiddleHasCrashed) {
  const Status status = unpack_with(std::string("printf '") + kMember + "' >&3");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("crashed"));
}

// Members without end, whose answers nobody reads: they fill the socket.
TEST_F(HostileReader, OneThatNeverListensDoesNotHoldUsUp) {
  const Status status = unpack_with(std::string("while true; do printf '") + kMember +
                                    "\\4\\0\\0\\0\\0' || exit; done >&3");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::unreadable_media);
}

TEST_F(UnpackTest, AMissingReaderIsUnavailable) {
  write_archive(path_, "pax", "", {{"a.jpg", "a"}});
  const auto none = make_unpacker(folder_.path() / "none");
  auto file = File::open(path_, O_RDONLY);
  ASSERT_TRUE(file.ok());
  const Status status = none->unpack(ctx_, *file, kMemberMax, {});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace similis
