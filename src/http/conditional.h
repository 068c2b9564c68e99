#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace similis::http {

/// Bytes first..last of a body, both included.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

enum class RangeKind : std::uint8_t {
  whole,         // none asked for, or one that RFC 9110 says to ignore
  part,          // one range
  unsatisfiable  // 416
};

struct RangeChoice {
  RangeKind kind = RangeKind::whole;
  ByteRange range;
};

/// What a Range header asks of `size` bytes. Several ranges are answered with the whole, as the
/// standard allows.
RangeChoice choose_range(std::string_view range_header, std::uint64_t size);

/// True when an If-None-Match header names `etag` (quoted), weakly compared, or is "*".
bool etag_matches(std::string_view if_none_match, std::string_view etag);

/// Answers a GET with `response`'s body under its strong `etag`: 304, 206, 416 or the whole.
Response conditional(const RequestHead& head, Response response, const std::string& etag);

}  // namespace similis::http
