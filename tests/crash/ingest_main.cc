// The process that the crash tests kill: real stores and decode workers, the services, and a model
// that costs nothing.
//   similis-crash-ingest build WORKER DATA ROOT     indexes ROOT, exits 0 when the job is done
//   similis-crash-ingest upload WORKER DATA COUNT   uploads COUNT pictures, prints "SEED ID" for
//                                                   each that was answered for
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "archive/unpack_process.h"
#include "crash/stores.h"
#include "services/job_service.h"
#include "services/upload_service.h"
#include "worker/pool.h"

namespace similis {
namespace {

int fail(const Error& error) {
  std::fprintf(stderr, "%s: %s\n", std::string(error_code_name(error.code)).c_str(),
               error.message.c_str());
  return 1;
}

int build(const Ports& ports, const std::string& root) {
  JobService jobs(ports);
  std::jthread runner([&](std::stop_token stop) { jobs.run(std::move(stop)); });
  const Context ctx;
  const auto started = jobs.start_build(ctx, "pictures", root, {}, "");
  if (!started.ok()) return fail(started.error());
  Job job = started->job;
  while (!is_finished(job.state)) {
    auto next = jobs.wait(ctx, job.id, job.version, std::chrono::seconds(1));
    if (!next.ok()) return fail(next.error());
    job = *std::move(next);
  }
  if (job.state == JobState::done) return 0;
  return fail(Error(ErrorCode::internal, job.error_code + ": " + job.error));
}

int upload(const Ports& ports, unsigned count) {
  JobService jobs(ports);
  const Context ctx;
  if (auto recovered = jobs.recover(ctx); !recovered.ok()) return fail(recovered.error());
  auto made = ports.metadata.create_collection(ctx, "pictures");
  if (!made.ok() && made.error().code != ErrorCode::already_exists) return fail(made.error());
  UploadService uploads(ports);
  for (unsigned seed = 0; seed < count; seed += 3) {
    std::vector<UploadFile> files;
    for (unsigned i = 0; i < 3; ++i) {
      const std::string bytes = bmp_bytes(seed + i);
      const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
      files.push_back(
          {"upload", std::make_shared<std::vector<std::byte>>(data, data + bytes.size()), {}});
    }
    const auto outcomes = uploads.upload(ctx, "pictures", files);
    if (!outcomes.ok()) return fail(outcomes.error());
    for (unsigned i = 0; i < 3; ++i) {
      if ((*outcomes)[i].status == UploadStatus::failed) return fail((*outcomes)[i].error);
      std::printf("%u %lld\n", seed + i, static_cast<long long>((*outcomes)[i].id));
    }
    std::fflush(stdout);
  }
  return 0;
}

int run(int argc, char** argv) {
  if (argc != 5) return 2;
  const std::string what = argv[1];
  auto stores = open_stores(argv[3]);
  if (!stores.ok()) return fail(stores.error());
  WorkerPoolOptions options;
  options.worker = argv[2];
  options.workers = 2;
  auto pool = WorkerPool::start(options);
  if (!pool.ok()) return fail(pool.error());
  const auto cache = make_memory_cache({.bytes_max = 1 << 20});
  FakeModels models;
  const auto unpacker = make_unpacker(SIMILIS_UNPACK);
  const Ports ports{*stores->metadata, *stores->vectors, *cache, *stores->blobs, **pool,
                    *unpacker,         models,           {}};
  return what == "build" ? build(ports, argv[4])
                         : upload(ports, static_cast<unsigned>(std::atoi(argv[4])));
}

}  // namespace
}  // namespace similis

int main(int argc, char** argv) {
  return similis::run(argc, argv);
}
