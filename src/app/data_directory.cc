#include "app/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <ctime>
#include <string>
#include <string_view>
#include <thread>

namespace similis {
namespace {

std::filesystem::path lock_path(const std::filesystem::path& path) {
  return path / "lock";
}

constexpr std::string_view kServerWord = " serve";
/// Whoever asks who holds the lock has it for microseconds: that must not look like a holder.
constexpr int kLockTries = 30;
constexpr std::chrono::milliseconds kLockTryEvery{10};

/// What a lock file says: "PID START" or "PID START serve", START in UNIX seconds.
LockHolder named_holder(int fd) {
  char text[64] = {};
  const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  LockHolder out;
  if (n <= 0) return out;
  const char* end = std::from_chars(text, text + n, out.pid).ptr;
  if (end < text + n) {
    const auto since = std::from_chars(end + 1, text + n, out.since_s);
    if (since.ec == std::errc()) end = since.ptr;
  }
  out.serves =
      std::string_view(end, static_cast<std::size_t>(text + n - end)).starts_with(kServerWord);
  return out;
}

/// False when another process holds it.
Result<bool> try_lock(const File& file, const std::filesystem::path& path) {
  for (int i = 0; i < kLockTries; ++i) {
    if (::flock(file.fd(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) return errno_error(errno, "lock", path.native());
    std::this_thread::sleep_for(kLockTryEvery);
  }
  return false;
}

}  // namespace

Result<DataDirectory> DataDirectory::lock(const std::filesystem::path& path, HolderKind kind) {
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
  ASSIGN_OR_RETURN(const bool locked, try_lock(file, lock_path(path)));
  if (!locked) {
    return Error(ErrorCode::conflict,
                 "the data directory " + path.native() + " is in use by " +
                     named_holder(file.fd()).to_string(),
                 "Wait for it, or stop it; or name another folder with --data-dir.");
  }
  const std::string text = std::to_string(::getpid()) + " " + std::to_string(std::time(nullptr)) +
                           std::string(kind == HolderKind::server ? kServerWord : "") + "\n";
  if (::ftruncate(file.fd(), 0) != 0) return errno_error(errno, "write", lock_path(path).native());
  TRY(pwrite_all(file.fd(), std::as_bytes(std::span(text)), 0, lock_path(path).native()));
  return DataDirectory(path, std::move(file));
}

std::string LockHolder::to_string() const {
  std::string out = "process " + std::to_string(pid);
  const std::time_t time = since_s;
  std::tm local{};
  char text[32];
  if (since_s > 0 && ::localtime_r(&time, &local) != nullptr &&
      std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local) > 0) {
    out += std::string(" since ") + text;
  }
  return out;
}

std::optional<LockHolder> lock_holder(const std::filesystem::path& path) {
  auto file = File::open(lock_path(path), O_RDWR);
  if (!file.ok()) return std::nullopt;
  // Shared, so that two who ask at once do not take each other for the holder.
  if (::flock(file->fd(), LOCK_SH | LOCK_NB) == 0)
    return std::nullopt;  // released when the file closes
  return named_holder(file->fd());
}

std::filesystem::path socket_path(const std::filesystem::path& data_directory) {
  return data_directory / "similis.sock";
}

}  // namespace similis
