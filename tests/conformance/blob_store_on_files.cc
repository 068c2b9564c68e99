#include <fcntl.h>
#include <sys/stat.h>

#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/hex.h"
#include "base/temporary_folder.h"
#include "conformance/blob_store_suite.h"
#include "stores/blob/files/file_blob_store.h"

namespace similis {
namespace {

namespace fs = std::filesystem;

/// The file of a blob: blobs/ab/cd/HASH.EXT.
fs::path file_of(const fs::path& data, BlobKind kind, const ContentHash& key) {
  const std::string hex = to_hex(key);
  const fs::path folder =
      data / (kind == BlobKind::upload ? "blobs" : "thumbs") / hex.substr(0, 2) / hex.substr(2, 2);
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().stem() == hex) return entry.path();
  }
  ADD_FAILURE() << "no file of " << hex << " in " << folder;
  return {};
}

class OnFiles final : public BlobBackend {
 public:
  OnFiles() { reopen(); }
  BlobStore& store() override { return *store_; }
  void reopen() override { store_ = value_of(open_file_blobs({.directory = data()})); }
  void damage(BlobKind kind, const ContentHash& key) override {
    std::fstream file(file_of(data(), kind, key), std::ios::in | std::ios::out | std::ios::binary);
    const char first = static_cast<char>(file.get());
    file.seekp(0);
    file.put(static_cast<char>(first ^ 1));
    ASSERT_TRUE(file.flush().good());
  }
  void make_older(BlobKind kind, const ContentHash& key, std::int64_t seconds) override {
    const timespec then{::time(nullptr) - seconds, 0};
    const timespec times[] = {then, then};
    ASSERT_EQ(::utimensat(AT_FDCWD, file_of(data(), kind, key).c_str(), times, 0), 0);
  }
  [[nodiscard]] fs::path data() const { return folder_.path() / "data"; }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<BlobStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Files, BlobStoreSuite,
                         testing::Values(BlobBackendFactory{
                             "files", [] { return std::make_unique<OnFiles>(); }}),
                         [](const auto& test) { return test.param.name; });

// ---- what only files have

class FileBlobs : public testing::Test {
 protected:
  std::vector<std::byte> bytes_{100, std::byte{7}};
  ContentHash key_{std::byte{0xab}, std::byte{0xcd}, std::byte{0xef}};
  Context ctx_;
  OnFiles files_;
};

TEST_F(FileBlobs, AnyProgramCanOpenThem) {
  ASSERT_THAT(files_.store().put(ctx_, BlobKind::thumbnail, key_, bytes_, "image/webp"), IsOk());
  const fs::path file = files_.data() / "thumbs" / "ab" / "cd" / (to_hex(key_) + ".webp");
  ASSERT_TRUE(fs::exists(file));
  const auto content = value_of(read_file(file));  // a checksum follows
  ASSERT_EQ(content.size(), bytes_.size() + 8);
  EXPECT_TRUE(std::equal(bytes_.begin(), bytes_.end(), content.begin()));
  EXPECT_EQ(fs::status(file).permissions() & fs::perms::all,
            fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(file.parent_path()).permissions() & fs::perms::all, fs::perms::owner_all);
}

TEST_F(FileBlobs, MissingFoldersAreMadeAgain) {
  fs::remove_all(files_.data());
  for (const BlobKind kind : {BlobKind::upload, BlobKind::thumbnail}) {
    EXPECT_THAT(files_.store().put(ctx_, kind, key_, bytes_, "image/png"), IsOk());
    EXPECT_TRUE(value_of(files_.store().contains(ctx_, kind, key_)));
  }
}

// Thumbnails are not synced: what a power cut leaves of one is none, and it can be made again.
TEST_F(FileBlobs, AThumbnailThatLostBytesIsNone) {
  for (const std::size_t left : {std::size_t{0}, std::size_t{50}, bytes_.size()}) {
    for (const bool zeros_behind : {false, true}) {
      ASSERT_THAT(files_.store().put(ctx_, BlobKind::thumbnail, key_, bytes_, "image/png"), IsOk());
      EXPECT_TRUE(value_of(files_.store().contains(ctx_, BlobKind::thumbnail, key_)));
      const fs::path file = file_of(files_.data(), BlobKind::thumbnail, key_);
      const auto whole = fs::file_size(file);
      fs::resize_file(file, left);
      if (zeros_behind) fs::resize_file(file, whole);
      EXPECT_FALSE(value_of(files_.store().contains(ctx_, BlobKind::thumbnail, key_)));
      EXPECT_THAT(files_.store().get(ctx_, BlobKind::thumbnail, key_),
                  FailsWith(ErrorCode::not_found));
    }
  }
}

TEST_F(FileBlobs, LeftoversOfADeadProcessGoAndOthersFilesStay) {
  ASSERT_THAT(files_.store().put(ctx_, BlobKind::upload, key_, bytes_, "image/png"), IsOk());
  const fs::path folder = file_of(files_.data(), BlobKind::upload, key_).parent_path();
  const fs::path old = folder / (to_hex(key_) + ".png.tmp77-0");
  const fs::path young = folder / (to_hex(key_) + ".png.tmp78-0");
  const fs::path foreign = folder / "notes.txt";
  for (const auto& path : {old, young, foreign}) std::ofstream(path) << "x";
  const timespec then{::time(nullptr) - 100'000, 0};
  const timespec times[] = {then, then};
  for (const auto& path : {old, foreign}) {
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  EXPECT_EQ(value_of(files_.store().usage(ctx_, BlobKind::upload)).count, 1);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(young));
  EXPECT_TRUE(fs::exists(foreign));
}

TEST_F(FileBlobs, AFailedWriteLeavesNothingAndSaysWhy) {
  // A file stands where a folder is needed.
  fs::create_directories(files_.data() / "blobs");
  std::ofstream(files_.data() / "blobs" / "ab") << "x";
  const auto status = files_.store().put(ctx_, BlobKind::upload, key_, bytes_, "image/png");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, testing::HasSubstr("blobs/ab"));
  EXPECT_FALSE(value_of(files_.store().contains(ctx_, BlobKind::upload, key_)));
}

}  // namespace
}  // namespace similis
