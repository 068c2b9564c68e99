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

inline constexpr std::size_t kMemberNameBytesMax = 4096;

/// A regular file inside an archive.
struct ArchiveMember {
  /// Its path, bytes, as the archive has it, never to be opened as it is; shortened beyond
  /// kMemberNameBytesMax, and the member broken then.
  std::string name;
  std::optional<std::int64_t> modified_at_s;  // Unix seconds
  std::vector<std::byte> bytes;
  /// Why the bytes are not all of it: too_large (the first ones are there, enough to tell its
  /// type), or unreadable_media.
  std::optional<Error> error;
};

/// What the reader of an archive does with it.
struct ArchiveVisitor {
  /// Whether the member of this name is to be read; `size_bytes` where the archive tells it first.
  std::function<Result<bool>(std::string_view name, std::optional<std::uint64_t> size_bytes)> wants;
  std::function<Status(ArchiveMember member)> take;
};

/// What a compressed archive may unpack to.
inline constexpr std::uint64_t kUnpackedMin = std::uint64_t{16} << 30;
inline constexpr std::uint64_t kUnpackedFactor = 100;

/// The port: archives are taken apart elsewhere, safely.
class Unpacker {
 public:
  virtual ~Unpacker() = default;

  /// Hands over the regular files of the archive, in its order, until the visitor returns an error,
  /// which is the call's then. A member of more than `member_bytes_max` bytes, a broken one and a
  /// link to another are handed over with an error. unsupported_media: not an archive that is read
  /// here; unreadable_media: it is damaged or brought its reader down; too_large: it unpacks to
  /// more than kUnpackedMin bytes and kUnpackedFactor times its own; what came before was handed
  /// over in either case. cancelled, deadline_exceeded; unavailable when no reader can be started.
  virtual Status unpack(const Context& ctx, const File& archive, std::uint64_t member_bytes_max,
                        const ArchiveVisitor& visitor) = 0;
};

}  // namespace similis
