#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace similis {

/// Readers of EXIF values in the form libvips gives them: the value, then libexif's description in
/// parentheses: "Canon (Canon, ASCII, 6 components, 6 bytes)". Bad values give nothing.

/// The value without the description, trimmed, printable; at most 64 bytes.
std::string exif_string(std::string_view text);
/// "2019:07-14 15:04:05" with ':' in the date, and an offset "+02:00" or "", to seconds since 1970.
std::optional<std::int64_t> exif_time(std::string_view text, std::string_view offset);
/// "51/1 30/1 1234/100" and "N", "S", "E" or "W" to degrees. Beyond `limit_deg` gives nothing.
std::optional<double> exif_degrees(std::string_view text, std::string_view reference,
                                   double limit_deg);

}  // namespace similis
