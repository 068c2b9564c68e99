#include "http/conditional.h"

#include <algorithm>
#include <charconv>

namespace similis::http {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failed != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

}  // namespace

RangeChoice choose_range(std::string_view range_header, std::uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!range_header.starts_with(kUnit)) return {};
  const std::string_view spec = trim(range_header.substr(kUnit.size()));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return {};
  const auto first = number(spec.substr(0, dash));
  const auto last = number(spec.substr(dash + 1));
  if (dash == 0) {  // the last so many bytes
    if (!last) return {};
    if (*last == 0 || size == 0) return {RangeKind::unsatisfiable, {}};
    return {RangeKind::part, {size - std::min(*last, size), size - 1}};
  }
  if (!first || (!last && dash + 1 != spec.size()) || (last && *last < *first)) return {};
  if (*first >= size) return {RangeKind::unsatisfiable, {}};
  return {RangeKind::part, {*first, last ? std::min(*last, size - 1) : size - 1}};
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
  if (trim(if_none_match) == "*") return true;
  while (!if_none_match.empty()) {
    const std::size_t comma = std::min(if_none_match.find(','), if_none_match.size());
    std::string_view one = trim(if_none_match.substr(0, comma));
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == etag) return true;
    if_none_match.remove_prefix(std::min(comma + 1, if_none_match.size()));
  }
  return false;
}

Response conditional(const RequestHead& head, Response response, const std::string& etag) {
  response.headers.set("ETag", etag);
  response.headers.set("Accept-Ranges", "bytes");
  if (const std::string* known = head.headers.find("If-None-Match")) {
    if (etag_matches(*known, etag)) {
      response.status = 304;
      response.body = {};
      return response;
    }
  }
  const std::string* range = head.headers.find("Range");
  const std::string* if_range = head.headers.find("If-Range");
  if (!range || (if_range && *if_range != etag)) return response;
  const std::uint64_t size = response.body.size();
  const RangeChoice choice = choose_range(*range, size);
  if (choice.kind == RangeKind::unsatisfiable) {
    // Nothing of what was said about the picture holds for this answer, least of all how long it
    // may be kept: a cache would give it to those who ask for the whole.
    Response refused;
    refused.status = 416;
    refused.headers.set("Content-Range", "bytes */" + std::to_string(size));
    return refused;
  }
  if (choice.kind == RangeKind::part) {
    const auto [first, last] = choice.range;
    response.status = 206;
    response.headers.set("Content-Range", "bytes " + std::to_string(first) + "-" +
                                              std::to_string(last) + "/" + std::to_string(size));
    response.body = response.body.part(first, last - first + 1);
  }
  return response;
}

}  // namespace similis::http
