#include "app/doctor.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "app/data_directory.h"
#include "app/model_store.h"
#include "app/places.h"
#include "app/sample_pictures.h"
#include "app/workers.h"
#include "base/file.h"
#include "cli/text.h"
#include "client/socket_transport.h"
#include "config/machine.h"
#include "config/resource_plan.h"
#include "engine/storage/posix_reads.h"
#include "stores/metadata/sql/sqlite.h"
#include "stores/vector/embedded/embedded_vector_store.h"
#include "worker/decoder.h"

namespace similis {
namespace {

constexpr std::chrono::seconds kDecodePatience{30};
constexpr std::chrono::seconds kHolderPatience{5};
constexpr std::uint64_t kReadBytes = 64 << 20;
constexpr std::uint64_t kReadBlock = 1 << 20;
constexpr double kReadRateLow = 100e6;  // bytes a second: below what any solid-state disk gives

class Findings {
 public:
  void ok(const char* name, const std::string& detail) { add(name, "ok", detail, ""); }
  void note(const char* name, const std::string& detail, const std::string& advice) {
    add(name, "note", detail, advice);
  }
  void problem(const char* name, const Error& error) {
    add(name, "problem", error.message, error.hint);
  }
  void problem(const char* name, const std::string& detail, const std::string& advice) {
    add(name, "problem", detail, advice);
  }
  Json take() { return Json{{"checks", std::move(checks_)}}; }

