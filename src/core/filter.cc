#include "core/filter.h"

#include <algorithm>
#include <cstring>

namespace similis {
namespace {

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

template <typename T>
bool compare(const T& left, Filter::Op op, const T& right) {
  switch (op) {
    case Filter::Op::eq:
      return left == right;
    case Filter::Op::ne:
      return left != right;
    case Filter::Op::lt:
      return left < right;
    case Filter::Op::le:
      return left <= right;
    case Filter::Op::gt:
      return left > right;
    case Filter::Op::ge:
      return left >= right;
    case Filter::Op::under:
      return false;
  }
  return false;
}

bool matches_condition(const Filter& f, const Attributes& a) {
  const auto* number = std::get_if<std::int64_t>(&f.value);
  const auto* text = std::get_if<std::string>(&f.value);
  switch (f.field) {
    case Filter::Field::folder:
      if (text == nullptr) return false;
      if (f.op == Filter::Op::under) return is_under(a.folder, *text);
      return compare<std::string>(a.folder, f.op, *text);
    case Filter::Field::date:
      return number != nullptr && a.date && compare<std::int64_t>(*a.date, f.op, *number);
    case Filter::Field::size:
      return number != nullptr && compare<std::int64_t>(a.size_bytes, f.op, *number);
    case Filter::Field::width:
      return number != nullptr && compare<std::int64_t>(a.width, f.op, *number);
    case Filter::Field::height:
      return number != nullptr && compare<std::int64_t>(a.height, f.op, *number);
    case Filter::Field::tag: {
      if (text == nullptr) return false;
      const bool has = std::find(a.tags.begin(), a.tags.end(), *text) != a.tags.end();
      return f.op == Filter::Op::ne ? !has : f.op == Filter::Op::eq && has;
    }
    case Filter::Field::class_name: {
      if (text == nullptr) return false;
      const bool same = equals_ignoring_case(a.class_name, *text);
      return f.op == Filter::Op::ne ? !same : f.op == Filter::Op::eq && same;
    }
  }
  return false;
}

constexpr std::string_view field_name(Filter::Field field) {
  switch (field) {
    case Filter::Field::folder:
      return "folder";
    case Filter::Field::date:
      return "date";
    case Filter::Field::size:
      return "size";
    case Filter::Field::width:
      return "width";
    case Filter::Field::height:
      return "height";
    case Filter::Field::tag:
      return "tag";
    case Filter::Field::class_name:
      return "class";
  }
  return "";
}

constexpr std::string_view op_name(Filter::Op op) {
  switch (op) {
    case Filter::Op::eq:
      return "=";
    case Filter::Op::ne:
      return "!=";
    case Filter::Op::lt:
      return "<";
    case Filter::Op::le:
      return "<=";
    case Filter::Op::gt:
      return ">";
    case Filter::Op::ge:
      return ">=";
    case Filter::Op::under:
      return "under";
  }
  return "";
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void append(std::string& out, const Filter& f) {
  switch (f.kind) {
    case Filter::Kind::compare:
      out += field_name(f.field);
      out += ' ';
      out += op_name(f.op);
      out += ' ';
      if (const auto* number = std::get_if<std::int64_t>(&f.value)) {
        // A date is written as its second, which parses back to the same number.
        if (f.field == Filter::Field::date) out += '@';
        out += std::to_string(*number);
      } else {
        append_quoted(out, std::get<std::string>(f.value));
      }
      return;
    case Filter::Kind::negate:
      out += "not (";
      append(out, f.children.front());
      out += ')';
      return;
    case Filter::Kind::all_of:
    case Filter::Kind::any_of:
      for (std::size_t i = 0; i < f.children.size(); ++i) {
        if (i > 0) out += f.kind == Filter::Kind::all_of ? " and " : " or ";
        const bool simple = f.children[i].kind == Filter::Kind::compare ||
                            f.children[i].kind == Filter::Kind::negate;
        if (!simple) out += '(';
        append(out, f.children[i]);
        if (!simple) out += ')';
      }
      return;
  }
}

}  // namespace

bool is_under(std::string_view path, std::string_view folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.remove_suffix(1);
  if (folder == "/") return path.starts_with('/');
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool matches(const Filter& filter, const Attributes& attributes) {
  auto child_matches = [&](const Filter& child) { return matches(child, attributes); };
  switch (filter.kind) {
    case Filter::Kind::all_of:
      return std::all_of(filter.children.begin(), filter.children.end(), child_matches);
    case Filter::Kind::any_of:
      return std::any_of(filter.children.begin(), filter.children.end(), child_matches);
    case Filter::Kind::negate:
      return !child_matches(filter.children.front());
    case Filter::Kind::compare:
      return matches_condition(filter, attributes);
  }
  return false;
}

std::string to_string(const Filter& filter) {
  std::string out;
  append(out, filter);
  return out;
}

}  // namespace similis
