#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace similis::http {

/// A request target taken apart and decoded: "/a/b%20c?x=1&y=" is {"a", "b c"}, {x: 1, y: ""}.
struct Target {
  std::vector<std::string> segments;
  std::vector<std::pair<std::string, std::string>> query;

  /// The first parameter of this name.
  [[nodiscard]] const std::string* parameter(std::string_view name) const;
};

/// Origin form only. invalid_argument for anything else, a bad escape, a NUL, or a segment that is
/// "." or ".." or holds a slash or backslash once decoded: nothing here is ever called that, and no
/// file path can be made of it.
Result<Target> parse_target(std::string_view target);

/// %XX, and '+' as a space where `plus_is_space`. nullopt on a bad escape.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

}  // namespace similis::http