 private:
  void add(const char* name, const char* state, const std::string& detail,
           const std::string& advice) {
    checks_.push_back({{"name", name}, {"state", state}, {"detail", detail}, {"advice", advice}});
  }
  Json checks_ = Json::array();
};

void check_processor(Findings& out) {
  const MachineFacts machine = machine_facts();
  std::string features = std::to_string(machine.cpus) + (machine.cpus == 1 ? " core" : " cores");
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f");
  features += avx512 ? ", AVX-512" : avx2 ? ", AVX2" : ", neither AVX2 nor AVX-512";
  if (!avx2 && !avx512) {
    out.note("processor", features,
             "Searching and embedding run several times slower than on a processor with AVX2.");
    return;
  }
#endif
  out.ok("processor", features);
}

void check_memory(Findings& out, const Settings& settings) {
  const MachineFacts machine = machine_facts();
  const auto plan = plan_resources(settings, machine, 0);
  if (!plan.ok()) return out.problem("memory", plan.error());
  const std::string detail = bytes_text(machine.memory_bytes) +
                             ", of which similis takes at most " + bytes_text(plan->memory_max);
  if (machine.memory_bytes != 0 && machine.memory_bytes < (std::int64_t{2} << 30)) {
    return out.note("memory", detail,
                    "Large pictures may fail to decode. Lower decode.workers to 1.");
  }
  out.ok("memory", detail);
}

/// The log is synced once a batch: what one sync costs bounds how fast pictures become durable.
void check_disk(Findings& out, const Settings& settings) {
  std::error_code error;
  const auto space = std::filesystem::space(settings.data_dir, error);
  if (error)
    return out.note("disk", settings.data_dir.native() + " is not there yet",
                    "It is made by similis index.");
  const std::filesystem::path probe =
      settings.data_dir / ("doctor.tmp" + std::to_string(::getpid()));
  constexpr int kSyncs = 20;
  double median_ms = 0;
  const auto measure = [&]() -> Status {
    ASSIGN_OR_RETURN(const File file, File::open(probe, O_WRONLY | O_CREAT | O_TRUNC));
    const std::vector<std::byte> page(4096);
    std::vector<double> times;
    for (int i = 0; i < kSyncs; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      TRY(pwrite_all(file.fd(), page, static_cast<std::uint64_t>(i) * page.size(), probe.native()));
      TRY(sync_data(file.fd(), probe.native()));
      times.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
              .count());
    }
    std::nth_element(times.begin(), times.begin() + kSyncs / 2, times.end());
    median_ms = times[kSyncs / 2];
    return {};
  };
  const Status measured = measure();
  ::unlink(probe.c_str());
  if (!measured.ok()) return out.problem("disk", measured.error());
  char sync[64];
  std::snprintf(sync, sizeof sync, ", a synced write takes %.1f ms", median_ms);
  const std::string detail = bytes_text(static_cast<std::int64_t>(space.available)) + " free at " +
                             settings.data_dir.native() + sync;
  if (space.available < (std::uintmax_t{1} << 30)) {
    return out.note("disk", detail, "Ten thousand pictures need about 120 MB.");
  }
  if (median_ms > 20) {
    return out.note("disk", detail,
                    "Indexing waits for it at each batch. A faster disk for --data-dir helps.");
  }
  out.ok("disk", detail);
}

/// Another process has the stores open: it knows how they do.
void held(Findings& out, const Settings& settings) {
  const auto holder = lock_holder(settings.data_dir);
  const std::string by = holder.value_or(LockHolder{}).to_string();
  SocketTransport transport(ServerPlace{
      .unix_socket = socket_path(settings.data_dir), .host = {}, .port = 0, .credential = {}});
  ApiRequest request;
  request.target = "/readyz";
  const auto answer = transport.request(Context{}.with_timeout(kHolderPatience), request);
  if (answer.ok() && answer->status == 200)
    return out.ok("stores", settings.data_dir.native() + " is open in " + by);
  out.problem("stores", by + " has " + settings.data_dir.native() + " open and is not ready",
              "Wait for it, or stop it.");
}

/// One picture of each format through a worker, as indexing would.
void check_decoding(Findings& out, const Settings& settings) {
  const auto workers = start_single_worker(settings);
  if (!workers.ok()) return out.problem("formats", workers.error());
  std::string read, unread;
  for (const SamplePicture& sample : sample_pictures()) {
    DecodeJob job;
    job.source = std::as_bytes(sample.bytes);
    job.request.tensors = {Preprocess{}};
    auto outcome = (*workers)->decode(Context{}.with_timeout(kDecodePatience), job);
    if (!outcome.ok()) return out.problem("formats", outcome.error());  // no worker at all
    const auto picture = picture_or_error(*std::move(outcome));
    std::string& list = picture.ok() ? read : unread;
    list += (list.empty() ? "" : ", ") + std::string(sample.format);
    if (!picture.ok()) list += " (" + picture.error().message + ")";
  }
  if (unread.empty()) {
    out.ok("formats", "a worker has decoded a sample of " + read);
  } else {
    out.problem("formats", "cannot decode " + unread,
                "Such files will be listed as failed. Install the libraries of libvips for them.");
  }
  const std::string missing = (*workers)->stats().missing_sandbox;
  if (missing.empty()) return out.ok("sandbox", "decode workers are confined");
  out.note(
      "sandbox", missing,
      "A hostile picture that takes over a worker can do more harm. Use a newer kernel, or let "
      "the container use seccomp and Landlock.");
}

/// What a query reads from the disk costs at this rate.
void check_reading(Findings& out, const Settings& settings) {
  std::error_code error;
  if (!std::filesystem::exists(settings.data_dir, error)) return;
  const auto space = std::filesystem::space(settings.data_dir, error);
  if (error || space.available < 16 * kReadBytes)
    return out.note("reading", "not measured: too little space", "Free some disk space.");
  const std::filesystem::path probe =
      settings.data_dir / ("doctor.tmp" + std::to_string(::getpid()));
  double seconds = 0;
  bool direct = true;
  const auto measure = [&]() -> Status {
    // Aligned as O_DIRECT asks; not zeros, which some file systems do not store.
    const std::unique_ptr<std::byte, decltype(&std::free)> block(
        static_cast<std::byte*>(std::aligned_alloc(4096, kReadBlock)), &std::free);
    if (!block) return errno_error(ENOMEM, "measure", "the disk");
    const std::span<std::byte> bytes(block.get(), kReadBlock);
    std::mt19937_64 random(1);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    {
      ASSIGN_OR_RETURN(const File file, File::open(probe, O_WRONLY | O_CREAT | O_TRUNC));
      for (std::uint64_t at = 0; at < kReadBytes; at += kReadBlock)
        TRY(pwrite_all(file.fd(), bytes, at, probe.native()));
      TRY(sync_data(file.fd(), probe.native()));
      ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
    }
    auto file = File::open(probe, O_RDONLY | O_DIRECT);
    if (!file.ok()) {
      direct = false;
      file = File::open(probe, O_RDONLY);
    }
    if (!file.ok()) return std::move(file).error();
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t at = 0; at < kReadBytes; at += kReadBlock)
      TRY(pread_exact(file->fd(), bytes, at, probe.native()));
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return {};
  };
  const Status measured = measure();
  ::unlink(probe.c_str());
  if (!measured.ok()) return out.problem("reading", measured.error());
  const double rate = static_cast<double>(kReadBytes) / std::max(seconds, 1e-6);
  const std::string detail = bytes_text(static_cast<std::int64_t>(rate)) + " a second" +
                             (direct ? "" : ", through the page cache");
  if (rate < kReadRateLow) {
    return out.note("reading", detail,
                    "Opening a large index and searching it wait for the disk. A faster disk for "
                    "--data-dir helps.");
  }
  out.ok("reading", detail);
}

