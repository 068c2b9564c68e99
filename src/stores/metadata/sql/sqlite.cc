#include "stores/metadata/sql/sqlite.h"

#include <system_error>

#include "stores/metadata/sql/sql_metadata_store.h"
#include "stores/metadata/sql/sqlite_session.h"

namespace similis {
namespace {

class SqliteMetadataStore final : public sql::SqlMetadataStore {
 public:
  SqliteMetadataStore(std::unique_ptr<sql::Database> database, std::filesystem::path file)
      : SqlMetadataStore(std::move(database)), file_(std::move(file)) {}

  Result<std::int64_t> bytes_on_disk(const Context& ctx) override {
    TRY(ctx.check());
    std::int64_t bytes = 0;
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::error_code ec;
      const auto size = std::filesystem::file_size(file_.native() + suffix, ec);
      if (!ec) {
        bytes += static_cast<std::int64_t>(size);
      } else if (ec != std::errc::no_such_file_or_directory) {
        return errno_error(ec.value(), "stat", file_.native() + suffix);
      }
    }
    return bytes;
  }

 protected:
  void check_integrity(sql::Connection& c, std::vector<std::string>& findings) override {
    auto& integrity = c.run<std::string>("PRAGMA integrity_check(100)");
    while (integrity.next()) {
      const auto line = integrity.get<0>();
      if (line != "ok") findings.push_back("similis.db: " + line);
    }
    auto& keys = c.run<std::string, std::optional<std::int64_t>, std::string>(
        "SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT 100");
    while (keys.next()) {
      const auto [table, row, parent] = keys.row();
      findings.push_back("similis.db: a row of " + table + " (" +
                         (row ? "row " + std::to_string(*row) : std::string("keyed")) +
                         ") refers to a missing row of " + parent);
    }
  }

 private:
  std::filesystem::path file_;
};

}  // namespace

Result<std::unique_ptr<MetadataStore>> open_sqlite_metadata(const SqliteOptions& options) {
  ASSIGN_OR_RETURN(auto database, sql::open_sqlite_database(options, sql::schema_migrations()));
  return std::unique_ptr<MetadataStore>(
      std::make_unique<SqliteMetadataStore>(std::move(database), options.file));
}

}  // namespace similis
