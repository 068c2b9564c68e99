#include "cli/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace similis::cli {
namespace {

/// One character of a text: its bytes, its code point (or the byte itself when `valid` is false).
struct Character {
  std::string_view bytes;
  char32_t code = 0;
  bool valid = false;
};

/// Decodes strictly (no overlong forms, no surrogates), so that what is printed is UTF-8.
Character next_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {text.substr(0, 1), first, true};
  const std::size_t length = first >= 0xF0 && first < 0xF5 ? 4
                             : first >= 0xE0               ? 3
                             : first >= 0xC2               ? 2
                                                           : 0;
  if (length == 0 || first >= 0xF5 || text.size() < length)
    return {text.substr(0, 1), first, false};
  char32_t code = first & (0xFF >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {text.substr(0, 1), first, false};
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    return {text.substr(0, 1), first, false};
  }
  return {text.substr(0, length), code, true};
}

bool is_between(char32_t c, char32_t low, char32_t high) {
  return c >= low && c <= high;
}

/// Characters that steer the terminal or the direction of writing rather than show something.
bool is_steering(char32_t c) {
  return c < 0x20 || is_between(c, 0x7F, 0x9F) || is_between(c, 0x200B, 0x200F) ||
         is_between(c, 0x2028, 0x202E) || is_between(c, 0x2060, 0x206F) || c == 0xFEFF ||
         c == 0xAD || is_between(c, 0xE0000, 0xE0FFF);
}

/// Ranges of Unicode's East Asian Width W and F and of emoji presentation, coarse but
/// locale-independent (wcwidth(3) depends on the locale, which a script may have set to C).
bool is_wide(char32_t c) {
  return is_between(c, 0x1100, 0x115F) || is_between(c, 0x231A, 0x231B) ||
         is_between(c, 0x23E9, 0x23EC) || is_between(c, 0x2E80, 0x303E) ||
         is_between(c, 0x3041, 0x33FF) || is_between(c, 0x3400, 0x4DBF) ||
         is_between(c, 0x4E00, 0x9FFF) || is_between(c, 0xA000, 0xA4CF) ||
         is_between(c, 0xA960, 0xA97F) || is_between(c, 0xAC00, 0xD7A3) ||
         is_between(c, 0xF900, 0xFAFF) || is_between(c, 0xFE30, 0xFE6F) ||
         is_between(c, 0xFF00, 0xFF60) || is_between(c, 0xFFE0, 0xFFE6) ||
         is_between(c, 0x1F300, 0x1F64F) || is_between(c, 0x1F680, 0x1F6FF) ||
         is_between(c, 0x1F900, 0x1FAFF) || is_between(c, 0x20000, 0x3FFFD);
}

bool is_combining(char32_t c) {
  return is_between(c, 0x300, 0x36F) || is_between(c, 0x483, 0x489) ||
         is_between(c, 0x591, 0x5BD) || is_between(c, 0x610, 0x61A) ||
         is_between(c, 0x64B, 0x65F) || is_between(c, 0x1AB0, 0x1AFF) ||
         is_between(c, 0x1DC0, 0x1DFF) || is_between(c, 0x20D0, 0x20FF) ||
         is_between(c, 0xFE00, 0xFE0F) || is_between(c, 0xFE20, 0xFE2F);
}

std::size_t width_of(const Character& c) {
  if (!c.valid) return 1;
  return is_combining(c.code) ? 0 : is_wide(c.code) ? 2 : 1;
}

std::vector<Character> characters(std::string_view text) {
  std::vector<Character> out;
  while (!text.empty()) {
    out.push_back(next_character(text));
    text.remove_prefix(out.back().bytes.size());
  }
  return out;
}

/// Bytes of the longest beginning (or, `from_end`, ending) that fits into `columns`.
std::string_view fitting(std::string_view text, std::size_t columns, bool from_end) {
  auto all = characters(text);
  if (from_end) std::reverse(all.begin(), all.end());
  std::size_t used = 0, bytes = 0;
  for (const Character& c : all) {
    if (used + width_of(c) > columns) break;
    used += width_of(c);
    bytes += c.bytes.size();
  }
  return from_end ? text.substr(text.size() - bytes) : text.substr(0, bytes);
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (const Character& c : characters(text)) width += width_of(c);
  return width;
}

