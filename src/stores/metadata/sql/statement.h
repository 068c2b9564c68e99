#pragma once

#include <soci/soci.h>

#include <cassert>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "stores/metadata/sql/dialect.h"

namespace similis::sql {

/// A parameter whose type is known at run time only (filters).
using Value = std::variant<std::int64_t, double, std::string>;

/// The storage one parameter of a prepared statement is bound to.
struct ParameterSlot {
  enum class Type : std::uint8_t { integer, real, text };
  Type type = Type::integer;
  long long integer = 0;
  double real = 0;
  std::string text;
  soci::indicator indicator = soci::i_ok;

  template <typename T>
  static constexpr Type type_of() {
    if constexpr (std::integral<T> || std::is_enum_v<T>) {
      return Type::integer;
    } else if constexpr (std::floating_point<T>) {
      return Type::real;
    } else {
      static_assert(std::is_convertible_v<const T&, std::string_view>);
      return Type::text;
    }
  }

  template <typename T>
  void assign(const T& value) {
    indicator = soci::i_ok;
    if constexpr (type_of<T>() == Type::integer) {
      integer = static_cast<long long>(value);
    } else if constexpr (type_of<T>() == Type::real) {
      real = value;
    } else {
      text.assign(std::string_view(value));
    }
  }
  template <typename T>
  void assign(const std::optional<T>& value) {
    if (value) {
      assign(*value);
    } else {
      indicator = soci::i_null;
    }
  }
  void assign(const Value& value) {
    std::visit([this](const auto& v) { assign(v); }, value);
  }
};

template <typename T>
struct unwrap_optional {
  using type = T;
};
template <typename T>
struct unwrap_optional<std::optional<T>> {
  using type = T;
};

template <typename T>
constexpr ParameterSlot::Type slot_type_of() {
  return ParameterSlot::type_of<typename unwrap_optional<std::decay_t<T>>::type>();
}

/// What a connection keeps of a prepared statement whose columns it does not know.
class StatementBase {
 public:
  StatementBase() = default;
  virtual ~StatementBase() = default;
  /// Lets go of rows that are left, and of the snapshot they are read from.
  virtual void end() = 0;
  StatementBase(const StatementBase&) = delete;
  StatementBase& operator=(const StatementBase&) = delete;
};

/// A prepared statement with owned storage for parameters and for one row of the columns `Out`
/// (std::int64_t, double, std::string, or std::optional of these where NULL may come). Placeholders
/// are `:name`, each used once, bound by position. Reading all rows ends the statement; one that is
/// left early holds its read snapshot until end() or until it runs again. Throws soci::soci_error.
template <typename... Out>
class Statement final : public StatementBase {
 public:
  Statement(soci::session& session, const Dialect& dialect, const std::string& text,
            std::span<const ParameterSlot::Type> types)
      : statement_(session), dialect_(dialect), slots_(types.size()) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      ParameterSlot& slot = slots_[i];
      slot.type = types[i];
      switch (slot.type) {
        case ParameterSlot::Type::integer:
          statement_.exchange(soci::use(slot.integer, slot.indicator));
          break;
        case ParameterSlot::Type::real:
          statement_.exchange(soci::use(slot.real, slot.indicator));
          break;
        case ParameterSlot::Type::text:
          statement_.exchange(soci::use(slot.text, slot.indicator));
          break;
      }
    }
    std::apply(
        [&](auto&... cell) { (statement_.exchange(soci::into(cell.value, cell.indicator)), ...); },
        cells_);
    statement_.alloc();
    statement_.prepare(text);
    statement_.define_and_bind();
  }

  /// Executes with these parameters and steps to the first row.
  template <typename... In>
  void run(const In&... in) {
    assert(sizeof...(In) == slots_.size());
    [[maybe_unused]] std::size_t i = 0;
    (slots_[i++].assign(in), ...);
    execute();
  }
  void run_values(std::span<const Value> values) {
    assert(values.size() == slots_.size());
    for (std::size_t i = 0; i < values.size(); ++i) slots_[i].assign(values[i]);
    execute();
  }

  /// True while there is a row to get(): `while (statement.next())`.
  bool next() {
    if (at_first_) {
      at_first_ = false;
    } else if (has_row_) {
      has_row_ = statement_.fetch();
    }
    return has_row_;
  }

  /// The only row, if there is one, and the statement is ended: get() stays valid.
  bool one() {
    if (!next()) return false;
    end();
    return true;
  }

  void end() override {
    if (has_row_) dialect_.end_statement(*statement_.get_backend());
    has_row_ = false;
  }

  template <std::size_t I>
  auto get() const {
    return std::get<I>(cells_).get();
  }
  /// All columns of the row.
  [[nodiscard]] std::tuple<Out...> row() const {
    return std::apply([](const auto&... cell) { return std::tuple<Out...>(cell.get()...); },
                      cells_);
  }

 private:
  template <typename T>
  struct Cell {
    T value{};
    soci::indicator indicator = soci::i_null;
    // NULL where the schema says NOT NULL is damage; it reads as zero or "" and fails the checksum.
    [[nodiscard]] T get() const { return indicator == soci::i_ok ? value : T{}; }
  };
  template <typename T>
  struct Cell<std::optional<T>> {
    T value{};
    soci::indicator indicator = soci::i_null;
    [[nodiscard]] std::optional<T> get() const {
      if (indicator == soci::i_null) return std::nullopt;
      return value;
    }
  };

  void execute() {
    at_first_ = true;
    has_row_ = statement_.execute(true);
  }

  soci::statement statement_;
  const Dialect& dialect_;
  std::vector<ParameterSlot> slots_;  // bound by address: never resized
  std::tuple<Cell<Out>...> cells_;
  bool at_first_ = false;
  bool has_row_ = false;
};

}  // namespace similis::sql
