#include "base/error.h"

#include <cerrno>
#include <system_error>

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

Error errno_error(int errnum, std::string_view operation, std::string_view path) {
  std::string message = std::string(operation) + " " + std::string(path) + ": " +
                        std::generic_category().message(errnum);
  switch (errnum) {
    case ENOSPC:
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
