#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace similis {

/// Owns a file descriptor.
class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(other.release()) {}
  File& operator=(File&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { reset(); }

  /// open(2) with O_CLOEXEC added. Errors as errno_error.
  static Result<File> open(const std::filesystem::path& path, int flags, mode_t mode = 0600);

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

/// Writes all bytes, retrying short writes and EINTR. `name` is for the error's text.
Status write_all(int fd, std::span<const std::byte> bytes, std::string_view name);
Status pwrite_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset,
                  std::string_view name);
/// Reads exactly bytes.size() bytes; `corruption` when the file ends before.
Status pread_exact(int fd, std::span<std::byte> bytes, std::uint64_t offset, std::string_view name);
Status sync_data(int fd, std::string_view name);

/// The whole file in memory, a pipe to its end. `too_large` above `bytes_max`.
Result<std::vector<std::byte>> read_file(const std::filesystem::path& path,
                                         std::uint64_t bytes_max = UINT64_MAX);
Result<std::string> read_text_file(const std::filesystem::path& path,
                                   std::uint64_t bytes_max = 64u << 20);

/// Publishes `bytes` under `path`, whole or not at all, surviving power loss: temporary file beside
/// it, write, fsync, rename, fsync of the folder. Mode 0600.
Status publish_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
Status sync_directory(const std::filesystem::path& path);
/// mkdir -p with mode 0700 for what it makes.
Status make_directories(const std::filesystem::path& path);

}  // namespace similis
