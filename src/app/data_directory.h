#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace similis {

/// Who holds a data directory: a server, which is there for others, or a command, which answers
/// others for as long as it lasts.
enum class HolderKind : std::uint8_t { command, server };

struct LockHolder {
  pid_t pid = 0;  // 0 when it has not said yet
  bool serves = false;
  std::int64_t since_s = 0;  // UNIX time it took the lock; 0: not known

  /// "process 412 since 2026-03-02 14:02:07", in local time.
  [[nodiscard]] std::string to_string() const;
};

/// The one process that works on a data directory. Holding this means holding the lock.
class DataDirectory {
 public:
  /// Makes the folder (mode 0700) when it is new. conflict when another process holds it: `owner`
  /// names that process. permission_denied when the folder is another user's.
  static Result<DataDirectory> lock(const std::filesystem::path& path, HolderKind kind);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  DataDirectory(std::filesystem::path path, File lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::filesystem::path path_;
  File lock_;
};

/// The process that holds the lock of `path`; nullopt when nobody does.
std::optional<LockHolder> lock_holder(const std::filesystem::path& path);

std::filesystem::path socket_path(const std::filesystem::path& data_directory);

}  // namespace similis
