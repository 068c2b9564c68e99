#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace similis {

void File::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<File> File::open(const std::filesystem::path& path, int flags, mode_t mode) {
  int fd = -1;
  do fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) return errno_error(errno, "open", path.native());
  return File(fd);
}

Status write_all(int fd, std::span<const std::byte> bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "write", name, bytes.size());
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status pwrite_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset,
                  std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "write", name, bytes.size());
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Status pread_exact(int fd, std::span<std::byte> bytes, std::uint64_t offset,
                   std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "read", name);
    if (n == 0) {
      return Error(ErrorCode::corruption, "read " + std::string(name) + ": the file ends at byte " +
                                              std::to_string(offset) + ", " +
                                              std::to_string(bytes.size()) + " more were expected");
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Status sync_data(int fd, std::string_view name) {
  if (::fdatasync(fd) != 0) return errno_error(errno, "sync", name);
  return {};
}

namespace {

Result<std::vector<std::byte>> read_to_end(int fd, std::uint64_t bytes_max, std::string_view name) {
  constexpr std::size_t kStep = 64 << 10;
  std::vector<std::byte> bytes;
  for (;;) {
    const std::size_t had = bytes.size();
    bytes.resize(had + kStep);
    const ssize_t n = ::read(fd, bytes.data() + had, kStep);
    if (n < 0 && errno != EINTR) return errno_error(errno, "read", name);
    bytes.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (bytes.size() > bytes_max) {
      return Error(ErrorCode::too_large,
                   std::string(name) + ": more than " + std::to_string(bytes_max) + " bytes");
    }
    if (n == 0) return bytes;
  }
}

}  // namespace

Result<std::vector<std::byte>> read_file(const std::filesystem::path& path,
                                         std::uint64_t bytes_max) {
  ASSIGN_OR_RETURN(File file, File::open(path, O_RDONLY));
  struct stat info{};
  if (::fstat(file.fd(), &info) != 0) return errno_error(errno, "stat", path.native());
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > bytes_max) {
    return Error(ErrorCode::too_large, path.native() + ": " + std::to_string(size) +
                                           " bytes, at most " + std::to_string(bytes_max) +
                                           " are read");
  }
  // A pipe or a file of /proc has no size to go by.
  if (!S_ISREG(info.st_mode) || size == 0) return read_to_end(file.fd(), bytes_max, path.native());
  std::vector<std::byte> bytes(size);
  TRY(pread_exact(file.fd(), bytes, 0, path.native()));
  return bytes;
}

Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t bytes_max) {
  ASSIGN_OR_RETURN(auto bytes, read_file(path, bytes_max));
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Status sync_directory(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(File dir, File::open(path, O_RDONLY | O_DIRECTORY));
  // File systems that keep nothing to sync in a folder (procfs, autofs, squashfs) say so.
  if (::fsync(dir.fd()) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS)
    return errno_error(errno, "sync", path.native());
  return {};
}

Status publish_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path temporary = path.native() + ".tmp" + std::to_string(::getpid()) +
                                          "-" + std::to_string(counter.fetch_add(1));
  auto write = [&]() -> Status {
    ASSIGN_OR_RETURN(File file, File::open(temporary, O_WRONLY | O_CREAT | O_TRUNC));
    TRY(write_all(file.fd(), bytes, path.native()));
    TRY(sync_data(file.fd(), path.native()));
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      return errno_error(errno, "rename", path.native());
    return {};
  };
  if (auto status = write(); !status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return sync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

Status make_directories(const std::filesystem::path& path) {
  std::filesystem::path built;
  for (const auto& part : path) {
    built /= part;
    if (::mkdir(built.c_str(), 0700) != 0 && errno != EEXIST) {
      const int errnum = errno;
      struct stat info{};
      if (::stat(built.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
      return errno_error(errnum, "make folder", built.native());
    }
  }
  return {};
}

}  // namespace similis
