#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/result.h"
#include "core/context.h"

namespace similis {

/// How many of a file's first bytes archive_type() makes use of.
inline constexpr std::size_t kArchiveHeadBytes = 512;

/// "zip", "tar" or, of a compressed one, "gzip", "bzip2", "xz", "zstd" (what is inside shows when
/// it is read); "" when the bytes are none of these.
std::string_view archive_type(std::span<const std::byte> head);

/// A regular file inside an archive.
struct ArchiveMember {
  std::string name;  // its path, bytes, as the archive has it: never to be opened as it is
  std::optional<std::int64_t> modified_at_s;  // Unix seconds
  std::vector<std::byte> bytes;
  std::optional<Error> error;  // why there are no bytes: too_large, or unreadable_media
};

/// What the reader of an archive does with it.
struct ArchiveVisitor {
  /// Whether the member of this name is to be read; `size_bytes` where the archive tells it first.
  std::function<Result<bool>(std::string_view name, std::optional<std::uint64_t> size_bytes)> wants;
  std::function<Status(ArchiveMember member)> take;
};

/// The port: archives are taken apart elsewhere, safely.
class Unpacker {
 public:
  virtual ~Unpacker() = default;

  /// Hands over the regular files of the archive, in its order, until the visitor returns an error,
  /// which is the call's then. A member of more than `member_bytes_max` bytes is handed over
  /// without them. unsupported_media: not an archive that is read here; unreadable_media: it is
  /// damaged, encrypted or brought its reader down, what came before it was handed over;
  /// cancelled, deadline_exceeded; unavailable when no reader can be started.
  virtual Status unpack(const Context& ctx, const File& archive, std::uint64_t member_bytes_max,
                        const ArchiveVisitor& visitor) = 0;
};

}  // namespace similis
