#include "stores/metadata/sql/sqlite_session.h"

#include <gtest/gtest.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/temporary_folder.h"
#include "base/test_expect.h"

namespace similis::sql {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr fs::perms kOwnerOnlyFile = fs::perms::owner_read | fs::perms::owner_write;

class SqliteSession : public testing::Test {
 protected:
  Result<std::unique_ptr<Database>> open(std::span<const Migration> migrations = steps(2)) {
    return open_sqlite_database({.file = file_, .busy_timeout = std::chrono::milliseconds(100)},
                                migrations);
  }

  /// A made-up history of schemas: each step adds a column.
  static std::vector<Migration> steps(int count) {
    std::vector<Migration> out = {
        {1, [](Connection& c) { c.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)"); }},
        {2, [](Connection& c) { c.execute("ALTER TABLE thing ADD COLUMN a INTEGER"); }},
        {3, [](Connection& c) {
           c.execute("ALTER TABLE thing ADD COLUMN b INTEGER");
           c.execute("this is not SQL");
         }}};
    out.resize(static_cast<std::size_t>(count));
    return out;
  }

  static std::int64_t number(Database& database, std::string_view text) {
    return value_of(database.read(Context{}, [&](Connection& c) {
      auto& statement = c.run<std::int64_t>(text);
      return statement.one() ? statement.get<0>() : -1;
    }));
  }
  static Status execute(Database& database, const std::string& text) {
    return database.write(Context{}, [&](Connection& c) { c.execute(text); });
  }

  TemporaryFolder folder_;
  fs::path file_ = folder_.path() / "data" / "similis.db";
};

TEST_F(SqliteSession, FilesAreForTheirOwnerOnly) {
  const auto database = value_of(open());
  EXPECT_EQ(fs::status(file_.parent_path()).permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(file_).permissions(), kOwnerOnlyFile);
  EXPECT_EQ(fs::status(file_.native() + "-wal").permissions(), kOwnerOnlyFile);
}

TEST_F(SqliteSession, ConnectionsAreDurableAndStrict) {
  const auto database = value_of(open());
  const auto check_connection = [](Connection& c) {
    const auto pragma = [&](const char* text) {
      auto& statement = c.run<std::int64_t>(text);
      return statement.one() ? statement.get<0>() : -1;
    };
    EXPECT_EQ(pragma("PRAGMA synchronous"), 2);
    EXPECT_EQ(pragma("PRAGMA foreign_keys"), 1);
    EXPECT_EQ(pragma("PRAGMA mmap_size"), 0);
    auto& mode = c.run<std::string>("PRAGMA journal_mode");
    EXPECT_TRUE(mode.one());
    EXPECT_EQ(mode.get<0>(), "wal");
  };
  EXPECT_THAT(database->write(Context{}, check_connection), IsOk());
  EXPECT_THAT(database->read(Context{}, check_connection), IsOk());
  // A reader cannot write.
  EXPECT_FALSE(
      database->read(Context{}, [](Connection& c) { c.execute("DELETE FROM thing"); }).ok());
}

TEST_F(SqliteSession, AnyBytesMayBeInAPath) {
  for (const char* name :
       {"with space", "quote\"'quote", "per%20cent?a=b#c", "\xff\xfe", "a=b;c"}) {
    const fs::path file = folder_.path() / name / "similis.db";
    const auto database = value_of(open_sqlite_database({.file = file}, steps(1)));
    EXPECT_EQ(number(*database, "SELECT COUNT(*) FROM thing"), 0);
    EXPECT_TRUE(fs::exists(file)) << name;
  }
}

TEST_F(SqliteSession, AnOlderDatabaseIsCopiedThenMigrated) {
  {
    const auto old = value_of(open(steps(1)));
    ASSERT_THAT(execute(*old, "INSERT INTO thing (id) VALUES (42)"), IsOk());
  }
  const fs::path copy = file_.native() + ".v1.copy";
  EXPECT_FALSE(fs::exists(copy));
  {
    const auto migrated = value_of(open(steps(2)));
    EXPECT_EQ(number(*migrated, "SELECT version FROM schema_version"), 2);
    EXPECT_EQ(number(*migrated, "SELECT COUNT(*) FROM thing WHERE id = 42 AND a IS NULL"), 1);
  }
  EXPECT_EQ(fs::status(copy).permissions(), kOwnerOnlyFile);
  const auto kept = value_of(open_sqlite_database({.file = copy}, steps(1)));
  EXPECT_EQ(number(*kept, "SELECT version FROM schema_version"), 1);
  EXPECT_EQ(number(*kept, "SELECT COUNT(*) FROM thing WHERE id = 42"), 1);
}

TEST_F(SqliteSession, ANewerDatabaseIsRefusedAndLeftAlone) {
  ASSERT_THAT(open(steps(2)), IsOk());
  const auto refused = open(steps(1));
  ASSERT_THAT(refused, FailsWith(ErrorCode::conflict));
  EXPECT_THAT(refused.error().message, HasSubstr("version 2"));
  EXPECT_THAT(refused.error().hint, HasSubstr("newer similis"));
  EXPECT_EQ(number(*value_of(open(steps(2))), "SELECT version FROM schema_version"), 2);
}

TEST_F(SqliteSession, AFailedMigrationChangesNothing) {
  {
    const auto database = value_of(open(steps(2)));
    ASSERT_THAT(execute(*database, "INSERT INTO thing (id, a) VALUES (1, 2)"), IsOk());
  }
  EXPECT_FALSE(open(steps(3)).ok());
  const auto database = value_of(open(steps(2)));
  EXPECT_EQ(number(*database, "SELECT version FROM schema_version"), 2);
  EXPECT_EQ(number(*database, "SELECT COUNT(*) FROM pragma_table_info('thing')"), 2);
  EXPECT_EQ(number(*database, "SELECT a FROM thing"), 2);
}

TEST_F(SqliteSession, AnotherProgramsDatabaseIsRefused) {
  fs::create_directories(file_.parent_path());
  {
    soci::session session(soci::sqlite3, "db=" + file_.native());
    session << "CREATE TABLE theirs (x)";
  }
  EXPECT_THAT(open(), FailsWith(ErrorCode::conflict));
}

TEST_F(SqliteSession, WhatIsNoDatabaseIsCorruption) {
  fs::create_directories(file_.parent_path());
  std::ofstream(file_) << std::string(10'000, 'x');
  const auto refused = open();
  ASSERT_THAT(refused, FailsWith(ErrorCode::corruption));
  EXPECT_THAT(refused.error().message, HasSubstr(file_.native()));
  EXPECT_FALSE(refused.error().hint.empty());
}

TEST_F(SqliteSession, AFolderInTheWayIsSaid) {
  fs::create_directories(file_);
  const auto refused = open();
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr(file_.native()));
}

TEST_F(SqliteSession, AFullDiskChangesNothingAndIsSaid) {
  const auto database = value_of(open());
  // As many pages as there are: the next one is refused as on a full disk.
  ASSERT_THAT(
      database->exclusive(Context{}, [](Connection& c) { c.execute("PRAGMA max_page_count = 1"); }),
      IsOk());
  const auto status = database->write(Context{}, [](Connection& c) {
    for (int i = 0; i < 10'000; ++i) c.run<>("INSERT INTO thing (id, a) VALUES (:id, :a)", i, i);
  });
  ASSERT_THAT(status, FailsWith(ErrorCode::resource_exhausted));
  EXPECT_THAT(status.error().hint, HasSubstr("disk space"));
  EXPECT_EQ(number(*database, "SELECT COUNT(*) FROM thing"), 0);
  ASSERT_THAT(database->exclusive(Context{},
                                  [](Connection& c) { c.execute("PRAGMA max_page_count = 1000"); }),
              IsOk());
  EXPECT_THAT(execute(*database, "INSERT INTO thing (id) VALUES (1)"), IsOk());
}

TEST_F(SqliteSession, ALockedDatabaseIsUnavailable) {
  const auto database = value_of(open());
  soci::session other(soci::sqlite3, "db=" + file_.native());
  other << "BEGIN IMMEDIATE";
  const auto status = execute(*database, "INSERT INTO thing (id) VALUES (1)");
  ASSERT_THAT(status, FailsWith(ErrorCode::unavailable));
  EXPECT_FALSE(status.error().hint.empty());
  EXPECT_EQ(number(*database, "SELECT COUNT(*) FROM thing"), 0);  // readers do not wait
  other << "ROLLBACK";
  EXPECT_THAT(execute(*database, "INSERT INTO thing (id) VALUES (1)"), IsOk());
}

TEST_F(SqliteSession, AStatementEndsWhenItsCallerGivesUp) {
  const auto database = value_of(open());
  const auto endless = [](Connection& c) {
    c.run<std::int64_t>(
         "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n")
        .one();
  };
  EXPECT_THAT(database->read(Context{}.with_timeout(std::chrono::milliseconds(50)), endless),
              FailsWith(ErrorCode::deadline_exceeded));
  const auto stop = std::make_unique<std::stop_source>();
  Context cancelled;
  cancelled.cancel = stop->get_token();
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop->request_stop();
  });
  EXPECT_THAT(database->read(cancelled, endless), FailsWith(ErrorCode::cancelled));
  EXPECT_EQ(number(*database, "SELECT COUNT(*) FROM thing"), 0);  // the connection works on
}

TEST_F(SqliteSession, ReadersWaitForAFreeConnection) {
  const auto database = value_of(open_sqlite_database({.file = file_, .readers_max = 1}, steps(1)));
  const auto outcome = database->read(Context{}, [&](Connection&) {
    // The only reader is in use.
    EXPECT_THAT(
        database->read(Context{}.with_timeout(std::chrono::milliseconds(20)), [](Connection&) {}),
        FailsWith(ErrorCode::deadline_exceeded));
  });
  EXPECT_THAT(outcome, IsOk());
  EXPECT_EQ(number(*database, "SELECT COUNT(*) FROM thing"), 0);
}

TEST_F(SqliteSession, ValuesComeBackAsTheyWere) {
  const auto database = value_of(open());
  ASSERT_THAT(execute(*database, "CREATE TABLE v (i INTEGER, r REAL, t BLOB, n BLOB)"), IsOk());
  const std::string bytes("a\xff'\"\n%", 6);
  ASSERT_THAT(database->write(Context{},
                              [&](Connection& c) {
                                c.run<>("INSERT INTO v VALUES (:i, :r, :t, :n)", kIdMax, 0.1, bytes,
                                        std::optional<std::string>());
                              }),
              IsOk());
  const auto check_row = [&](Connection& c) {
    auto& statement = c.run<std::int64_t, double, std::string, std::optional<std::string>>(
        "SELECT i, r, t, n FROM v WHERE t = :t", bytes);
    ASSERT_TRUE(statement.one());
    EXPECT_EQ(statement.row(), std::tuple(kIdMax, 0.1, bytes, std::optional<std::string>()));
  };
  EXPECT_THAT(database->read(Context{}, check_row), IsOk());
}

}  // namespace
}  // namespace similis::sql
