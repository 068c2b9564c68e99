// The parser of the filter language: recursive descent over tokens that remember their place in the
// text.

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "core/filter.h"

namespace similis {
namespace {

using Field = Filter::Field;
using Op = Filter::Op;

constexpr std::size_t kLengthMax = 4096;
constexpr int kDepthMax = 32;

struct Token {
  enum class Kind { word, text, op, open, close, comma, end } kind = Kind::end;
  std::string text;
  std::size_t at = 0;
};

bool is_word_char(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         c == '_' || c == '-' || c == '.' || c == '/' || c == ':' || c == '@' || c == '+' ||
         c == '*' || c == '~' || c == '%' || c == '#';
}

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool is_digits(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// A moment's first second and the first second after it.
struct Span {
  std::int64_t begin = 0, end = 0;
};

std::optional<int> number(std::string_view s, std::size_t digits, int low, int high) {
  if (s.size() != digits || !is_digits(s)) return std::nullopt;
  const int n = std::stoi(std::string(s));
  return n >= low && n <= high ? std::optional(n) : std::nullopt;
}

/// 2024, 2024-03, 2024-03-15, 2024-03-15T10, …T10:30, …T10:30:00 (a trailing Z is allowed), or
/// @SECONDS.
std::optional<Span> parse_date(std::string_view s) {
  namespace chr = std::chrono;
  if (s.starts_with('@')) {
    std::string_view digits = s.substr(1);
    const bool negative = digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    if (!is_digits(digits) || digits.size() > 15) return std::nullopt;
    const std::int64_t n = std::stoll(std::string(digits)) * (negative ? -1 : 1);
    return Span{n, n + 1};
  }
  if (s.ends_with('Z')) s.remove_suffix(1);
  const auto year = number(s.substr(0, 4), 4, 1, 9999);
  if (!year) return std::nullopt;
  auto seconds = [](chr::sys_days day) {
    return std::int64_t{chr::duration_cast<chr::seconds>(day.time_since_epoch()).count()};
  };
  const chr::year y(*year);
  if (s.size() == 4) return Span{seconds(y / 1 / 1), seconds((y + chr::years(1)) / 1 / 1)};
  if (s.size() < 7 || s[4] != '-') return std::nullopt;
  const auto month = number(s.substr(5, 2), 2, 1, 12);
  if (!month) return std::nullopt;
  const chr::year_month ym = y / *month;
  if (s.size() == 7) return Span{seconds(ym / 1), seconds((ym + chr::months(1)) / 1)};
  if (s.size() < 10 || s[7] != '-') return std::nullopt;
  const auto day = number(s.substr(8, 2), 2, 1, 31);
  if (!day || !(ym / *day).ok()) return std::nullopt;
  std::int64_t begin = seconds(ym / *day);
  if (s.size() == 10) return Span{begin, begin + 86'400};
  if (s[10] != 'T' || s.size() < 13) return std::nullopt;
  const auto hour = number(s.substr(11, 2), 2, 0, 23);
  if (!hour) return std::nullopt;
  begin += *hour * 3600;
  if (s.size() == 13) return Span{begin, begin + 3600};
  if (s.size() < 16 || s[13] != ':') return std::nullopt;
  const auto minute = number(s.substr(14, 2), 2, 0, 59);
  if (!minute) return std::nullopt;
  begin += *minute * 60;
  if (s.size() == 16) return Span{begin, begin + 60};
  if (s.size() != 19 || s[16] != ':') return std::nullopt;
  const auto second = number(s.substr(17, 2), 2, 0, 59);
  if (!second) return std::nullopt;
  return Span{begin + *second, begin + *second + 1};
}

/// 300, 20kb, 1.5mb: bytes.
std::optional<std::int64_t> parse_size(std::string_view s) {
  const std::size_t digits = s.find_first_not_of("0123456789.");
  const std::string unit = lower(digits == std::string_view::npos ? "" : s.substr(digits));
  const std::string figure(s.substr(0, digits));
  static constexpr std::array<std::pair<std::string_view, double>, 8> kUnits{{{"", 1},
                                                                              {"b", 1},
                                                                              {"kb", 1e3},
                                                                              {"mb", 1e6},
                                                                              {"gb", 1e9},
                                                                              {"k", 1e3},
                                                                              {"m", 1e6},
                                                                              {"g", 1e9}}};
  const auto* it =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const auto& u) { return u.first == unit; });
  if (it == kUnits.end() || figure.empty() || figure.size() > 15 || figure.front() == '.' ||
      figure.back() == '.' || std::count(figure.begin(), figure.end(), '.') > 1) {
    return std::nullopt;
  }
  const double bytes = std::stod(figure) * it->second;
  if (bytes > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(bytes);
}

Filter condition(Field field, Op op, Filter::Value value) {
  Filter f;
  f.kind = Filter::Kind::compare;
  f.field = field;
  f.op = op;
  f.value = std::move(value);
  return f;
}

Filter group(Filter::Kind kind, std::vector<Filter> children) {
  if (children.size() == 1) return std::move(children.front());
  Filter f;
  f.kind = kind;
  f.children = std::move(children);
  return f;
}

Filter negated(Filter child) {
  Filter f;
  f.kind = Filter::Kind::negate;
  f.children.push_back(std::move(child));
  return f;
}

/// A date stands for its whole span: each operator means its first or last second.
Filter date_condition(Op op, Span span) {
  auto at = [](Op o, std::int64_t second) { return condition(Field::date, o, second); };
  switch (op) {
    case Op::lt:
      return at(Op::lt, span.begin);
    case Op::le:
      return at(Op::lt, span.end);
    case Op::gt:
      return at(Op::ge, span.end);
    case Op::ge:
      return at(Op::ge, span.begin);
    case Op::ne:
      return group(Filter::Kind::any_of, {at(Op::lt, span.begin), at(Op::ge, span.end)});
    default:
      return group(Filter::Kind::all_of, {at(Op::ge, span.begin), at(Op::lt, span.end)});
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Filter> parse() {
    if (text_.size() > kLengthMax) {
      return Error(ErrorCode::invalid_argument,
                   "the filter is longer than " + std::to_string(kLengthMax) + " bytes");
    }
    TRY(next());
    if (token_.kind == Token::Kind::end) return Filter{};
    ASSIGN_OR_RETURN(Filter filter, either(0));
    if (token_.kind != Token::Kind::end) return expected("\"and\", \"or\" or the end");
    return filter;
  }

 private:
  Error error_at(std::size_t at, const std::string& what) const {
    // The text may hold anything: what would break the line under it becomes a space.
    std::string line(text_);
    for (char& c : line)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    // The caret counts characters, not bytes.
    std::size_t column = 0;
    for (std::size_t i = 0; i < at && i < line.size(); ++i)
      if ((static_cast<unsigned char>(line[i]) & 0xC0) != 0x80) ++column;
    return Error(ErrorCode::invalid_argument,
                 "filter: " + what + "\n  " + line + "\n  " + std::string(column, ' ') + "^",
                 "Fields are folder, date, size, width, height, tag and class; for example: class "
                 "= \"tabby\" and "
                 "date >= 2024-01");
  }

  Error expected(const std::string& what) const {
    const std::string found =
        token_.kind == Token::Kind::end ? "the end" : "\"" + token_.text + "\"";
    return error_at(token_.at, "expected " + what + ", found " + found);
  }

  Status next() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
    token_ = Token{Token::Kind::end, "", at_};
    if (at_ == text_.size()) return {};
    const char c = text_[at_];
    auto take = [&](Token::Kind kind, std::size_t length) {
      token_.kind = kind;
      token_.text = std::string(text_.substr(at_, length));
      at_ += length;
    };
    if (c == '(') return take(Token::Kind::open, 1), Status{};
    if (c == ')') return take(Token::Kind::close, 1), Status{};
    if (c == ',') return take(Token::Kind::comma, 1), Status{};
    if (c == '"' || c == '\'') return quoted(c);
    if (c == '=' || c == '<' || c == '>' || c == '!') {
      const bool two = at_ + 1 < text_.size() && text_[at_ + 1] == '=';
      if (c == '!' && !two) return error_at(at_, "expected \"!=\"");
      take(Token::Kind::op, two ? 2 : 1);
      if (token_.text == "==") token_.text = "=";
      return {};
    }
    std::size_t length = 0;
    while (at_ + length < text_.size() && is_word_char(text_[at_ + length])) ++length;
    if (length == 0)
      return error_at(at_, "unexpected \"" + std::string(1, c) + "\"; put text into quotes");
    take(Token::Kind::word, length);
    return {};
  }

  Status quoted(char quote) {
    const std::size_t begin = at_++;
    token_.kind = Token::Kind::text;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      token_.text += text_[at_++];
    }
    if (at_ == text_.size()) return error_at(begin, "this quote is not closed");
    ++at_;
    return {};
  }

  bool is_keyword(std::string_view word) const {
    return token_.kind == Token::Kind::word && lower(token_.text) == word;
  }

  Result<Filter> either(int depth) {
    std::vector<Filter> parts;
    for (;;) {
      ASSIGN_OR_RETURN(Filter part, both(depth));
      parts.push_back(std::move(part));
      if (!is_keyword("or")) return group(Filter::Kind::any_of, std::move(parts));
      TRY(next());
    }
  }

  Result<Filter> both(int depth) {
    std::vector<Filter> parts;
    for (;;) {
      ASSIGN_OR_RETURN(Filter part, unary(depth));
      parts.push_back(std::move(part));
      if (!is_keyword("and")) return group(Filter::Kind::all_of, std::move(parts));
      TRY(next());
    }
  }

  Result<Filter> unary(int depth) {
    if (depth > kDepthMax) return error_at(token_.at, "nested too deeply");
    if (is_keyword("not")) {
      TRY(next());
      ASSIGN_OR_RETURN(Filter child, unary(depth + 1));
      return negated(std::move(child));
    }
    if (token_.kind == Token::Kind::open) {
      TRY(next());
      ASSIGN_OR_RETURN(Filter inner, either(depth + 1));
      if (token_.kind != Token::Kind::close) return expected("\")\"");
      TRY(next());
      return inner;
    }
    return comparison();
  }

  Result<Filter> comparison() {
    ASSIGN_OR_RETURN(const Field field, field_word());
    if (is_keyword("in")) return membership(field);
    if (is_keyword("not")) {
      TRY(next());
      if (!is_keyword("in")) return expected("\"in\"");
      ASSIGN_OR_RETURN(Filter inner, membership(field));
      return negated(std::move(inner));
    }
    ASSIGN_OR_RETURN(const Op op, operator_for(field));
    return value(field, op);
  }

  Result<Field> field_word() {
    if (token_.kind != Token::Kind::word) return expected("a field");
    static constexpr std::array<std::pair<std::string_view, Field>, 7> kFields{
        {{"folder", Field::folder},
         {"date", Field::date},
         {"size", Field::size},
         {"width", Field::width},
         {"height", Field::height},
         {"tag", Field::tag},
         {"class", Field::class_name}}};
    const std::string word = lower(token_.text);
    const auto* it = std::find_if(kFields.begin(), kFields.end(),
                                  [&](const auto& f) { return f.first == word; });
    if (it == kFields.end())
      return error_at(token_.at, "there is no field \"" + token_.text + "\"");
    TRY(next());
    return it->second;
  }

  Result<Op> operator_for(Field field) {
    static constexpr std::array<std::pair<std::string_view, Op>, 6> kOps{{{"=", Op::eq},
                                                                          {"!=", Op::ne},
                                                                          {"<", Op::lt},
                                                                          {"<=", Op::le},
                                                                          {">", Op::gt},
                                                                          {">=", Op::ge}}};
    const bool is_text =
        field == Field::folder || field == Field::tag || field == Field::class_name;
    Op op = Op::eq;
    if (is_keyword("under")) {
      if (field != Field::folder) return error_at(token_.at, "\"under\" is for folders only");
      op = Op::under;
    } else {
      const auto* it = std::find_if(kOps.begin(), kOps.end(),
                                    [&](const auto& o) { return o.first == token_.text; });
      if (token_.kind != Token::Kind::op || it == kOps.end()) {
        return expected(field == Field::folder ? "=, !=, in or under"
                        : is_text              ? "=, != or in"
                                               : "=, !=, <, <=, >, >= or in");
      }
      op = it->second;
      if (is_text && op != Op::eq && op != Op::ne) {
        return error_at(token_.at, "text can be compared by = and != only");
      }
    }
    TRY(next());
    return op;
  }

  Result<Filter> membership(Field field) {
    TRY(next());
    if (token_.kind != Token::Kind::open) return expected("\"(\"");
    std::vector<Filter> parts;
    do {
      TRY(next());
      ASSIGN_OR_RETURN(Filter part, value(field, Op::eq));
      parts.push_back(std::move(part));
    } while (token_.kind == Token::Kind::comma);
    if (token_.kind != Token::Kind::close) return expected("\",\" or \")\"");
    TRY(next());
    return group(Filter::Kind::any_of, std::move(parts));
  }

  Result<Filter> value(Field field, Op op) {
    if (token_.kind != Token::Kind::word && token_.kind != Token::Kind::text)
      return expected("a value");
    const Token value = token_;
    Filter out;
    switch (field) {
      case Field::date: {
        const auto span = parse_date(value.text);
        if (!span) return error_at(value.at, "expected a date such as 2024, 2024-03 or 2024-03-15");
        out = date_condition(op, *span);
        break;
      }
      case Field::size: {
        const auto bytes = parse_size(value.text);
        if (!bytes) return error_at(value.at, "expected a size such as 300kb or 2mb");
        out = condition(field, op, *bytes);
        break;
      }
      case Field::width:
      case Field::height:
        if (!is_digits(value.text) || value.text.size() > 9) {
          return error_at(value.at, "expected a number of pixels");
        }
        out = condition(field, op, std::int64_t{std::stoll(value.text)});
        break;
      case Field::folder: {
        std::string path = value.text;
        // "" is where uploads are. Anything else would match nothing, and not say why.
        if (!path.empty() && path.front() != '/')
          return error_at(value.at, "expected an absolute folder such as /home/me/Pictures");
        while (path.size() > 1 && path.back() == '/') path.pop_back();
        out = condition(field, op, std::move(path));
        break;
      }
      case Field::tag:
      case Field::class_name:
        out = condition(field, op, value.text);
        break;
    }
    TRY(next());
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Token token_;
};

}  // namespace

Result<Filter> parse_filter(std::string_view text) {
  return Parser(text).parse();
}

}  // namespace similis
