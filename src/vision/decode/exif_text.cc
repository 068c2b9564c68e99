#include "vision/decode/exif_text.h"

#include <charconv>
#include <chrono>
#include <cmath>

namespace similis {
namespace {

// libvips writes "VALUE (VALUE AS LIBEXIF SHOWS IT, TYPE, N components, M bytes)". A text stands
// there twice, so its own parentheses are told from the description's.
std::size_t description_begin(std::string_view text) {
  for (std::size_t open = text.find(" ("); open != std::string_view::npos;
       open = text.find(" (", open + 1)) {
    const std::string_view value = text.substr(0, open), rest = text.substr(open + 2);
    if (rest.starts_with(value) && rest.substr(value.size()).starts_with(", ")) return open;
  }
  return text.rfind(" (");
}

std::string_view value_part(std::string_view text) {
  text = text.substr(0, description_begin(text));
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// The number at the front of `text`, which is moved behind it.
std::optional<int> take_int(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take_char(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string exif_string(std::string_view text) {
  std::string out;
  for (const char c : value_part(text)) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u < 0x7F && out.size() < 64) out += c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::optional<std::int64_t> exif_time(std::string_view text, std::string_view offset) {
  text = value_part(text);
  int part[6];
  for (int i = 0; i < 6; ++i) {
    if (i > 0 && !take_char(text, i == 3 ? ' ' : ':')) return std::nullopt;
    const auto value = take_int(text);
    if (!value) return std::nullopt;
    part[i] = *value;
  }
  const std::chrono::year_month_day day{std::chrono::year{part[0]},
                                        std::chrono::month{static_cast<unsigned>(part[1])},
                                        std::chrono::day{static_cast<unsigned>(part[2])}};
  // Cameras whose clock was never set write year 0; "0000:00:00" is not a date either.
  if (!day.ok() || part[0] < 1826 || part[3] < 0 || part[3] > 23 || part[4] < 0 || part[4] > 59 ||
      part[5] < 0 || part[5] > 60) {
    return std::nullopt;
  }
  std::int64_t seconds =
      std::chrono::sys_days(day).time_since_epoch().count() * std::int64_t{86400} + part[3] * 3600 +
      part[4] * 60 + part[5];
  offset = value_part(offset);
  if (offset.size() == 6 && (offset[0] == '+' || offset[0] == '-')) {
    std::string_view digits = offset.substr(1);
    const auto hours = take_int(digits);
    const bool colon = take_char(digits, ':');
    const auto minutes = take_int(digits);
    if (hours && colon && minutes && *hours >= 0 && *hours <= 14 && *minutes >= 0 &&
        *minutes < 60) {
      seconds -= (offset[0] == '-' ? -1 : 1) * (*hours * 3600 + *minutes * 60);
    }
  }
  return seconds;
}

std::optional<double> exif_degrees(std::string_view text, std::string_view reference,
                                   double limit_deg) {
  text = value_part(text);
  reference = value_part(reference);
  double degrees = 0;
  double unit = 1;
  for (int i = 0; i < 3; ++i, unit *= 60) {
    const auto numerator = take_int(text);
    if (!numerator) return std::nullopt;
    int denominator = 1;
    if (take_char(text, '/')) {
      const auto value = take_int(text);
      if (!value || *value == 0) return std::nullopt;
      denominator = *value;
    }
    degrees += double(*numerator) / denominator / unit;
  }
  if (reference.empty() || !std::isfinite(degrees) || degrees < 0 || degrees > limit_deg)
    return std::nullopt;
  switch (reference.front()) {
    case 'N':
    case 'E':
      return degrees;
    case 'S':
    case 'W':
      return -degrees;
    default:
      return std::nullopt;
  }
}

}  // namespace similis
