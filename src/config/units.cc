#include "config/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

namespace similis {
namespace {

constexpr double kValueMax = static_cast<double>(std::int64_t{1} << 62);

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

constexpr std::int64_t kKibi = 1024;
constexpr std::array kByteUnits = {Unit{"TiB", kKibi* kKibi* kKibi* kKibi},
                                   Unit{"GiB", kKibi* kKibi* kKibi}, Unit{"MiB", kKibi* kKibi},
                                   Unit{"KiB", kKibi}, Unit{"", 1}};
constexpr std::array kDurationUnits = {Unit{"d", 86'400'000}, Unit{"h", 3'600'000},
                                       Unit{"m", 60'000}, Unit{"s", 1000}, Unit{"ms", 1}};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

struct Quantity {
  double number = 0;
  std::string unit;  // lower case
};

/// A plain decimal number without a sign, then letters.
std::optional<Quantity> split(std::string_view text) {
  std::string digits;
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '_' && !digits.empty()) continue;
    if ((c < '0' || c > '9') && c != '.') break;
    digits += c;
  }
  Quantity out;
  const char* end = digits.data() + digits.size();
  const auto [rest, failed] =
      std::from_chars(digits.data(), end, out.number, std::chars_format::fixed);
  if (failed != std::errc() || rest != end || digits.empty()) return std::nullopt;
  while (at < text.size() && text[at] == ' ') ++at;
  out.unit = lower(text.substr(at));
  return out;
}

Error bad(std::string_view text, std::string_view expected) {
  return Error(ErrorCode::invalid_argument,
               "\"" + std::string(text) + "\" is not " + std::string(expected));
}

Result<std::int64_t> scaled(std::string_view text, double number, double factor,
                            std::string_view expected) {
  const double value = number * factor;
  if (value > kValueMax)
    return Error(ErrorCode::invalid_argument, "\"" + std::string(text) + "\" is too large");
  if (value != std::floor(value)) return bad(text, expected);
  return static_cast<std::int64_t>(value);
}

std::string in_largest_unit(std::int64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0)
      return std::to_string(value / unit.factor) + std::string(unit.name);
  }
  return std::to_string(value) + std::string(units.back().name);
}

}  // namespace

Result<std::int64_t> parse_bytes(std::string_view text) {
  constexpr std::string_view kExpected = "a number of bytes such as 512MB or 2GiB";
  const std::optional<Quantity> found = split(text);
  if (!found) return bad(text, kExpected);
  std::string_view unit = found->unit;
  if (unit.empty() || unit == "b") return scaled(text, found->number, 1, kExpected);
  const std::size_t power = std::string_view("kmgt").find(unit[0]);
  const std::string_view rest = unit.substr(1);
  if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib"))
    return bad(text, kExpected);
  const double bytes = found->number * std::pow(1024.0, static_cast<double>(power + 1));
  // "1.3GB" is not a whole number of bytes, and nobody minds.
  return scaled(text, std::floor(bytes), 1, kExpected);
}

std::string format_bytes(std::int64_t bytes) {
  return in_largest_unit(bytes, kByteUnits);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::string_view kExpected = "a duration such as 250ms, 20s, 5m or 1h";
  const std::optional<Quantity> found = split(text);
  if (!found) return bad(text, kExpected);
  const auto* unit = std::find_if(kDurationUnits.begin(), kDurationUnits.end(),
                                  [&](const Unit& u) { return u.name == found->unit; });
  if (unit == kDurationUnits.end()) return bad(text, kExpected);
  // 0.1s is 100ms, although 0.1 * 1000 need not be a whole number in binary.
  const double exact = found->number * static_cast<double>(unit->factor);
  const double rounded = std::round(exact);
  if (std::abs(exact - rounded) > 1e-6) return bad(text, kExpected);
  ASSIGN_OR_RETURN(const std::int64_t ms, scaled(text, rounded, 1, kExpected));
  return std::chrono::milliseconds(ms);
}

std::string format_duration(std::chrono::milliseconds duration) {
  if (duration.count() == 0) return "0s";
  return in_largest_unit(duration.count(), kDurationUnits);
}

Result<std::int64_t> parse_count(std::string_view text) {
  constexpr std::string_view kExpected = "a whole number such as 8 or 250M";
  const std::optional<Quantity> found = split(text);
  if (!found) return bad(text, kExpected);
  if (found->unit.empty()) return scaled(text, found->number, 1, kExpected);
  const std::size_t power = std::string_view("kmg").find(found->unit);
  if (power == std::string_view::npos) return bad(text, kExpected);
  return scaled(text, found->number, std::pow(1000.0, static_cast<double>(power + 1)), kExpected);
}

std::string format_count(std::int64_t count) {
  return std::to_string(count);
}

}  // namespace similis
