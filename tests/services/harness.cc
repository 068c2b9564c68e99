#include "services/harness.h"

#include <stdlib.h>

#include <cmath>
#include <fstream>

namespace similis {

namespace fs = std::filesystem;

ServicesTest::ServicesTest() {
  std::string name = (fs::temp_directory_path() / "similis-services-XXXXXX").string();
  dir_ = mkdtemp(name.data());
  root_ = (dir_ / "pictures").string();
  fs::create_directories(root_);
  sqlite_ = value_of(open_sqlite_metadata({.file = dir_ / "data" / "similis.db"}));
  metadata_ = std::make_unique<FaultyMetadata>(*sqlite_, faults_);
  limits_.watch_settle_ms = 150;
  limits_.imports_dir = (dir_ / "data" / "imports").string();
  ports_ = std::make_unique<Ports>(
      Ports{*metadata_, vectors_, cache_, blobs_, decoder_, *unpacker_, models_, limits_});
  restart();
}

ServicesTest::~ServicesTest() {
  faults_.over = true;
  stop_running();
  fs::remove_all(dir_);
}

void ServicesTest::write(const std::string& name, const std::string& bytes) const {
  fs::create_directories(fs::path(path(name)).parent_path());
  std::ofstream(path(name), std::ios::binary) << bytes;
}

void ServicesTest::move(const std::string& from, const std::string& to) const {
  fs::create_directories(fs::path(path(to)).parent_path());
  fs::rename(path(from), path(to));
}

void ServicesTest::restart() {
  stop_running();
  ports_->limits = limits_;
  uploads_ = std::make_unique<UploadService>(*ports_);
  jobs_ = std::make_unique<JobService>(*ports_);
}

void ServicesTest::start_running() {
  if (runner_.joinable()) return;
  runner_ = std::jthread([this](std::stop_token stop) { jobs_->run(std::move(stop)); });
}

void ServicesTest::stop_running() {
  if (!runner_.joinable()) return;
  runner_.request_stop();
  runner_.join();
}

Job ServicesTest::build(const BuildOptions& options) {
  const auto started = value_of(jobs_->start_build(ctx_, "pictures", root_, options, ""));
  start_running();
  return wait_until_finished(started.job.id);
}

Job ServicesTest::wait_until_finished(JobId id) {
  return wait_for(id, [](const Job& job) { return is_finished(job.state); });
}

Job ServicesTest::wait_for(JobId id, const std::function<bool(const Job&)>& condition) {
  const auto until = Context::Clock::now() + std::chrono::seconds(20);
  Job job = value_of(jobs_->get(ctx_, id));
  while (!condition(job)) {
    if (Context::Clock::now() > until) {
      ADD_FAILURE() << "job " << id << " did not get there in time; state "
                    << static_cast<int>(job.state) << " " << job.error;
      break;
    }
    job = value_of(jobs_->wait(ctx_, id, job.version, std::chrono::seconds(1)));
  }
  return job;
}

Collection ServicesTest::collection() {
  return value_of(sqlite_->find_collection(ctx_, "pictures"));
}

std::map<std::string, ImageRow> ServicesTest::rows() {
  std::map<std::string, ImageRow> out;
  const auto found =
      value_of(sqlite_->scan_images(ctx_, collection().id, RowState::ready, 0, 100'000));
  for (const ImageRow& row : found) {
    const std::string name =
        row.folder == 0 ? "upload:" + row.name : row.path().substr(root_.size() + 1);
    EXPECT_TRUE(out.emplace(name, row).second) << name << " is there twice";
  }
  return out;
}

std::map<std::string, std::string> ServicesTest::failures() {
  std::map<std::string, std::string> out;
  const auto page = value_of(sqlite_->list_failures(ctx_, collection().id, 0, 1000, ""));
  for (const ImageRow& row : page.rows) {
    out[row.path().substr(root_.size() + 1)] = row.error_code + ": " + row.error;
  }
  return out;
}

void ServicesTest::expect_consistent() {
  for (const RowState state : {RowState::pending, RowState::removing}) {
    EXPECT_THAT(value_of(sqlite_->scan_images(ctx_, collection().id, state, 0, 10)),
                testing::IsEmpty());
  }
  const auto vectors = vectors_.entries();
  const auto ready = rows();
  EXPECT_EQ(vectors.size(), ready.size());
  for (const auto& [name, row] : ready) {
    const auto it = vectors.find(row.id);
    if (it == vectors.end()) {
      ADD_FAILURE() << name << " has no vector";
      continue;
    }
    // The embedder is asked anew for the picture that lies there.
    std::string bytes;
    if (row.folder == 0) {
      const auto blob = value_of(blobs_.get(ctx_, BlobKind::upload, row.facts.content_hash));
      bytes.assign(reinterpret_cast<const char*>(blob.bytes.data()), blob.bytes.size());
    } else {
      std::ifstream file(row.path(), std::ios::binary);
      bytes.assign(std::istreambuf_iterator<char>(file), {});
    }
    ASSERT_GE(bytes.size(), 6U) << name;
    const std::vector<std::uint8_t> rgb{static_cast<std::uint8_t>(bytes[3]),
                                        static_cast<std::uint8_t>(bytes[4]),
                                        static_cast<std::uint8_t>(bytes[5])};
    const PictureTensor tensor{1, 1, rgb};
    FakeEmbedder model("fake");
    const auto expected = value_of(model.embed(ctx_, std::span(&tensor, 1)));
    for (std::size_t i = 0; i < expected.front().vector.size(); ++i) {
      EXPECT_NEAR(it->second.vector[i], expected.front().vector[i], 1e-5) << name;
    }
    EXPECT_EQ(it->second.attributes, attributes_of(row)) << name;
  }
}

}  // namespace similis
