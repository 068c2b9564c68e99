#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <string>
#include <thread>

#include "base/temporary_folder.h"

namespace similis {
namespace {

TEST(ReadFile, APipeIsReadToItsEnd) {
  const TemporaryFolder folder;
  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::string text(200'000, 'x');  // more than a pipe holds
  const auto read_through = [&](std::uint64_t bytes_max) {
    std::thread writer([&] {
      const auto file = File::open(pipe, O_WRONLY);
      if (!file.ok()) return;
      // The reader may have had enough.
      [[maybe_unused]] const Status written =
          write_all(file->fd(), std::as_bytes(std::span(text)), "pipe");
    });
    auto out = read_text_file(pipe, bytes_max);
    writer.join();
    return out;
  };
  ::signal(SIGPIPE, SIG_IGN);
  const auto whole = read_through(text.size());
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  EXPECT_TRUE(*whole == text);
  const auto limited = read_through(1000);
  ASSERT_FALSE(limited.ok());
  EXPECT_EQ(limited.error().code, ErrorCode::too_large);
}

// procfs has nothing to sync in a folder and answers EINVAL, as autofs and squashfs do.
TEST(File, FoldersOfFileSystemsThatCannotSyncThemCountAsSynced) {
  EXPECT_TRUE(sync_directory("/proc").ok());
  const TemporaryFolder folder;
  EXPECT_TRUE(sync_directory(folder.path()).ok());
  EXPECT_EQ(sync_directory(folder.path() / "absent").error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace similis
