#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "core/attributes.h"

namespace similis {

/// A condition on Attributes, parsed once and evaluated by each store in its own way.
///
/// Grammar (keywords in any case):
///   or-expr   := and-expr { "or" and-expr }
///   and-expr  := unary { "and" unary }
///   unary     := "not" unary | "(" or-expr ")" | condition
///   condition := field operator value | field ["not"] "in" "(" value { "," value } ")"
///   field     := folder | date | size | width | height | tag | class
///   operator  := = | != | < | <= | > | >= | under          (under: folder only, the folder or any
///   below it) value     := "text" | 'text' | word | number [unit] | date      (units of size: b kb
///   mb gb; dates: 2024, 2024-03,
///                2024-03-15, 2024-03-15T10:30:00, UTC)
/// A date names its whole span: `date = 2024` is any time in that year, `date > 2024-03` begins on
/// 1 April 2024. `tag = x` holds when one of the tags is x; `tag != x` when none is. Text is
/// compared exactly, bytewise, except `class`, which ignores ASCII case. A comparison with a
/// missing date is false.
struct Filter {
  enum class Kind : std::uint8_t { all_of, any_of, negate, compare };
  enum class Field : std::uint8_t { folder, date, size, width, height, tag, class_name };
  enum class Op : std::uint8_t { eq, ne, lt, le, gt, ge, under };
  using Value = std::variant<std::int64_t, std::string>;

  Kind kind = Kind::all_of;      // an all_of without children is true
  std::vector<Filter> children;  // of all_of, any_of, negate (one)
  Field field = Field::folder;   // of compare
  Op op = Op::eq;
  Value value;  // numbers and dates (UTC seconds) as int64

  [[nodiscard]] bool matches_everything() const { return kind == Kind::all_of && children.empty(); }
  friend bool operator==(const Filter&, const Filter&) = default;
};

/// Parses `text` ("" gives a filter that matches everything). invalid_argument names what was
/// expected and shows the place with a caret on the third line of the message.
Result<Filter> parse_filter(std::string_view text);

/// A text that parses to an equal filter; equal filters give equal texts, so it serves in cache
/// keys.
std::string to_string(const Filter& filter);

/// The reference evaluation, one picture at a time.
bool matches(const Filter& filter, const Attributes& attributes);

/// True for `folder` itself and everything below it: both absolute paths.
bool is_under(std::string_view path, std::string_view folder);

}  // namespace similis
