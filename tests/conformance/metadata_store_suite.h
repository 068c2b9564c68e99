#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/test_expect.h"
#include "stores/metadata/metadata_store.h"

namespace similis {

/// An implementation under test, with storage of its own that goes with it.
class MetadataBackend {
 public:
  virtual ~MetadataBackend() = default;
  virtual MetadataStore& store() = 0;
  /// As if the process had ended and another had begun.
  virtual void reopen() = 0;
};

struct MetadataBackendFactory {
  std::string name;
  std::function<std::unique_ptr<MetadataBackend>()> make;
};
inline void PrintTo(const MetadataBackendFactory& factory, std::ostream* out) {
  *out << factory.name;
}

/// What every metadata store does. A back end joins by INSTANTIATE_TEST_SUITE_P with its factory.
class MetadataStoreSuite : public testing::TestWithParam<MetadataBackendFactory> {
 protected:
  void SetUp() override;

  MetadataStore& store() { return backend_->store(); }
  void reopen() { backend_->reopen(); }

  /// A file as put_pending takes it; equal `content` means equal bytes.
  static PendingImage file(FolderId folder, std::string name, int content,
                           std::int64_t mtime_s = 1'700'000'000);
  static PendingImage upload(std::string name, int content);
  static PictureFacts facts_of(int content);
  static ContentHash hash_of(int content);
  static ReadyImage ready(const PendingImage& pending, std::vector<ClassScore> classes = {});

  /// put_pending and mark_ready of one picture; its id.
  ImageId add(PendingImage image, std::vector<ClassScore> classes = {});
  ImageRow get(ImageId id);
  std::int64_t epoch();
  WriteToken token();
  std::vector<ImageId> list(ListRequest request);  // all pages, `request.limit` rows each

  static constexpr std::int64_t kLease_s = 60;
  Job make_job(const std::string& root = "/pictures");
  Result<Job> claim(JobId id, const std::string& owner, std::int64_t lease_s = kLease_s);
  Result<Job> report(JobId id, const std::string& owner, JobState state, int done = 0);
  Result<Job> ask(JobId id, JobState state);

  Context ctx_;
  CollectionId collection_ = 0;
  IndexId index_ = 0;
  FolderId folder_ = 0;  // "/pictures"

 private:
  std::unique_ptr<MetadataBackend> backend_;
};

}  // namespace similis
