#include "stores/vector/embedded/attribute_columns.h"

#include <algorithm>
#include <mutex>

#include "stores/vector/embedded/attribute_bytes.h"

namespace similis {
namespace {

constexpr std::uint8_t kSet = 1;
constexpr std::uint8_t kDated = 2;

template <typename Matches>
void fill(std::vector<std::uint64_t>& bits, std::uint32_t count, const Matches& matches) {
  for (std::uint32_t i = 0; i < count; ++i) bits[i / 64] |= std::uint64_t{matches(i)} << (i % 64);
}

template <typename T>
void fill_compared(std::vector<std::uint64_t>& bits, std::uint32_t count, const T* column,
                   Filter::Op op, std::int64_t value) {
  switch (op) {
    case Filter::Op::eq:
      return fill(bits, count, [&](std::uint32_t i) { return column[i] == value; });
    case Filter::Op::ne:
      return fill(bits, count, [&](std::uint32_t i) { return column[i] != value; });
    case Filter::Op::lt:
      return fill(bits, count, [&](std::uint32_t i) { return column[i] < value; });
    case Filter::Op::le:
      return fill(bits, count, [&](std::uint32_t i) { return column[i] <= value; });
    case Filter::Op::gt:
      return fill(bits, count, [&](std::uint32_t i) { return column[i] > value; });
    case Filter::Op::ge:
      return fill(bits, count, [&](std::uint32_t i) { return column[i] >= value; });
    case Filter::Op::under:
      return;
  }
}

std::string joined(const std::vector<std::string>& tags) {
  std::string out;
  for (const std::string& tag : tags) out.append(tag).push_back('\0');
  return out;
}

}  // namespace

std::uint32_t TypedColumns::Dictionary::number_of(const std::string& text) {
  const auto [it, is_new] = numbers_.emplace(text, static_cast<std::uint32_t>(texts_.size()));
  if (is_new) {
    texts_.push_back(text);
    bytes_ += 2 * text.size() + 100;
  }
  return it->second;
}

void TypedColumns::set(std::uint32_t ordinal, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  auto parsed = attributes_from(bytes);
  if (!parsed.ok()) return;  // the index asked check() before: only bytes that parse come here
  const Attributes& a = *parsed;
  const std::unique_lock lock(mutex_);
  if (ordinal >= known_.size()) {
    const std::size_t rows = ordinal + std::size_t{1};
    known_.resize(rows);
    date_.resize(rows);
    size_.resize(rows);
    width_.resize(rows);
    height_.resize(rows);
    folder_.resize(rows);
    class_.resize(rows);
    tags_.resize(rows);
  }
  known_[ordinal] = static_cast<std::uint8_t>(kSet | (a.date ? kDated : 0));
  date_[ordinal] = a.date.value_or(0);
  size_[ordinal] = a.size_bytes;
  width_[ordinal] = a.width;
  height_[ordinal] = a.height;
  folder_[ordinal] = folders_.number_of(a.folder);
  class_[ordinal] = classes_.number_of(a.class_name);
  const std::uint32_t set = tag_sets_.number_of(joined(a.tags));
  if (set >= tag_lists_.size()) tag_lists_.resize(set + std::size_t{1});
  tag_lists_[set] = a.tags;
  tags_[ordinal] = set;
}

void TypedColumns::get(std::uint32_t ordinal, std::vector<std::byte>& out) const {
  out.clear();
  const std::shared_lock lock(mutex_);
  if (ordinal >= known_.size() || known_[ordinal] == 0) return;
  Attributes a;
  if ((known_[ordinal] & kDated) != 0) a.date = date_[ordinal];
  a.size_bytes = size_[ordinal];
  a.width = width_[ordinal];
  a.height = height_[ordinal];
  a.folder = folders_.text(folder_[ordinal]);
  a.class_name = classes_.text(class_[ordinal]);
  a.tags = tag_lists_[tags_[ordinal]];
  const std::string bytes = to_bytes(a);
  const auto view = std::as_bytes(std::span(bytes));
  out.assign(view.begin(), view.end());
}

std::uint64_t TypedColumns::bytes_in_memory() const {
  const std::shared_lock lock(mutex_);
  constexpr std::uint64_t kRow = 1 + 8 + 8 + 4 + 4 + 4 + 4 + 4;
  return known_.capacity() * kRow + folders_.bytes() + classes_.bytes() + 2 * tag_sets_.bytes();
}

void TypedColumns::match(const Filter& filter, std::uint32_t first, std::uint32_t count,
                         std::span<std::uint64_t> bits) const {
  const std::shared_lock lock(mutex_);
  if (first >= known_.size()) return;
  const auto rows = static_cast<std::uint32_t>(std::min<std::size_t>(count, known_.size() - first));
  Bits out(bits.size());
  evaluate(filter, first, rows, out);
  // A filter that says "not" holds for what was never set, too: those rows are no rows.
  Bits set(bits.size());
  fill(set, rows, [&](std::uint32_t i) { return known_[first + i] != 0; });
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] |= out[i] & set[i];
}

