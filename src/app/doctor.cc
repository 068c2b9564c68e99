#include "app/doctor.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "app/data_directory.h"
#include "app/model_store.h"
#include "app/places.h"
#include "app/workers.h"
#include "base/file.h"
#include "cli/text.h"
#include "config/machine.h"
#include "config/resource_plan.h"
#include "worker/decoder.h"

namespace similis {
namespace {

using cli::bytes_text;

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

void check_data_directory(Findings& out, const Settings& settings) {
  std::error_code error;
  if (!std::filesystem::exists(settings.data_dir / "similis.db", error)) {
    return out.ok("data", settings.data_dir.native() + ", nothing indexed yet");
  }
  if (const auto pid = lock_holder(settings.data_dir)) {
    return out.ok("data",
                  settings.data_dir.native() + ", in use by process " + std::to_string(*pid));
  }
  out.ok("data", settings.data_dir.native());
}

/// The smallest picture of each format that can be made by hand: a worker that decodes the BMP
/// lives in its sandbox.
void check_worker(Findings& out, const Settings& settings) {
  const auto workers = start_single_worker(settings);
  if (!workers.ok()) return out.problem("decoder", workers.error());
  // 1 x 1, 24 bits.
  constexpr unsigned char kBmp[] = {'B', 'M', 58, 0, 0, 0, 0, 0, 0,  0,  54, 0, 0,  0,  40,
                                    0,   0,   0,  1, 0, 0, 0, 1, 0,  0,  0,  1, 0,  24, 0,
                                    0,   0,   0,  0, 4, 0, 0, 0, 19, 11, 0,  0, 19, 11, 0,
                                    0,   0,   0,  0, 0, 0, 0, 0, 0,  1,  2,  3, 0};
  DecodeJob job;
  job.source = std::as_bytes(std::span(kBmp));
  job.request.tensors = {Preprocess{}};
  auto outcome = (*workers)->decode(Context{}.with_timeout(std::chrono::seconds(30)), job);
  if (!outcome.ok()) return out.problem("decoder", outcome.error());
  const auto picture = picture_or_error(*std::move(outcome));
  if (!picture.ok()) return out.problem("decoder", picture.error());
  out.ok("decoder", "workers decode JPEG, PNG, WebP, GIF, TIFF, HEIC, AVIF, JXL and BMP");
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
  check_data_directory(out, settings);
  if (stop.stop_requested()) return Error(ErrorCode::cancelled, "interrupted");
  check_worker(out, settings);
  check_models(out, settings);
  check_page(out);
  return out.take();
}

}  // namespace similis
