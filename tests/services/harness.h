#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "archive/unpack_process.h"
#include "services/fakes.h"
#include "services/faulty_metadata.h"
#include "services/job_service.h"
#include "services/upload_service.h"
#include "stores/cache/cache.h"
#include "stores/metadata/sql/sqlite.h"

namespace similis {

class NoCache final : public Cache {
 public:
  std::optional<std::string> get(const Context&, std::string_view) override { return {}; }
  void put(const Context&, std::string_view, std::string, std::chrono::seconds) override {}
  void erase(const Context&, std::string_view) override {}
  CacheStats stats() const override { return {}; }
};

MATCHER(IsOk, "") {
  if (arg.ok()) return true;
  *result_listener << error_code_name(arg.error().code) << ": " << arg.error().message;
  return false;
}

template <typename T>
T value_of(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  ADD_FAILURE() << error_code_name(result.error().code) << ": " << result.error().message;
  return T{};
}

/// The services over SQLite and fakes, with a folder of pictures.
class ServicesTest : public testing::Test {
 protected:
  ServicesTest();
  ~ServicesTest() override;

  // ---- the folder
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  void write(const std::string& name, const std::string& bytes) const;
  void remove(const std::string& name) const { std::filesystem::remove_all(path(name)); }
  void move(const std::string& from, const std::string& to) const;

  // ---- the services
  /// As a new process would begin: new services over the stores as they are.
  void restart();
  /// Runs jobs on a thread until stop_running() or the end of the test.
  void start_running();
  void stop_running();
  /// Starts a build and waits for its end.
  Job build(const BuildOptions& options = {});
  Job wait_until_finished(JobId id);
  Job wait_for(JobId id, const std::function<bool(const Job&)>& condition);

  // ---- what is there
  Collection collection();
  /// Ready rows by path below the root ("upload:NAME" for uploads).
  std::map<std::string, ImageRow> rows();
  std::map<std::string, std::string> failures();  // path -> error
  /// Rows and vectors agree: each ready row has the vector of its colour, nothing else is there.
  void expect_consistent();

  Context ctx_;
  std::filesystem::path dir_;
  std::string root_;
  Faults faults_;
  std::unique_ptr<MetadataStore> sqlite_;
  std::unique_ptr<FaultyMetadata> metadata_;
  MemoryVectorStore vectors_{faults_};
  MemoryBlobStore blobs_{faults_};
  NoCache cache_;
  FakeDecoder decoder_;
  std::unique_ptr<Unpacker> unpacker_ = make_unpacker(SIMILIS_UNPACK);
  FakeModels models_;
  ServiceLimits limits_;
  std::unique_ptr<Ports> ports_;
  std::unique_ptr<JobService> jobs_;
  std::unique_ptr<UploadService> uploads_;

 private:
  std::jthread runner_;
};

}  // namespace similis
