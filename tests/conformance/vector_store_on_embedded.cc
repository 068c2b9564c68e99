#include "base/temporary_folder.h"
#include "conformance/vector_store_suite.h"
#include "stores/vector/embedded/embedded_vector_store.h"

namespace similis {
namespace {

class OnEmbedded final : public VectorBackend {
 public:
  OnEmbedded() { open(); }
  VectorStore& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    store_ =
        value_of(open_embedded_vectors({.directory = folder_.path() / "data dir", .threads = 2}));
  }
  TemporaryFolder folder_;
  std::unique_ptr<VectorStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Embedded, VectorStoreSuite,
                         testing::Values(VectorBackendFactory{
                             "embedded", [] { return std::make_unique<OnEmbedded>(); }}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace similis
