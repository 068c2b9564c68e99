#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "worker/protocol.h"

namespace similis {

/// One worker process and what connects it with the pool. Not thread-safe: whoever holds it, alone
/// uses it.
class WorkerProcess {
 public:
  /// Starts `program`. The calling thread must live as long as the worker shall: the kernel ends
  /// the worker with it (PR_SET_PDEATHSIG looks at the thread, not the process).
  static Result<std::unique_ptr<WorkerProcess>> spawn(const std::filesystem::path& program,
                                                      std::uint64_t memory_bytes_max);
  /// Kills and reaps it, if end() did not.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int socket() const { return socket_.fd(); }
  [[nodiscard]] std::span<const std::byte> arena() const { return arena_; }

  /// False when the worker is gone.
  bool send_job(std::string_view message, int file_fd);
  /// One message that poll() announced. Empty when the worker is gone.
  std::string receive();

  /// A worker that sees this leaves by itself.
  void hang_up() { socket_.reset(); }
  /// Hangs up, waits a moment for the worker to leave by itself when `gently`, else or then kills
  /// it; reaps it. The wait status (0 when it could not be had).
  int end(bool gently);
  /// What it wrote to stderr before it was ready, in one line: the dynamic loader's complaint, for
  /// example.
  [[nodiscard]] std::string complaint() const;

  /// Set by the pool from the greeting.
  bool ready = false;
  std::uint64_t anonymous_bytes_at_rest = 0;

 private:
  WorkerProcess() = default;

  pid_t pid_ = -1;
  File socket_;
  File complaint_;
  std::span<std::byte> arena_;
};

}  // namespace similis
