#include "wire/error_table.h"

#include <array>

namespace similis {
namespace {

struct Row {
  ErrorCode code;
  int http;
  int exit;
};

constexpr std::array<Row, 17> kTable{{
    {ErrorCode::invalid_argument, 400, kExitUsage},
    {ErrorCode::unsupported_media, 415, kExitUnreadable},
    {ErrorCode::unreadable_media, 422, kExitUnreadable},
    {ErrorCode::too_large, 413, kExitUnreadable},
    {ErrorCode::not_found, 404, kExitUsage},
    {ErrorCode::already_exists, 409, kExitUsage},
    {ErrorCode::conflict, 409, kExitEnvironment},
    {ErrorCode::gone, 410, kExitUsage},
    {ErrorCode::unauthenticated, 401, kExitEnvironment},
    {ErrorCode::permission_denied, 403, kExitEnvironment},
    {ErrorCode::resource_exhausted, 507, kExitEnvironment},
    {ErrorCode::deadline_exceeded, 504, kExitEnvironment},
    {ErrorCode::cancelled, 499, kExitInterrupted},
    {ErrorCode::unavailable, 503, kExitEnvironment},
    {ErrorCode::corruption, 500, kExitEnvironment},
    {ErrorCode::io_error, 500, kExitEnvironment},
    {ErrorCode::internal, 500, kExitEnvironment},
}};

constexpr const Row& row(ErrorCode code) {
  return kTable[static_cast<std::size_t>(code)];
}

constexpr bool table_is_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i)
    if (kTable[i].code != static_cast<ErrorCode>(i)) return false;
  return static_cast<std::size_t>(ErrorCode::internal) + 1 == kTable.size();
}
static_assert(table_is_in_order());

}  // namespace

int http_status(ErrorCode code) {
  return row(code).http;
}
int exit_code(ErrorCode code) {
  return row(code).exit;
}

}  // namespace similis
