#include "base/temporary_folder.h"
#include "conformance/metadata_store_suite.h"
#include "stores/metadata/sql/sqlite.h"

namespace similis {
namespace {

class OnSqlite final : public MetadataBackend {
 public:
  OnSqlite() { open(); }
  MetadataStore& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    store_ = value_of(open_sqlite_metadata({.file = folder_.path() / "data dir" / "similis.db"}));
  }
  TemporaryFolder folder_;
  std::unique_ptr<MetadataStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, MetadataStoreSuite,
                         testing::Values(MetadataBackendFactory{
                             "sqlite", [] { return std::make_unique<OnSqlite>(); }}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace similis
