#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "base/crc32c.h"
#include "stores/metadata/sql/connection.h"

/// Reading and writing whole records (records.h) by key, checksum included.
namespace similis::sql {

/// Gathers a row's columns for its checksum: of each its type, its length where that varies, its
/// bytes. One pass over all of them is several times faster than one for each.
class RowChecksum {
 public:
  RowChecksum() { bytes_.reserve(kUsualBytes); }
  void add(std::int64_t value) { add_fixed('i', value); }
  void add(double value) { add_fixed('r', value); }
  void add(const std::string& value) {
    add_fixed('t', static_cast<std::uint64_t>(value.size()));
    bytes_ += value;
  }
  template <typename T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    } else {
      add_fixed('n', std::uint64_t{0});
    }
  }
  [[nodiscard]] std::int64_t value() const { return crc32c(std::as_bytes(std::span(bytes_))); }

 private:
  template <typename T>
  void add_fixed(char type, T value) {
    static_assert(sizeof value == 8);
    char field[9] = {type};
    std::memcpy(field + 1, &value, 8);
    bytes_.append(field, sizeof field);
  }
  static constexpr std::size_t kUsualBytes = 512;
  std::string bytes_;
};

template <typename R>
std::int64_t row_checksum(const R& record) {
  RowChecksum checksum;
  std::apply([&](const auto&... field) { (checksum.add(field), ...); }, record.fields());
  return checksum.value();
}

/// "a, b, c" with `prefix` before each column.
template <typename R>
std::string column_list(std::string_view prefix = "") {
  std::string out;
  for (const auto column : R::kColumns) {
    if (!out.empty()) out += ", ";
    out.append(prefix).append(column);
  }
  return out.append(", ").append(prefix).append("checksum");
}

/// "a = :a AND b = :b" over the key's columns.
template <typename R>
std::string key_condition() {
  std::string out;
  for (std::size_t i = 0; i < R::kKeys; ++i) {
    if (i > 0) out += " AND ";
    out.append(R::kColumns[i]).append(" = :").append(R::kColumns[i]);
  }
  return out;
}

/// Statements over a record's columns and its checksum.
template <typename Fields>
struct RecordColumns;
template <typename... Fields>
struct RecordColumns<std::tuple<Fields&...>> {
  using Selecting = Statement<std::decay_t<Fields>..., std::int64_t>;

  template <typename... In>
  static Selecting& select(Connection& c, std::string_view text, const In&... in) {
    return c.run<std::decay_t<Fields>..., std::int64_t>(text, in...);
  }
};
template <typename R>
using ColumnsOf = RecordColumns<decltype(std::declval<R&>().fields())>;

/// "image 412", "embedding 412/1": a row by its key.
template <typename R>
std::string row_name(const R& record) {
  std::string out;
  std::size_t i = 0;
  const auto append = [&](const auto& field) {
    if (i >= R::kKeys) return;
    out += i++ == 0 ? ' ' : '/';
    if constexpr (std::is_same_v<std::decay_t<decltype(field)>, std::string>) {
      out += field;
    } else if constexpr (std::is_same_v<std::decay_t<decltype(field)>, std::int64_t>) {
      out += std::to_string(field);
    }
  };
  std::apply([&](const auto&... field) { (append(field), ...); }, record.fields());
  return std::string(R::kTable) + out;
}

enum class Checked : bool { no, yes };

/// The record in a statement's row. A row that does not match its checksum is `corruption`, unless
/// the caller is about to remove it.
template <typename R>
R unpack(const typename ColumnsOf<R>::Selecting& statement, Checked checked = Checked::yes) {
  R record;
  std::int64_t stored = 0;
  std::tuple_cat(record.fields(), std::tie(stored)) = statement.row();
  if (checked == Checked::yes && stored != row_checksum(record)) {
    fail(ErrorCode::corruption,
         "the database's row " + row_name(record) + " does not match its checksum",
         "Run `similis verify` to see all damage. Restore similis.db from a copy, or remove what "
         "this row stands for and add it again.");
  }
  return record;
}

template <typename R, typename... Key>
std::optional<R> load(Connection& c, Checked checked, const Key&... key) {
  static_assert(sizeof...(Key) == R::kKeys);
  static const std::string text = "SELECT " + column_list<R>() + " FROM " + std::string(R::kTable) +
                                  " WHERE " + key_condition<R>();
  auto& statement = ColumnsOf<R>::select(c, text, key...);
  if (!statement.one()) return std::nullopt;
  return unpack<R>(statement, checked);
}
template <typename R>
std::optional<R> load(Connection& c, std::int64_t id) {
  return load<R>(c, Checked::yes, id);
}

template <typename R>
void insert(Connection& c, const R& record) {
  static const std::string text = [] {
    std::string values;
    for (const auto column : R::kColumns) values.append(":").append(column).append(", ");
    return "INSERT INTO " + std::string(R::kTable) + " (" + column_list<R>() + ") VALUES (" +
           values + ":checksum)";
  }();
  std::apply([&](const auto&... field) { c.run<>(text, field..., row_checksum(record)); },
             record.fields());
}

/// Writes the columns behind the key.
template <typename R>
void update(Connection& c, const R& record) {
  static const std::string text = [] {
    std::string set;
    for (std::size_t i = R::kKeys; i < R::kColumns.size(); ++i) {
      set.append(R::kColumns[i]).append(" = :").append(R::kColumns[i]).append(", ");
    }
    return "UPDATE " + std::string(R::kTable) + " SET " + set + "checksum = :checksum WHERE " +
           key_condition<R>();
  }();
  const auto fields = record.fields();
  [&]<std::size_t... Key, std::size_t... Rest>(std::index_sequence<Key...>,
                                               std::index_sequence<Rest...>) {
    c.run<>(text, std::get<R::kKeys + Rest>(fields)..., row_checksum(record),
            std::get<Key>(fields)...);
  }(std::make_index_sequence<R::kKeys>(),
    std::make_index_sequence<std::tuple_size_v<decltype(fields)> - R::kKeys>());
}

template <typename R, typename... Key>
void erase(Connection& c, const Key&... key) {
  static_assert(sizeof...(Key) == R::kKeys);
  static const std::string text =
      "DELETE FROM " + std::string(R::kTable) + " WHERE " + key_condition<R>();
  c.run<>(text, key...);
}

}  // namespace similis::sql
