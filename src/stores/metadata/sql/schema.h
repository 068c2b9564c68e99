#pragma once

#include <functional>
#include <span>
#include <vector>

#include "stores/metadata/sql/connection.h"

namespace similis::sql {

/// One step of the schema. `apply` runs in the transaction that also writes `version`. A step that
/// changes a table's columns also has to write its rows' checksums anew.
struct Migration {
  int version = 0;  // 1, 2, ...
  std::function<void(Connection&)> apply;
};

/// The steps that lead to the schema this build works with, in order.
const std::vector<Migration>& schema_migrations();

/// Brings the database to the last of `migrations`. A database that is newer, or that is not ours,
/// is `conflict`; before an older one is changed, `copy_aside(its version)` is called. Not inside a
/// transaction. Throws.
void migrate(Connection& c, std::span<const Migration> migrations,
             const std::function<void(int version)>& copy_aside);

}  // namespace similis::sql
