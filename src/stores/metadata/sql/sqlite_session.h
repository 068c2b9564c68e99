#pragma once

#include <memory>

#include "base/result.h"
#include "stores/metadata/sql/database.h"
#include "stores/metadata/sql/schema.h"
#include "stores/metadata/sql/sqlite.h"

namespace similis::sql {

/// SQLite behind the SQL layer: its dialect, its connections, its migrated database.
Result<std::unique_ptr<Database>> open_sqlite_database(const SqliteOptions& options,
                                                       std::span<const Migration> migrations);

}  // namespace similis::sql
