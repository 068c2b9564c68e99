#pragma once

#include <soci/soci.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/context.h"
#include "stores/metadata/sql/dialect.h"
#include "stores/metadata/sql/failure.h"
#include "stores/metadata/sql/statement.h"

namespace similis::sql {

/// One session with its prepared statements, used by one thread at a time. Throws soci::soci_error
/// and Failure.
class Connection {
 public:
  Connection(std::unique_ptr<soci::session> session, const Dialect& dialect)
      : session_(std::move(session)), dialect_(dialect) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    statements_.clear();  // before the session they belong to
  }

  /// Prepares `text` once, keeps it, and executes it. The reference is good until the same text
  /// runs again.
  template <typename... Out, typename... In>
  Statement<Out...>& run(std::string_view text, const In&... in) {
    auto& statement = prepared<Out...>(
        text, std::array<ParameterSlot::Type, sizeof...(In)>{slot_type_of<In>()...});
    statement.run(in...);
    return statement;
  }

  /// A statement whose text is made up at run time: prepared, executed, and not kept.
  template <typename... Out>
  std::unique_ptr<Statement<Out...>> run_once(const std::string& text,
                                              std::span<const Value> values) {
    std::vector<ParameterSlot::Type> types;
    types.reserve(values.size());
    for (const Value& value : values) {
      types.push_back(static_cast<ParameterSlot::Type>(value.index()));
    }
    auto statement = std::make_unique<Statement<Out...>>(*session_, dialect_, text, types);
    statement->run_values(values);
    return statement;
  }

  /// Statements without parameters or rows (schema, pragmas).
  void execute(const std::string& text) { session_->once << text; }

  /// After a failure of the database.
  void forget_statements() { statements_.clear(); }
  /// After leaving early: no statement may keep its snapshot open.
  void end_statements() {
    for (const auto& [text, statement] : statements_) statement->end();
  }

  [[nodiscard]] const Dialect& dialect() const { return dialect_; }
  [[nodiscard]] soci::session& session() { return *session_; }

  /// The call now using this connection, for the database's progress handler.
  const Context* context = nullptr;

 private:
  struct Hash {
    using is_transparent = void;
    // The ends tell statements apart well enough, and the texts are long.
    std::size_t operator()(std::string_view text) const {
      const std::size_t end = std::min<std::size_t>(text.size(), 32);
      return std::hash<std::string_view>{}(text.substr(text.size() - end)) ^ text.size();
    }
  };

  template <typename... Out>
  Statement<Out...>& prepared(std::string_view text, std::span<const ParameterSlot::Type> types) {
    auto it = statements_.find(text);
    if (it == statements_.end()) {
      std::string key(text);
      auto statement = std::make_unique<Statement<Out...>>(*session_, dialect_, key, types);
      it = statements_.emplace(std::move(key), std::move(statement)).first;
    }
    auto* typed = dynamic_cast<Statement<Out...>*>(it->second.get());
    if (typed == nullptr) {
      fail(ErrorCode::internal, "one statement text with two sets of columns: " + it->first);
    }
    return *typed;
  }

  std::unique_ptr<soci::session> session_;
  const Dialect& dialect_;
  std::unordered_map<std::string, std::unique_ptr<StatementBase>, Hash, std::equal_to<>>
      statements_;
};

static_assert(std::is_same_v<std::variant_alternative_t<0, Value>, std::int64_t> &&
              std::is_same_v<std::variant_alternative_t<1, Value>, double> &&
              std::is_same_v<std::variant_alternative_t<2, Value>, std::string>);

}  // namespace similis::sql
