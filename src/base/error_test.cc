#include "base/error.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <span>
#include <vector>

#include "base/file.h"

namespace similis {
namespace {

TEST(ErrnoError, AFullDiskSaysWhatIsNeededAndWhatIsFree) {
  const auto full = File::open("/dev/full", O_WRONLY);
  ASSERT_TRUE(full.ok());
  const std::vector<std::byte> page(4096);
  const Status status = write_all(full->fd(), page, "/dev/full");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(status.error().message.starts_with(
      "write /dev/full: No space left on device (needed 4.1 kB, free "))
      << status.error().message;
  // A file that could not be made is on the disk of its folder.
  const Error made = errno_error(ENOSPC, "open", "/tmp/there/is/no/such/file");
  EXPECT_NE(made.message.find("(free "), std::string::npos) << made.message;
  EXPECT_EQ(disk_room("not a path"), "");
  EXPECT_EQ(errno_error(EIO, "read", "/tmp/x", 5).message, "read /tmp/x: Input/output error");
}

}  // namespace
}  // namespace similis
