#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "worker/decoder.h"

namespace similis {

struct WorkerPoolOptions {
  /// The worker program; see find_worker().
  std::filesystem::path worker;
  /// Processes at most, each with one thread; 0: one a core. They start when first needed.
  int workers = 0;
  DecodeLimits limits;
  /// `decode.time_max`: how long one picture may take.
  std::chrono::milliseconds picture_timeout{20'000};
  /// `decode.memory_max`: how much memory one picture may take.
  std::uint64_t memory_bytes_max = 1ull << 30;
};

/// Decodes in worker processes, so that a hostile file costs at most one failed outcome and a
/// restarted worker. Workers have limits on memory and time, no network, no files of their own
/// (seccomp, Landlock), and die with their parent. They take no part in ^C and SIGTERM: they end
/// when the pool does.
///
/// Threads: decode() from any thread; destroy the pool after the last call returned.
class WorkerPool final : public Decoder {
 public:
  struct Stats {
    int workers = 0;             // alive now
    std::uint64_t restarts = 0;  // after a crash, a hang or too much memory
    std::uint64_t decoded = 0;   // outcomes of any kind that came from a worker
    std::string
        missing_sandbox;  // what the kernel refused a worker, in words; "" when all is there
  };

  /// not_found or permission_denied when the worker program is not there. Starts the first worker
  /// in the background.
  static Result<std::unique_ptr<WorkerPool>> start(const WorkerPoolOptions& options);
  ~WorkerPool() override;

  Result<DecodeOutcome> decode(const Context& ctx, const DecodeJob& job) override;

  [[nodiscard]] Stats stats() const;
  [[nodiscard]] int workers_max() const;

 private:
  class Impl;
  explicit WorkerPool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Where the worker program is: beside the running program, else in ../libexec/similis/ of it.
/// not_found names both places.
Result<std::filesystem::path> find_worker();

}  // namespace similis
