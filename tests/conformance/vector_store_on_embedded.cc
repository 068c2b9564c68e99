#include "base/temporary_folder.h"
#include "conformance/vector_store_suite.h"
#include "stores/vector/embedded/embedded_vector_store.h"

namespace similis {
namespace {

class OnEmbedded final : public VectorBackend {
 public:
  explicit OnEmbedded(std::uint32_t graph_rows_min) : graph_rows_min_(graph_rows_min) { open(); }
  VectorStore& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    store_ = value_of(open_embedded_vectors({.directory = folder_.path() / "data dir",
                                             .threads = 2,
                                             .graph_rows_min = graph_rows_min_}));
  }
  const std::uint32_t graph_rows_min_;
  TemporaryFolder folder_;
  std::unique_ptr<VectorStore> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Embedded, VectorStoreSuite,
    testing::Values(VectorBackendFactory{"embedded",
                                         [] { return std::make_unique<OnEmbedded>(100000); }},
                    VectorBackendFactory{"embedded_with_graphs",
                                         [] { return std::make_unique<OnEmbedded>(30); }}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace similis
