#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "base/test_expect.h"
#include "stores/blob/blob_store.h"

namespace similis {

/// An implementation under test, with storage of its own that goes with it.
class BlobBackend {
 public:
  virtual ~BlobBackend() = default;
  virtual BlobStore& store() = 0;
  virtual void reopen() = 0;
  /// Flips one bit of a stored blob, behind the store's back.
  virtual void damage(BlobKind kind, const ContentHash& key) = 0;
  /// Makes a stored blob look `seconds` old.
  virtual void make_older(BlobKind kind, const ContentHash& key, std::int64_t seconds) = 0;
};

struct BlobBackendFactory {
  std::string name;
  std::function<std::unique_ptr<BlobBackend>()> make;
};
inline void PrintTo(const BlobBackendFactory& factory, std::ostream* out) {
  *out << factory.name;
}

/// What every blob store does. A back end joins by INSTANTIATE_TEST_SUITE_P with its factory.
class BlobStoreSuite : public testing::TestWithParam<BlobBackendFactory> {
 protected:
  void SetUp() override { backend_ = GetParam().make(); }
  BlobStore& store() { return backend_->store(); }
  BlobBackend& backend() { return *backend_; }

  Context ctx_;

 private:
  std::unique_ptr<BlobBackend> backend_;
};

}  // namespace similis
