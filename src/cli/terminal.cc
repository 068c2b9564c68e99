#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace similis::cli {
namespace {

constexpr std::size_t kColumnsMax = 100;
constexpr std::size_t kColumnsMin = 40;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value(environment(name));
    if (value.empty()) continue;
    for (char& c : value) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace

Terminal Terminal::of(int fd) {
  Terminal out;
  out.is_terminal = ::isatty(fd) == 1 && environment("TERM") != "dumb";
  out.colour = out.is_terminal && environment("NO_COLOR").empty();
  // A file or a pipe takes UTF-8 whatever the locale says; a terminal only what its locale
  // promises.
  out.utf8 = !out.is_terminal || locale_is_utf8();
  std::size_t columns = 0;
  const std::string_view asked = environment("COLUMNS");
  std::from_chars(asked.data(), asked.data() + asked.size(), columns);
  winsize size{};
  if (columns == 0 && ::ioctl(fd, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  if (columns == 0) columns = 80;
  out.columns = std::clamp(columns, kColumnsMin, kColumnsMax);
  return out;
}

std::string Terminal::paint(std::string_view code, std::string_view text) const {
  if (!colour || text.empty()) return std::string(text);
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

std::string Terminal::rule(std::size_t width) const {
  std::string out;
  for (std::size_t i = 0; i < width; ++i) out += utf8 ? "─" : "-";
  return out;
}

std::string Terminal::bar(double share, std::size_t width) const {
  constexpr std::array<const char*, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  share = std::clamp(std::isfinite(share) ? share : 0.0, 0.0, 1.0);
  const auto eighths =
      static_cast<std::size_t>(std::lround(share * static_cast<double>(width) * 8));
  std::string out;
  if (!utf8) {
    const std::size_t filled = (eighths + 4) / 8;
    out = std::string(filled, '#');
    return out + std::string(width - filled, ' ');
  }
  for (std::size_t i = 0; i < eighths / 8; ++i) out += "█";
  out += kEighths[eighths % 8];
  const std::size_t used = eighths / 8 + (eighths % 8 != 0 ? 1 : 0);
  return out + std::string(width - used, ' ');
}

}  // namespace similis::cli
