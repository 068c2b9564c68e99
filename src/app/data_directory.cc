#include "app/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string>

namespace similis {
namespace {

std::filesystem::path lock_path(const std::filesystem::path& path) {
  return path / "lock";
}

/// The pid a lock file names: its first word. 0 when there is none.
pid_t named_holder(int fd) {
  char text[32] = {};
  const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  pid_t pid = 0;
  if (n > 0) std::from_chars(text, text + n, pid);
  return pid;
}

}  // namespace

Result<DataDirectory> DataDirectory::lock(const std::filesystem::path& path) {
  TRY(make_directories(path));
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return errno_error(errno, "stat", path.native());
  if (info.st_uid != ::geteuid()) {
    return Error(ErrorCode::permission_denied,
                 "the data directory " + path.native() + " belongs to another user",
                 "Name one of your own with --data-dir.");
  }
  if ((info.st_mode & 077) != 0 && ::chmod(path.c_str(), 0700) != 0) {
    return errno_error(errno, "make private", path.native());
  }
  ASSIGN_OR_RETURN(File file, File::open(lock_path(path), O_RDWR | O_CREAT));
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return errno_error(errno, "lock", lock_path(path).native());
    return Error(ErrorCode::conflict,
                 "the data directory " + path.native() + " is in use by process " +
                     std::to_string(named_holder(file.fd())),
                 "Wait for it, or stop it; or name another folder with --data-dir.");
  }
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file.fd(), 0) != 0) return errno_error(errno, "write", lock_path(path).native());
  TRY(pwrite_all(file.fd(), std::as_bytes(std::span(text)), 0, lock_path(path).native()));
  return DataDirectory(path, std::move(file));
}

std::optional<pid_t> lock_holder(const std::filesystem::path& path) {
  auto file = File::open(lock_path(path), O_RDWR);
  if (!file.ok()) return std::nullopt;
  if (::flock(file->fd(), LOCK_EX | LOCK_NB) == 0)
    return std::nullopt;  // released when the file closes
  return named_holder(file->fd());
}

std::filesystem::path socket_path(const std::filesystem::path& data_directory) {
  return data_directory / "similis.sock";
}

}  // namespace similis