/// How a search has its vectors read.
void check_queue(Findings& out) {
  if (engine::make_uring_queue())
    return out.ok("io_uring", "vectors are read by a queue of the kernel");
  out.note("io_uring", "the kernel refuses it: threads read vectors from the disk",
           "Searches of indexes larger than index.memory_max reach about two thirds of their rate. "
           "Many containers' seccomp profiles forbid it.");
}

/// Opens the database and each index, unless another process has them open.
void check_stores(Findings& out, const Settings& settings) {
  std::error_code error;
  if (!std::filesystem::exists(settings.data_dir / "similis.db", error))
    return out.ok("stores", "nothing indexed yet");
  auto directory = DataDirectory::lock(settings.data_dir, HolderKind::command);
  if (!directory.ok() && directory.error().code == ErrorCode::conflict) return held(out, settings);
  if (!directory.ok()) return out.problem("stores", directory.error());
  Context ctx;
  std::int64_t collections = 0, vectors = 0;
  const auto open = [&]() -> Status {
    ASSIGN_OR_RETURN(const auto metadata,
                     open_sqlite_metadata({.file = settings.data_dir / "similis.db"}));
    ASSIGN_OR_RETURN(const auto store, open_embedded_vectors({.directory = settings.data_dir}));
    ASSIGN_OR_RETURN(const auto listed, metadata->list_collections(ctx));
    for (const Collection& collection : listed) {
      ++collections;
      if (collection.active_index == 0) continue;
      ASSIGN_OR_RETURN(const VectorIndexStats stats, store->stats(ctx, collection.active_index));
      vectors += stats.rows;
    }
    return {};
  };
  if (const Status opened = open(); !opened.ok()) return out.problem("stores", opened.error());
  out.ok("stores",
         "database and indexes open: " + cli::counted(collections, "collection", "collections") +
             ", " + cli::counted(vectors, "vector", "vectors"));
}

void check_models(Findings& out, const Settings& settings) {
  ModelStore models(settings, 1);
  const auto listed = models.list();
  if (!listed.ok()) return out.problem("models", listed.error());
  std::string names;
  bool has_default = false;
  for (const auto& model : *listed) {
    if (!model.problem.empty()) {
      out.problem("models", model.name + ": " + model.problem,
                  "Fetch the model again: ./run does it.");
      continue;
    }
    names += (names.empty() ? "" : ", ") + model.name + " " + model.version +
             (model.is_default ? " (default)" : "");
    has_default = has_default || model.is_default;
  }
  if (!has_default) {
    return out.problem("models", "the default model " + settings.model.name + " is not installed",
                       "Run ./run, or name another with model.name.");
  }
  out.ok("models", names);
}

void check_page(Findings& out) {
  std::error_code error;
  const auto page = share_folder() / "web" / "index.html";
  if (std::filesystem::exists(page, error)) return out.ok("page", page.parent_path().native());
  out.note("page", "the web page is not at " + page.parent_path().native(),
           "similis serve answers the API only. ./run builds the page.");
}

}  // namespace

Result<Json> examine(const Settings& settings, const std::stop_token& stop) {
  Findings out;
  check_processor(out);
  check_memory(out, settings);
  check_disk(out, settings);
  check_reading(out, settings);
  check_queue(out);
  check_stores(out, settings);
  if (stop.stop_requested()) return Error(ErrorCode::cancelled, "interrupted");
  check_decoding(out, settings);
  check_models(out, settings);
  check_page(out);
  return out.take();
}

}  // namespace similis