std::string printable(std::string_view text) {
  std::string out;
  for (const Character& c : characters(text)) {
    if (c.valid && !is_steering(c.code)) {
      out += c.bytes;
      continue;
    }
    std::array<char, 16> escape{};
    if (c.code == '\n') {
      out += "\\n";
    } else if (c.code == '\t') {
      out += "\\t";
    } else if (!c.valid || c.code < 0x100) {
      std::snprintf(escape.data(), escape.size(), "\\x%02x", static_cast<unsigned>(c.code));
      out += escape.data();
    } else {
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c.code));
      out += escape.data();
    }
  }
  return out;
}

std::string shorten_middle(std::string_view text, std::size_t columns, bool utf8) {
  if (display_width(text) <= columns) return std::string(text);
  const std::string_view dots = utf8 ? "…" : "...";
  const std::size_t dots_width = utf8 ? 1 : 3;
  if (columns <= dots_width) return std::string(fitting(text, columns, false));
  const std::size_t room = columns - dots_width;
  const std::size_t head = room * 2 / 5;
  const std::string_view begin = fitting(text, head, false);
  const std::string_view end = fitting(text, room - display_width(begin), true);
  return std::string(begin) + std::string(dots) + std::string(end);
}

std::string shorten_end(std::string_view text, std::size_t columns, bool utf8) {
  if (display_width(text) <= columns) return std::string(text);
  const std::string_view dots = utf8 ? "…" : "...";
  const std::size_t dots_width = utf8 ? 1 : 3;
  if (columns <= dots_width) return std::string(fitting(text, columns, false));
  return std::string(fitting(text, columns - dots_width, false)) + std::string(dots);
}

std::string pad_right(std::string_view text, std::size_t columns) {
  const std::size_t width = display_width(text);
  return std::string(text) + std::string(width < columns ? columns - width : 0, ' ');
}

std::string pad_left(std::string_view text, std::size_t columns) {
  const std::size_t width = display_width(text);
  return std::string(width < columns ? columns - width : 0, ' ') + std::string(text);
}

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number < 0 ? -number : number);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return number < 0 ? "-" + digits : digits;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (seconds < 1) return std::to_string(std::llround(seconds * 1000)) + " ms";
  if (whole < 60) return std::to_string(whole) + " s";
  auto two = [](std::int64_t big, const char* big_unit, std::int64_t small,
                const char* small_unit) {
    std::string out = std::to_string(big) + " " + big_unit;
    if (small > 0) out += " " + std::to_string(small) + " " + small_unit;
    return out;
  };
  if (whole < 3600) return two(whole / 60, "min", whole % 60, "s");
  if (whole < 86'400) return two(whole / 3600, "h", whole % 3600 / 60, "min");
  return two(whole / 86'400, "d", whole % 86'400 / 3600, "h");
}

std::string ms_text(double ms) {
  if (ms >= 9.95) return grouped(std::llround(ms));
  std::array<char, 32> out{};
  std::snprintf(out.data(), out.size(), "%.1f", ms);
  return out.data();
}

std::string command_name() {
  const char* launcher = std::getenv("SIMILIS_COMMAND");
  return launcher == nullptr || *launcher == '\0' ? "similis" : printable(launcher);
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(text);
  const bool shows = printable(text) == text;
  std::string out = shows ? "'" : "$'";
  for (const char c : text) {
    if (shows) {
      out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    } else if (c == '\'' || c == '\\') {
      out += std::string("\\") + c;
    } else if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\%03o",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += escape.data();
    }
  }
  return out + "'";
}

std::string below_home(const std::string& path) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/' || std::string_view(home) == "/") return path;
  const std::string_view folder(home);
  const bool is_below =
      path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
  return is_below ? "~" + path.substr(folder.size()) : path;
}

std::string counted(std::int64_t number, std::string_view one, std::string_view many) {
  return grouped(number) + " " + std::string(number == 1 ? one : many);
}

}  // namespace similis::cli
