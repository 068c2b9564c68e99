#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/test_expect.h"
#include "stores/vector/vector_store.h"

namespace similis {

/// An implementation under test, with storage of its own that goes with it.
class VectorBackend {
 public:
  virtual ~VectorBackend() = default;
  virtual VectorStore& store() = 0;
  /// As if the process had ended and another had begun.
  virtual void reopen() = 0;
};

struct VectorBackendFactory {
  std::string name;
  std::function<std::unique_ptr<VectorBackend>()> make;
};
inline void PrintTo(const VectorBackendFactory& factory, std::ostream* out) {
  *out << factory.name;
}

/// What every vector store does. A back end joins by INSTANTIATE_TEST_SUITE_P with its factory.
class VectorStoreSuite : public testing::TestWithParam<VectorBackendFactory> {
 protected:
  static constexpr CollectionId kCollection = 3;
  static constexpr IndexId kIndex = 7;
  static constexpr std::int32_t kDimensions = 32;

  void SetUp() override;

  VectorStore& store() { return backend_->store(); }
  void reopen() { backend_->reopen(); }

  struct Row {
    std::vector<float> vector;
    Attributes attributes;
  };
  std::vector<float> random_vector();
  Attributes random_attributes();
  /// Upserts into kIndex and the model.
  WriteToken put(const std::vector<std::pair<ImageId, Row>>& rows);
  WriteToken put(ImageId id) { return put({{id, {random_vector(), random_attributes()}}}); }
  WriteToken erase(const std::vector<ImageId>& ids);
  WriteToken change(ImageId id, const Attributes& attributes);

  std::vector<ScoredId> search(const std::vector<float>& query, std::size_t k,
                               const std::string& filter = "", WriteToken at_least = 0);
  /// The answer is the model's: the right ids but for near ties, scores within 1e-3 of f32 cosine,
  /// best first, equal ones by id.
  void expect_exact(const std::vector<float>& query, std::size_t k, const std::string& filter = "");
  void expect_ids();
  static double cosine(const std::vector<float>& a, const std::vector<float>& b);

  Context ctx_;
  std::map<ImageId, Row> model_;
  const std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};

 private:
  std::unique_ptr<VectorBackend> backend_;
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
};

}  // namespace similis
