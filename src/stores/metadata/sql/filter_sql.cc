#include "stores/metadata/sql/filter_sql.h"

#include <string_view>

#include "stores/metadata/sql/folder_range.h"
#include "stores/metadata/sql/text_codec.h"

namespace similis::sql {
namespace {

constexpr std::size_t kConditionsMax = 5000;
constexpr int kDepthMax = 100;
constexpr std::string_view kTrue = "1 = 1";
constexpr std::string_view kFalse = "1 = 0";

std::string_view sql_operator(Filter::Op op) {
  switch (op) {
    case Filter::Op::eq:
      return "=";
    case Filter::Op::ne:
      return "<>";
    case Filter::Op::lt:
      return "<";
    case Filter::Op::le:
      return "<=";
    case Filter::Op::gt:
      return ">";
    case Filter::Op::ge:
      return ">=";
    case Filter::Op::under:
      break;
  }
  return "";
}

class Writer {
 public:
  Result<FilterSql> write(const Filter& filter) {
    std::string condition = node(filter, 0);
    if (too_large_) {
      return Error(ErrorCode::invalid_argument, "the filter has too many conditions",
                   "Use at most " + std::to_string(kConditionsMax) + " conditions in " +
                       std::to_string(kDepthMax) + " levels.");
    }
    return FilterSql{std::move(condition), std::move(values_)};
  }

 private:
  std::string node(const Filter& f, int depth) {
    if (depth > kDepthMax || too_large_) {
      too_large_ = true;
      return {};
    }
    switch (f.kind) {
      case Filter::Kind::all_of:
        return joined(f.children, " AND ", kTrue, depth);
      case Filter::Kind::any_of:
        return joined(f.children, " OR ", kFalse, depth);
      case Filter::Kind::negate:
        return "NOT (" + node(f.children.front(), depth + 1) + ")";
      case Filter::Kind::compare:
        if (++conditions_ > kConditionsMax) too_large_ = true;
        return condition(f);
    }
    return std::string(kFalse);
  }

  /// Halves in parentheses: a chain of a thousand ORs would be a tree a thousand levels deep, which
  /// SQLite refuses.
  std::string joined(std::span<const Filter> children, std::string_view word,
                     std::string_view when_empty, int depth) {
    if (children.empty()) return std::string(when_empty);
    if (children.size() == 1) return node(children.front(), depth + 1);
    const std::size_t half = children.size() / 2;
    std::string left = joined(children.first(half), word, when_empty, depth);
    std::string right = joined(children.subspan(half), word, when_empty, depth);
    return "(" + left + std::string(word) + right + ")";
  }

  std::string place(Value value) {
    values_.push_back(std::move(value));
    return ":f" + std::to_string(values_.size() - 1);
  }

  std::string number(std::string_view column, const Filter& f) {
    const auto* value = std::get_if<std::int64_t>(&f.value);
    const auto op = sql_operator(f.op);
    if (value == nullptr || op.empty()) return std::string(kFalse);
    return std::string(column) + " " + std::string(op) + " " + place(*value);
  }

  std::string folder(const Filter& f) {
    const auto* text = std::get_if<std::string>(&f.value);
    if (text == nullptr) return std::string(kFalse);
    std::string paths;
    if (f.op == Filter::Op::under) {
      const FolderRange range = folder_range(*text);
      paths = "path = " + place(range.self);
      paths += " OR (path >= " + place(range.first_below);
      paths += " AND path < " + place(range.end_below) + ")";
    } else {
      paths = "path " + std::string(sql_operator(f.op)) + " " + place(*text);
    }
    // An upload's folder is "", which no row of `folder` stands for.
    Attributes upload;
    const std::string_view uploads = matches(f, upload) ? "IS NULL OR" : "IS NOT NULL AND";
    return "(i.folder_id " + std::string(uploads) +
           " i.folder_id IN (SELECT id FROM folder WHERE " + paths + "))";
  }

  std::string tag(const Filter& f) {
    const auto* text = std::get_if<std::string>(&f.value);
    if (text == nullptr || (f.op != Filter::Op::eq && f.op != Filter::Op::ne)) {
      return std::string(kFalse);
    }
    return "i.id " + std::string(f.op == Filter::Op::eq ? "IN" : "NOT IN") +
           " (SELECT image_id FROM tag WHERE tag = " + place(*text) + ")";
  }

  std::string class_name(const Filter& f) {
    const auto* text = std::get_if<std::string>(&f.value);
    if (text == nullptr || (f.op != Filter::Op::eq && f.op != Filter::Op::ne)) {
      return std::string(kFalse);
    }
    return "e.class_key " + std::string(sql_operator(f.op)) + " " + place(ascii_lower(*text));
  }

  std::string condition(const Filter& f) {
    switch (f.field) {
      case Filter::Field::folder:
        return folder(f);
      case Filter::Field::date:
        return number("i.date_s", f);
      case Filter::Field::size:
        return number("i.size_bytes", f);
      case Filter::Field::width:
        return number("i.width", f);
      case Filter::Field::height:
        return number("i.height", f);
      case Filter::Field::tag:
        return tag(f);
      case Filter::Field::class_name:
        return class_name(f);
    }
    return std::string(kFalse);
  }

  std::vector<Value> values_;
  std::size_t conditions_ = 0;
  bool too_large_ = false;
};

}  // namespace

Result<FilterSql> filter_to_sql(const Filter& filter) {
  return Writer().write(filter);
}

}  // namespace similis::sql
