#include "base/error.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "base/bytes_text.h"

namespace similis {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::unsupported_media:
      return "unsupported_media";
    case ErrorCode::unreadable_media:
      return "unreadable_media";
    case ErrorCode::too_large:
      return "too_large";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::already_exists:
      return "already_exists";
    case ErrorCode::conflict:
      return "conflict";
    case ErrorCode::gone:
      return "gone";
    case ErrorCode::unauthenticated:
      return "unauthenticated";
    case ErrorCode::permission_denied:
      return "permission_denied";
    case ErrorCode::resource_exhausted:
      return "resource_exhausted";
    case ErrorCode::deadline_exceeded:
      return "deadline_exceeded";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::corruption:
      return "corruption";
    case ErrorCode::io_error:
      return "io_error";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

ErrorCode error_code_from_name(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    if (error_code_name(code) == name) return code;
  }
  return ErrorCode::internal;
}

Error Error::with_context(std::string_view what) const {
  return Error(code, std::string(what) + ": " + message, hint);
}

std::string disk_room(std::string_view path, std::uint64_t bytes_needed) {
  std::string place(path);
  struct statvfs space{};
  while (::statvfs(place.c_str(), &space) != 0) {
    const std::size_t slash = place.rfind('/');
    if (slash == std::string::npos || place.size() == 1) return "";
    place.resize(std::max<std::size_t>(slash, 1));
  }
  return " (" +
         (bytes_needed > 0 ? "needed " + bytes_text(static_cast<std::int64_t>(bytes_needed)) + ", "
                           : std::string()) +
         "free " + bytes_text(static_cast<std::int64_t>(space.f_bavail * space.f_frsize)) + ")";
}

Error errno_error(int errnum, std::string_view operation, std::string_view path,
                  std::uint64_t bytes_needed) {
  std::string message = std::string(operation) + " " + std::string(path) + ": " +
                        std::generic_category().message(errnum);
  switch (errnum) {
    case ENOSPC:
      message += disk_room(path, bytes_needed);
      [[fallthrough]];
    case EDQUOT:
      return {ErrorCode::resource_exhausted, message, "Free some disk space and try again."};
    case EMFILE:
    case ENFILE:
      return {ErrorCode::resource_exhausted, message, "Raise the limit on open files (ulimit -n)."};
    case ENOMEM:
      return {ErrorCode::resource_exhausted, message};
    case ENOENT:
    case ENOTDIR:
      return {ErrorCode::not_found, message};
    case EEXIST:
      return {ErrorCode::already_exists, message};
    case EACCES:
    case EPERM:
      return {ErrorCode::permission_denied, message};
    default:
      return {ErrorCode::io_error, message};
  }
}

}  // namespace similis
