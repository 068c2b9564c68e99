#include "stores/metadata/sql/schema.h"

#include <string>

namespace similis::sql {
namespace {

// Words with $ are the dialect's: $KEY a table's integer key, $INT, $REAL, $BYTES(n) short bytes
// that keys may hold, $TEXT long bytes, $PREFIX a key's share of long bytes, $END what closes a
// table, $CLUSTERED the same for a table stored in its key's order, $UPLOADS leaves files out of an
// index where the database can (elsewhere their NULLs are in it).
constexpr std::string_view kVersion1[] = {
    "CREATE TABLE counter (name $BYTES(32) NOT NULL, next_id $INT NOT NULL, checksum $INT NOT NULL,"
    " PRIMARY KEY (name)) $CLUSTERED",

    "CREATE TABLE collection (id $KEY, name $BYTES(63) NOT NULL UNIQUE, uuid $BYTES(36) NOT NULL,"
    " active_index $INT NOT NULL, epoch $INT NOT NULL, created_at $INT NOT NULL,"
    " checksum $INT NOT NULL) $END",

    "CREATE TABLE image_index (id $KEY, collection_id $INT NOT NULL REFERENCES collection (id),"
    " state $INT NOT NULL, model_name $TEXT NOT NULL, model_version $TEXT NOT NULL,"
    " identity $TEXT NOT NULL, dimensions $INT NOT NULL, token $INT NOT NULL,"
    " created_at $INT NOT NULL, pending_count $INT NOT NULL, ready_count $INT NOT NULL,"
    " failed_count $INT NOT NULL, removing_count $INT NOT NULL, checksum $INT NOT NULL) $END",
    "CREATE INDEX image_index_collection ON image_index (collection_id)",

    "CREATE TABLE folder (id $KEY, parent_id $INT NOT NULL, name $BYTES(255) NOT NULL,"
    " path $TEXT NOT NULL, checksum $INT NOT NULL, UNIQUE (parent_id, name)) $END",
    "CREATE INDEX folder_path ON folder (path $PREFIX)",

    "CREATE TABLE root (collection_id $INT NOT NULL REFERENCES collection (id),"
    " folder_id $INT NOT NULL REFERENCES folder (id), hidden $INT NOT NULL,"
    " retry_failed $INT NOT NULL, watch $INT NOT NULL, scanned_at $INT NOT NULL,"
    " skipped $TEXT NOT NULL, checksum $INT NOT NULL,"
    " PRIMARY KEY (collection_id, folder_id)) $CLUSTERED",

    "CREATE TABLE image (id $KEY, collection_id $INT NOT NULL REFERENCES collection (id),"
    " folder_id $INT REFERENCES folder (id), name $BYTES(255) NOT NULL, upload_hash $BYTES(64),"
    " removing $INT NOT NULL, mtime_ns $INT NOT NULL, date_s $INT NOT NULL,"
    " size_bytes $INT NOT NULL, format $BYTES(32) NOT NULL, content_hash $BYTES(64),"
    " content_version $INT NOT NULL, perceptual_hash $INT NOT NULL, width $INT NOT NULL,"
    " height $INT NOT NULL, taken_at $INT, camera $TEXT NOT NULL, gps_latitude $REAL,"
    " gps_longitude $REAL, thumbnail_type $BYTES(127) NOT NULL, tag_count $INT NOT NULL,"
    " added_at $INT NOT NULL, checksum $INT NOT NULL) $END",
    // Unique places. NULLs are distinct: uploads do not meet in the first, files not in the second.
    "CREATE UNIQUE INDEX image_place ON image (collection_id, folder_id, name, removing)",
    "CREATE UNIQUE INDEX image_upload ON image (collection_id, upload_hash, removing) $UPLOADS",
    "CREATE INDEX image_date ON image (collection_id, date_s DESC, id)",
    "CREATE INDEX image_name ON image (collection_id, name, id)",
    "CREATE INDEX image_content ON image (content_hash, collection_id)",

    "CREATE TABLE embedding (image_id $INT NOT NULL REFERENCES image (id),"
    " index_id $INT NOT NULL REFERENCES image_index (id), state $INT NOT NULL,"
    " content_version $INT NOT NULL, attempts $INT NOT NULL, error_code $BYTES(32) NOT NULL,"
    " error $TEXT NOT NULL, error_hint $TEXT NOT NULL, class_key $TEXT NOT NULL,"
    " classes $TEXT NOT NULL, checksum $INT NOT NULL, PRIMARY KEY (image_id, index_id)) $CLUSTERED",
    "CREATE INDEX embedding_state ON embedding (index_id, state, image_id)",

    "CREATE TABLE tag (image_id $INT NOT NULL REFERENCES image (id), tag $BYTES(255) NOT NULL,"
    " checksum $INT NOT NULL, PRIMARY KEY (image_id, tag)) $CLUSTERED",
    "CREATE INDEX tag_image ON tag (tag, image_id)",

    "CREATE TABLE job (id $KEY, kind $INT NOT NULL,"
    " collection_id $INT NOT NULL REFERENCES collection (id), root $TEXT NOT NULL,"
    " hidden $INT NOT NULL, retry_failed $INT NOT NULL, watch $INT NOT NULL, state $INT NOT NULL,"
    " found $INT NOT NULL, scanning $INT NOT NULL, unchanged $INT NOT NULL, ready $INT NOT NULL,"
    " moved $INT NOT NULL, removed $INT NOT NULL, failed $INT NOT NULL, skipped $INT NOT NULL,"
    " version $INT NOT NULL, owner $BYTES(255) NOT NULL, lease_until $INT NOT NULL,"
    " created_at $INT NOT NULL, started_at $INT NOT NULL, finished_at $INT NOT NULL,"
    " worked_s $REAL NOT NULL, error_code $BYTES(32) NOT NULL, error $TEXT NOT NULL,"
    " error_hint $TEXT NOT NULL, checksum $INT NOT NULL) $END",
    "CREATE INDEX job_collection ON job (collection_id, state)",

    "CREATE TABLE api_key (id $KEY, name $TEXT NOT NULL, prefix $TEXT NOT NULL,"
    " hash $BYTES(64) NOT NULL UNIQUE, created_at $INT NOT NULL, last_used_at $INT NOT NULL,"
    " checksum $INT NOT NULL) $END",
};

std::string in_words_of(const Dialect& dialect, std::string_view statement) {
  std::string out(statement);
  for (const auto& [word, replacement] : dialect.schema_words) {
    for (auto at = out.find(word); at != std::string::npos;
         at = out.find(word, at + replacement.size())) {
      out.replace(at, word.size(), replacement);
    }
  }
  return out;
}

}  // namespace

const std::vector<Migration>& schema_migrations() {
  static const std::vector<Migration> migrations = {
      {1,
       [](Connection& c) {
         for (const auto statement : kVersion1) c.execute(in_words_of(c.dialect(), statement));
       }},
  };
  return migrations;
}

void migrate(Connection& c, std::span<const Migration> migrations,
             const std::function<void(int version)>& copy_aside) {
  const auto count = [&](auto& statement) {
    return statement.one() ? statement.template get<0>() : 0;
  };
  int version = 0;
  if (count(c.run<std::int64_t>(c.dialect().count_tables_named, "schema_version")) > 0) {
    auto& statement = c.run<std::int64_t>("SELECT version FROM schema_version");
    if (!statement.one()) {
      fail(ErrorCode::corruption, "the database does not say which version it is",
           "Restore similis.db from a copy.");
    }
    version = static_cast<int>(statement.get<0>());
  } else if (count(c.run<std::int64_t>(c.dialect().count_tables)) > 0) {
    fail(ErrorCode::conflict, "the database holds tables that are not similis' own",
         "Choose another data directory with --data-dir.");
  }

  const int newest = migrations.back().version;
  if (version > newest) {
    fail(ErrorCode::conflict,
         "the database has version " + std::to_string(version) + "; this similis knows up to " +
             std::to_string(newest),
         "Use the newer similis that wrote it, or another data directory with --data-dir.");
  }
  if (version == newest) return;
  if (version > 0) copy_aside(version);

  c.run<>(c.dialect().begin_write);
  try {
    if (version == 0) {
      c.execute(in_words_of(c.dialect(), "CREATE TABLE schema_version (version $INT NOT NULL)"));
      c.execute("INSERT INTO schema_version (version) VALUES (0)");
    }
    for (const Migration& migration : migrations) {
      if (migration.version > version) migration.apply(c);
    }
    c.run<>("UPDATE schema_version SET version = :version", newest);
    c.run<>("COMMIT");
  } catch (...) {
    c.forget_statements();
    try {
      c.execute("ROLLBACK");
    } catch (const soci::soci_error&) {
      // Rolled back by the database itself: the first error is the one to report.
    }
    throw;
  }
}

}  // namespace similis::sql
