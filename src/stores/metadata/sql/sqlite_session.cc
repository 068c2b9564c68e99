#include "stores/metadata/sql/sqlite_session.h"

#include <fcntl.h>
#include <soci/sqlite3/soci-sqlite3.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "base/file.h"
#include "base/log.h"

namespace similis::sql {
namespace {

namespace fs = std::filesystem;

/// "file:/a/b%20c": a name SOCI's connection string and SQLite both take, whatever bytes it has.
std::string file_uri(const fs::path& file) {
  static constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-~";
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out = "file:";
  for (const char c : file.native()) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

std::string sql_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out += '\'';
}

sqlite_api::sqlite3* handle_of(soci::session& session) {
  return static_cast<soci::sqlite3_session_backend*>(session.get_backend())->conn_;
}

/// Asks the waiting call now and then whether it is still wanted.
int on_progress(void* connection) {
  const Context* context = static_cast<Connection*>(connection)->context;
  return context != nullptr && !context->check().ok() ? 1 : 0;
}

Error explain(const soci::soci_error& error, const fs::path& file) {
  // Result codes: https://www.sqlite.org/rescode.html; the low byte is the primary one.
  const auto* sqlite = dynamic_cast<const soci::sqlite3_soci_error*>(&error);
  const int code = sqlite == nullptr ? SQLITE_ERROR : sqlite->result() & 0xff;
  const std::string message = "database " + file.native() + ": " + error.get_error_message();
  switch (code) {
    case SQLITE_FULL:
      return {ErrorCode::resource_exhausted, message + disk_room(file.native()),
              "Free some disk space and try again; nothing was changed."};
    case SQLITE_NOMEM:
      return {ErrorCode::resource_exhausted, message, "Free some memory and try again."};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {ErrorCode::corruption, message,
              "Restore the file from a copy, or move it away and index the folders again; the "
              "pictures themselves are not affected."};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::unavailable, message,
              "Another program holds the database: close it and try again."};
    case SQLITE_INTERRUPT:
      return {ErrorCode::cancelled, message};
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
      return {ErrorCode::permission_denied, message,
              "The file and its folder have to be writable by this user."};
    case SQLITE_CANTOPEN:
      return {ErrorCode::io_error, message,
              "The file and its folder have to be readable and writable by this user."};
    case SQLITE_IOERR:
    case SQLITE_PROTOCOL:
      return {ErrorCode::io_error, message, "Check the disk and the system's log."};
    case SQLITE_TOOBIG:
      return {ErrorCode::too_large, message, "Ask for less at once."};
    default:
      return {ErrorCode::internal, message};
  }
}

std::unique_ptr<Dialect> sqlite_dialect(const fs::path& file) {
  auto dialect = std::make_unique<Dialect>();
  dialect->begin_read = "BEGIN";
  dialect->begin_write = "BEGIN IMMEDIATE";
  dialect->for_update = "";  // the writer is alone
  dialect->ordered_join = "CROSS JOIN";
  dialect->schema_words = {{"$CLUSTERED", "WITHOUT ROWID"},
                           {"$UPLOADS", "WHERE upload_hash IS NOT NULL"},
                           {"$PREFIX", ""},
                           {"$BYTES", "BLOB"},
                           {"$TEXT", "BLOB"},
                           {"$REAL", "REAL"},
                           {"$END", ""},
                           {"$KEY", "INTEGER PRIMARY KEY"},
                           {"$INT", "INTEGER"}};
  dialect->count_tables_named =
      "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = :name";
  dialect->count_tables = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'";
  dialect->end_statement = [](soci::details::statement_backend& statement) {
    sqlite_api::sqlite3_reset(static_cast<soci::sqlite3_statement_backend&>(statement).stmt_);
  };
  dialect->explain = [file](const soci::soci_error& error) { return explain(error, file); };
  return dialect;
}

/// SQLite without locks of its own around each call, a tenth of a write's time: a Connection is
/// used by one thread at a time. Only possible before the process's first use of SQLite; when it
/// comes too late everything is as right, only slower.
void spare_locks() {
  static const int outcome = sqlite_api::sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
  (void)outcome;
}

std::unique_ptr<Connection> connect(const SqliteOptions& options, const Dialect& dialect,
                                    bool read_only) {
  spare_locks();
  auto session = std::make_unique<soci::session>(soci::sqlite3, "db=" + file_uri(options.file));
  sqlite_api::sqlite3* handle = handle_of(*session);
  sqlite_api::sqlite3_busy_timeout(handle, static_cast<int>(options.busy_timeout.count()));
  sqlite_api::sqlite3_extended_result_codes(handle, 1);
  auto connection = std::make_unique<Connection>(std::move(session), dialect);
  // 20,000 virtual machine steps are well under a millisecond.
  sqlite_api::sqlite3_progress_handler(handle, 20'000, on_progress, connection.get());

  const std::int64_t cache_kib = options.cache_bytes / 1024 / (read_only ? 8 : 1);
  const std::string pragmas[] = {
      "PRAGMA synchronous = FULL",
      "PRAGMA foreign_keys = ON",
      "PRAGMA trusted_schema = OFF",
      "PRAGMA cell_size_check = ON",
      "PRAGMA temp_store = MEMORY",
      "PRAGMA mmap_size = 0",
      "PRAGMA cache_size = -" + std::to_string(cache_kib),
      // 32 MB of log between checkpoints, each of which writes a page once however often it
      // changed; a longer log is cut back.
      "PRAGMA wal_autocheckpoint = 8000",
      "PRAGMA journal_size_limit = 67108864",
  };
  auto& mode = connection->run<std::string>("PRAGMA journal_mode = WAL");
  if (mode.one() && mode.get<0>() != "wal" && !read_only) {
    log(LogLevel::warning, "database " + options.file.native() +
                               ": the file system takes no write-ahead log; readers and writers "
                               "will wait for each other");
  }
  for (const auto& pragma : pragmas) connection->execute(pragma);
  if (read_only) connection->execute("PRAGMA query_only = ON");
  return connection;
}

/// A copy of the database as it is, beside it, synced.
void copy_aside(Connection& c, const fs::path& file, int version) {
  const fs::path copy = file.native() + ".v" + std::to_string(version) + ".copy";
  const fs::path unfinished = copy.native() + ".tmp";
  std::error_code ignored;
  fs::remove(unfinished, ignored);  // of an attempt that was cut off; VACUUM refuses what is left
  c.execute("VACUUM INTO " + sql_literal(unfinished.native()));
  check([&]() -> Status {
    ASSIGN_OR_RETURN(File written, File::open(unfinished, O_RDWR));
    if (::fchmod(written.fd(), 0600) != 0) return errno_error(errno, "chmod", unfinished.native());
    TRY(sync_data(written.fd(), unfinished.native()));
    if (::rename(unfinished.c_str(), copy.c_str()) != 0) {
      return errno_error(errno, "rename", unfinished.native());
    }
    return sync_directory(copy.parent_path());
  }());
  log(LogLevel::info, "database of version " + std::to_string(version) + " copied to " +
                          copy.native() + " before migrating it");
}

}  // namespace

Result<std::unique_ptr<Database>> open_sqlite_database(const SqliteOptions& options_in,
                                                       std::span<const Migration> migrations) {
  SqliteOptions options = options_in;
  std::error_code ec;
  options.file = fs::absolute(options.file, ec);
  if (ec) return errno_error(ec.value(), "resolve", options_in.file.native());
  TRY(make_directories(options.file.parent_path()));
  {
    // Made here rather than by SQLite, so that it and its log are for this user only.
    ASSIGN_OR_RETURN(const File file, File::open(options.file, O_RDWR | O_CREAT, 0600));
  }
  TRY(sync_directory(options.file.parent_path()));

  auto dialect = sqlite_dialect(options.file);
  auto connect_to = [options, &words = *dialect](bool read_only) {
    return connect(options, words, read_only);
  };
  auto database =
      std::make_unique<Database>(std::move(dialect), std::move(connect_to), options.readers_max);
  TRY(database->exclusive(Context{}, [&](Connection& c) {
    migrate(c, migrations, [&](int version) { copy_aside(c, options.file, version); });
  }));
  return database;
}

}  // namespace similis::sql