void TypedColumns::evaluate(const Filter& filter, std::uint32_t first, std::uint32_t count,
                            Bits& out) const {
  switch (filter.kind) {
    case Filter::Kind::compare:
      return compare(filter, first, count, out);
    case Filter::Kind::negate:
      evaluate(filter.children.front(), first, count, out);
      for (std::uint64_t& word : out) word = ~word;
      return;
    case Filter::Kind::all_of:
    case Filter::Kind::any_of: {
      const bool all = filter.kind == Filter::Kind::all_of;
      std::fill(out.begin(), out.end(), all ? ~std::uint64_t{0} : 0);
      for (const Filter& child : filter.children) {
        Bits part(out.size());
        evaluate(child, first, count, part);
        for (std::size_t i = 0; i < out.size(); ++i)
          out[i] = all ? out[i] & part[i] : out[i] | part[i];
      }
      return;
    }
  }
}

void TypedColumns::compare(const Filter& filter, std::uint32_t first, std::uint32_t count,
                           Bits& out) const {
  const auto* number = std::get_if<std::int64_t>(&filter.value);
  // Which of a dictionary's values match is found out once for each value.
  const auto by_text = [&](const std::vector<std::uint32_t>& column, std::size_t values,
                           const auto& attributes_with) {
    std::vector<std::uint8_t> matching(values);
    for (std::uint32_t n = 0; n < values; ++n) matching[n] = matches(filter, attributes_with(n));
    fill(out, count, [&](std::uint32_t i) { return matching[column[first + i]] != 0; });
  };
  switch (filter.field) {
    case Filter::Field::date:
      if (number == nullptr) return;
      fill_compared(out, count, date_.data() + first, filter.op, *number);
      for (std::uint32_t i = 0; i < count; ++i) {
        if ((known_[first + i] & kDated) == 0) out[i / 64] &= ~(std::uint64_t{1} << (i % 64));
      }
      return;
    case Filter::Field::size:
      if (number != nullptr) fill_compared(out, count, size_.data() + first, filter.op, *number);
      return;
    case Filter::Field::width:
      if (number != nullptr) fill_compared(out, count, width_.data() + first, filter.op, *number);
      return;
    case Filter::Field::height:
      if (number != nullptr) fill_compared(out, count, height_.data() + first, filter.op, *number);
      return;
    case Filter::Field::folder:
      return by_text(folder_, folders_.size(), [&](std::uint32_t n) {
        Attributes a;
        a.folder = folders_.text(n);
        return a;
      });
    case Filter::Field::class_name:
      return by_text(class_, classes_.size(), [&](std::uint32_t n) {
        Attributes a;
        a.class_name = classes_.text(n);
        return a;
      });
    case Filter::Field::tag:
      return by_text(tags_, tag_sets_.size(), [&](std::uint32_t n) {
        Attributes a;
        if (n < tag_lists_.size()) a.tags = tag_lists_[n];
        return a;
      });
  }
}

Status TypedColumnsFormat::check(std::span<const std::byte> bytes) const {
  if (bytes.empty()) return {};  // a row that was dead when its part was written
  auto parsed = attributes_from(bytes);
  if (!parsed.ok()) return std::move(parsed).error();
  return {};
}

std::unique_ptr<engine::AttributeColumns> TypedColumnsFormat::make_columns() const {
  return std::make_unique<TypedColumns>();
}

}  // namespace similis
