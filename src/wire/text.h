#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/ids.h"

namespace similis::wire {

/// "2024-03-15T10:30:00Z".
std::string format_time(UnixSeconds time);
/// RFC 3339 with any offset and fraction (dropped); nullopt when it is not one.
std::optional<UnixSeconds> parse_time(std::string_view text);

/// A positive decimal below 2^53 without sign or leading zero; nullopt otherwise.
std::optional<std::int64_t> parse_id(std::string_view text);

bool is_utf8(std::string_view bytes);
/// How a file name is shown: itself when it is UTF-8, else with U+FFFD for each byte that is not.
std::string display_text(std::string_view bytes);

std::string base64_encode(std::string_view bytes);
/// Standard alphabet with padding; nullopt on anything else.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace similis::wire
