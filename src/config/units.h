#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace similis {

/// "512MB", "1.5 GiB", "64k", "4096": a number and a unit. B, and K, M, G, T with "B", "iB" or
/// nothing behind, in any case. KB, K and KiB all mean 1024 bytes, as memory and files are counted.
/// invalid_argument otherwise, or beyond 2^62.
Result<std::int64_t> parse_bytes(std::string_view text);
/// The largest unit that keeps the value exact: "512MiB", "1536KiB", "1000".
std::string format_bytes(std::int64_t bytes);

/// "20s", "250ms", "1.5h", "2m", "7d": a number and a unit, which must be there.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// The largest unit that keeps the value exact: "90s", "2m".
std::string format_duration(std::chrono::milliseconds duration);

/// "250000000", "250_000_000", "250M" (K, M, G in thousands): a whole number without a unit of
/// bytes.
Result<std::int64_t> parse_count(std::string_view text);
std::string format_count(std::int64_t count);

}  // namespace similis
