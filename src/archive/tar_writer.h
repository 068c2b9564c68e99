#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace similis {

/// Writes an uncompressed tar file (GNU format) that shows under its name only once it is whole.
/// Until finish() it lies beside it, hidden, under a name made of the writer's own.
class TarWriter {
 public:
  /// `own`: a name that no other writer has, as part of a file's name; what an earlier attempt of
  /// the same one left is replaced. Errors as errno_error.
  static Result<TarWriter> create(const std::filesystem::path& path, std::string_view own);
  TarWriter(TarWriter&&) noexcept;
  TarWriter& operator=(TarWriter&&) noexcept;
  /// Without finish(): removes the partial file.
  ~TarWriter();

  /// A member of these bytes. `mtime_s`: Unix seconds.
  Status add(std::string_view name, std::span<const std::byte> bytes, std::int64_t mtime_s);
  /// A member of the file's first `size` bytes. When the file ends before them the rest is zeros,
  /// as the tar already says how many there are: `unreadable_media`, and the archive can be
  /// written on.
  Status add(std::string_view name, const File& file, std::uint64_t size, std::int64_t mtime_s);
  /// Bytes written so far.
  [[nodiscard]] std::int64_t bytes() const;
  /// Closes, syncs, and gives the file its name. already_exists when something is called so by now,
  /// which stays.
  Status finish();

 private:
  struct Impl;
  explicit TarWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace similis
