#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <variant>

#include "base/error.h"
#include "base/file.h"
#include "base/result.h"
#include "core/context.h"
#include "vision/picture.h"

namespace similis {

/// One file, or bytes in memory, and what is wanted of it.
struct DecodeJob {
  /// A path is opened for reading only. An open file, for callers that had to look where it lies,
  /// is read from its begin on, wherever its offset is. It and bytes are borrowed for the length of
  /// the call.
  std::variant<std::filesystem::path, std::span<const std::byte>, const File*> source;
  /// The file's name, for its extension (see sniff()). May be empty; a path needs none.
  std::string name;
  DecodeRequest request;
};

/// Not a picture, or an SVG: to be counted by type, not to be reported as a failure.
struct SkippedFile {
  Sniffed type;
};

/// What became of a job: the picture; not a picture; or why it could not be decoded, in words for
/// its owner ("JPEG ends early: ...", "the decoder crashed on this file"). Codes of a failed one:
/// unsupported_media, unreadable_media, too_large (retrying will not help before a limit or the
/// file changes); not_found, permission_denied, io_error, resource_exhausted (it may).
using DecodeOutcome = std::variant<DecodedPicture, SkippedFile, Error>;

/// The port: pictures are decoded elsewhere, safely. Any number of threads may call at the same
/// time.
class Decoder {
 public:
  virtual ~Decoder() = default;

  /// An Error here is about the call, not about the file, which may be given again: cancelled,
  /// deadline_exceeded, unavailable (no worker can be started), invalid_argument (see
  /// check_request()). Returns at the latest a quarter of a second after the context's deadline or
  /// cancellation.
  virtual Result<DecodeOutcome> decode(const Context& ctx, const DecodeJob& job) = 0;
};

/// The outcome as a picture or the error to show to somebody who gave this one file.
Result<DecodedPicture> picture_or_error(DecodeOutcome outcome);

}  // namespace similis
