#include "http/target.h"

namespace similis::http {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Error malformed(const char* what) {
  return {ErrorCode::invalid_argument, std::string("the request's target ") + what};
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high << 4 | low);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

const std::string* Target::parameter(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return &value;
  return nullptr;
}

Result<Target> parse_target(std::string_view target) {
  if (target.empty() || target.front() != '/') return malformed("must begin with a slash");
  target = target.substr(0, target.find('#'));
  const std::size_t mark = target.find('?');
  std::string_view path = target.substr(0, mark);
  std::string_view query =
      mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);

  Target out;
  path.remove_prefix(1);
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const auto segment = percent_decode(path.substr(0, end), false);
    if (!segment) return malformed("has a broken escape");
    if (segment->find('\0') != std::string::npos) return malformed("holds a NUL");
    if (*segment == "." || *segment == ".." || segment->find_first_of("/\\") != std::string::npos) {
      return malformed("climbs through folders");
    }
    out.segments.push_back(*segment);
    if (end == path.size()) break;
    path.remove_prefix(end + 1);
    if (path.empty()) out.segments.emplace_back();  // "/a/" is not "/a"
  }
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = percent_decode(pair.substr(0, equals), true);
    auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!name || !value) return malformed("has a broken escape");
    out.query.emplace_back(std::move(*name), std::move(*value));
  }
  return out;
}

}  // namespace similis::http
