#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace similis {

/// What kind of failure this is, for the caller that has to act on it. Few on purpose: the message
/// carries the detail. `wire/` maps each code to one HTTP status and one exit code.
enum class ErrorCode : std::uint8_t {
  invalid_argument,   // the caller's input is wrong; repeating it will not help
  unsupported_media,  // bytes that are not a picture this build reads
  unreadable_media,   // a picture, but broken (truncated, corrupt, decoder crashed)
  too_large,          // over a configured limit; the hint names the limit's key
  not_found,          // the named thing does not exist
  already_exists,     // the named thing exists
  conflict,  // exists, but in a state that forbids the call (data directory in use, job already
             // done)
  gone,      // existed and has expired (a paging cursor)
  unauthenticated,     // no credential, or a wrong one
  permission_denied,   // known caller, not allowed
  resource_exhausted,  // disk, memory, file descriptors, rate
  deadline_exceeded,   // the context's deadline passed
  cancelled,           // the context was cancelled
  unavailable,         // a part that may come back (worker restarting, server away)
  corruption,          // bytes from disk or network that fail their check
  io_error,            // the operating system refused a read or a write
  internal,            // a defect of ours
};

/// The code's stable name, as the API sends it: "invalid_argument".
std::string_view error_code_name(ErrorCode code);
/// The code of that name; `internal` for a name this build does not know.
ErrorCode error_code_from_name(std::string_view name);

/// A failure in words: `message` says what and why, `hint` what to do ("" when nothing can be
/// advised).
struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::string hint;

  Error() = default;
  Error(ErrorCode code_, std::string message_, std::string hint_ = {})
      : code(code_), message(std::move(message_)), hint(std::move(hint_)) {}

  /// The same error with "`what`: " in front of the message.
  [[nodiscard]] Error with_context(std::string_view what) const;
};

/// An io_error (resource_exhausted for ENOSPC, EDQUOT, EMFILE, ENOMEM; not_found for ENOENT;
/// permission_denied for EACCES) that names the operation, the path and the system's reason: "write
/// /x/y: No space left on device". For a full disk also what is free there, and `bytes_needed` when
/// it is not 0.
Error errno_error(int errnum, std::string_view operation, std::string_view path,
                  std::uint64_t bytes_needed = 0);

/// " (needed 4.2 MB, free 12 kB)" for the disk that holds `path`, or will; "" when that cannot be
/// told.
std::string disk_room(std::string_view path, std::uint64_t bytes_needed = 0);

}  // namespace similis
