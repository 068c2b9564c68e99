#pragma once

#include <soci/soci.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace similis::sql {

/// All that differs between the databases behind the one SQL layer. Everything else is written in
/// the SQL that SQLite and MySQL/MariaDB share: names are compared bytewise, no upsert (rows are
/// loaded first, inside the write transaction), NULLs are distinct in unique keys.
struct Dialect {
  std::string begin_read;   // a transaction that sees one snapshot
  std::string begin_write;  // ...that holds the right to write from its start
  std::string for_update;   // behind a SELECT whose row is about to change
  /// Joins where the left side must be walked first, because its index gives the order.
  std::string ordered_join;
  /// Words of the schema: "$INT" -> "INTEGER" and so on, longest first.
  std::vector<std::pair<std::string, std::string>> schema_words;
  /// Counts the tables of this name (:name).
  std::string count_tables_named;
  /// Counts all tables.
  std::string count_tables;
  /// Lets go of the rows that an executed statement has not handed out.
  std::function<void(soci::details::statement_backend&)> end_statement;
  /// The database's failure in our words. Called inside the catch clause.
  std::function<Error(const soci::soci_error&)> explain;
};

}  // namespace similis::sql
