#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "stores/metadata/metadata_store.h"

namespace similis {

struct SqliteOptions {
  /// The database file; its folder is made (mode 0700) when absent, the file has mode 0600.
  std::filesystem::path file;
  std::size_t readers_max = 8;
  /// How long to wait for another program that holds the database.
  std::chrono::milliseconds busy_timeout{5000};
  /// Page cache of the writing connection; a reading one has an eighth of it.
  std::int64_t cache_bytes = std::int64_t{32} << 20;
};

/// Opens the metadata store on SQLite, making or migrating the database as needed: write-ahead log,
/// full sync, foreign keys on. An older schema is copied to "FILE.v<version>.copy" before it is
/// migrated. Errors: conflict (a newer schema, or tables of another program), corruption (not a
/// database, or damaged), permission_denied, resource_exhausted (disk full), io_error.
Result<std::unique_ptr<MetadataStore>> open_sqlite_metadata(const SqliteOptions& options);

}  // namespace similis
