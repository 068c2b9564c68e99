#include "stores/vector/embedded/attribute_columns.h"

#include <algorithm>

#include "stores/vector/embedded/attribute_bytes.h"

namespace similis {
namespace {

template <typename Records, typename Matches>
void fill(std::vector<std::uint64_t>& bits, const Records& records, const Matches& matches) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i] != nullptr) bits[i / 64] |= std::uint64_t{matches(*records[i])} << (i % 64);
  }
}

bool holds(std::int64_t left, Filter::Op op, std::int64_t right) {
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

/// Each with its length before it: a tag may hold any bytes.
std::string joined(const std::vector<std::string>& tags) {
  std::string out;
  for (const std::string& tag : tags)
    out.append(std::to_string(tag.size())).append(":").append(tag);
  return out;
}

std::uint64_t bytes_of(const std::string& value) {
  return value.size();
}
std::uint64_t bytes_of(const std::vector<std::string>& value) {
  std::uint64_t bytes = 0;
  for (const std::string& text : value) bytes += sizeof text + text.size();
  return bytes;
}

}  // namespace

template <typename Value>
std::uint32_t TypedColumns::Dictionary<Value>::number_of(const std::string& key,
                                                         const Value& value) {
  const auto number = static_cast<std::uint32_t>(values_.size());
  const auto [it, is_new] = numbers_.emplace(key, number);
  if (is_new) {
    values_.append([&](Value& slot) { slot = value; });
    constexpr std::uint64_t kNode = 64;  // of the map, roughly
    bytes_.fetch_add(sizeof(Value) + bytes_of(value) + key.size() + kNode,
                     std::memory_order_relaxed);
  }
  return it->second;
}

bool TypedColumns::set(std::uint32_t ordinal, std::span<const std::byte> bytes) {
  const auto parsed = attributes_from(bytes);
  // The index asked check() before: only bytes that parse come here.
  if (!parsed.ok()) return false;
  const Attributes& a = *parsed;
  const Record now{.date = a.date.value_or(0),
                   .size_bytes = a.size_bytes,
                   .width = a.width,
                   .height = a.height,
                   .folder = folders_.number_of(a.folder, a.folder),
                   .class_name = classes_.number_of(a.class_name, a.class_name),
                   .tags = tag_sets_.number_of(joined(a.tags), a.tags),
                   .dated = a.date.has_value()};
  while (current_.size() <= ordinal) current_.append([](auto&) {});
  if (const std::uint32_t before = current_[ordinal].load(std::memory_order_relaxed); before != 0) {
    if (records_[before - 1] == now) return false;
    superseded_.fetch_add(1, std::memory_order_relaxed);
  }
  records_.append([&](Record& record) { record = now; });
  current_[ordinal].store(static_cast<std::uint32_t>(records_.size()), std::memory_order_release);
  return true;
}

void TypedColumns::get(std::uint32_t ordinal, std::vector<std::byte>& out) const {
  out.clear();
  if (ordinal >= current_.size()) return;
  const std::uint32_t number = current_[ordinal].load(std::memory_order_acquire);
  if (number == 0) return;
  const Record& record = records_[number - 1];
  Attributes a;
  if (record.dated) a.date = record.date;
  a.size_bytes = record.size_bytes;
  a.width = record.width;
  a.height = record.height;
  a.folder = folders_.value(record.folder);
  a.class_name = classes_.value(record.class_name);
  a.tags = tag_sets_.value(record.tags);
  const std::string bytes = to_bytes(a);
  const auto view = std::as_bytes(std::span(bytes));
  out.assign(view.begin(), view.end());
}

std::uint64_t TypedColumns::bytes_in_memory() const {
  return records_.bytes_in_memory() + current_.bytes_in_memory() + folders_.bytes() +
         classes_.bytes() + tag_sets_.bytes();
}

void TypedColumns::match(const Filter& filter, std::uint32_t first, std::uint32_t count,
                         std::span<std::uint64_t> bits) const {
  // Each row's record is looked up once, so that all conditions see the same one.
  Records records(count);
  const std::size_t rows = current_.size();
  for (std::uint32_t i = 0; i < count && first + i < rows; ++i) {
    const std::uint32_t number = current_[first + i].load(std::memory_order_acquire);
    if (number != 0) records[i] = &records_[number - 1];
  }
  Bits out(bits.size()), set(bits.size());
  evaluate(filter, records, out);
  // A filter that says "not" holds for what was never set, too: those rows are no rows.
  fill(set, records, [](const Record&) { return true; });
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] |= out[i] & set[i];
}

void TypedColumns::evaluate(const Filter& filter, const Records& records, Bits& out) const {
  switch (filter.kind) {
    case Filter::Kind::compare:
      return compare(filter, records, out);
    case Filter::Kind::negate:
      evaluate(filter.children.front(), records, out);
      for (std::uint64_t& word : out) word = ~word;
      return;
    case Filter::Kind::all_of:
    case Filter::Kind::any_of: {
      const bool all = filter.kind == Filter::Kind::all_of;
      std::fill(out.begin(), out.end(), all ? ~std::uint64_t{0} : 0);
      for (const Filter& child : filter.children) {
        Bits part(out.size());
        evaluate(child, records, part);
        for (std::size_t i = 0; i < out.size(); ++i)
          out[i] = all ? out[i] & part[i] : out[i] | part[i];
      }
      return;
    }
  }
}

void TypedColumns::compare(const Filter& filter, const Records& records, Bits& out) const {
  const auto by_number = [&](auto value_of) {
    const auto* number = std::get_if<std::int64_t>(&filter.value);
    if (number == nullptr) return;
    fill(out, records,
         [&](const Record& record) { return holds(value_of(record), filter.op, *number); });
  };
  // A text is compared when a row has it, and then once.
  const auto by_text = [&](std::size_t values, auto number_of, auto attributes_with) {
    enum : std::uint8_t { unknown, no, yes };
    std::vector<std::uint8_t> known(values, unknown);
    fill(out, records, [&](const Record& record) {
      const std::uint32_t number = number_of(record);
      // Records may hold values that came after `values` was taken.
      if (number >= known.size()) known.resize(number + std::size_t{1}, unknown);
      if (known[number] == unknown)
        known[number] = matches(filter, attributes_with(number)) ? yes : no;
      return known[number] == yes;
    });
  };
  switch (filter.field) {
    case Filter::Field::date:
      by_number([](const Record& record) { return record.date; });
      for (std::size_t i = 0; i < records.size(); ++i) {
        if (records[i] != nullptr && !records[i]->dated)
          out[i / 64] &= ~(std::uint64_t{1} << (i % 64));
      }
      return;
    case Filter::Field::size:
      return by_number([](const Record& record) { return record.size_bytes; });
    case Filter::Field::width:
      return by_number([](const Record& record) { return record.width; });
    case Filter::Field::height:
      return by_number([](const Record& record) { return record.height; });
    case Filter::Field::folder:
      return by_text(
          folders_.size(), [](const Record& record) { return record.folder; },
          [&](std::uint32_t n) {
            Attributes a;
            a.folder = folders_.value(n);
            return a;
          });
    case Filter::Field::class_name:
      return by_text(
          classes_.size(), [](const Record& record) { return record.class_name; },
          [&](std::uint32_t n) {
            Attributes a;
            a.class_name = classes_.value(n);
            return a;
          });
    case Filter::Field::tag:
      return by_text(
          tag_sets_.size(), [](const Record& record) { return record.tags; },
          [&](std::uint32_t n) {
            Attributes a;
            a.tags = tag_sets_.value(n);
            return a;
          });
  }
}

Status TypedColumnsFormat::check(std::span<const std::byte> bytes) const {
  auto parsed = attributes_from(bytes);
  if (!parsed.ok()) return std::move(parsed).error();
  return {};
}

std::unique_ptr<engine::AttributeColumns> TypedColumnsFormat::make_columns() const {
  return std::make_unique<TypedColumns>();
}

}  // namespace similis
