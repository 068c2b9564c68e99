#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "core/context.h"
#include "core/job.h"
#include "services/ingest_counters.h"
#include "services/ports.h"

namespace similis {

/// Holds a claimed job while it is worked on: a thread of its own writes the counters (at most
/// twice a second, only when they changed), renews the lease, and sees when somebody pauses or
/// cancels the job or takes it away.
class JobLease {
 public:
  /// `on_report` is called with every version of the row that this lease writes or reads.
  JobLease(const Ports& ports, std::string owner, Job claimed, const IngestCounters& counters,
           std::function<void(const Job&)> on_report);
  ~JobLease();
  JobLease(const JobLease&) = delete;
  JobLease& operator=(const JobLease&) = delete;

  /// The work's context: cancelled when the job is not to go on.
  [[nodiscard]] Context context() const;
  /// Ends the work from this side.
  void stop() { stop_.request_stop(); }
  /// Looks at the row now.
  void poke();

  /// The row as last seen.
  [[nodiscard]] Job job() const;
  /// Somebody else decided what becomes of the job: paused, cancelled, queued again, or taken.
  [[nodiscard]] bool is_taken_away() const;

  /// Somebody has asked for the same work again since the last call, maybe with other options.
  [[nodiscard]] bool is_asked_again() const { return asked_again_; }
  /// The same by the row as it is now.
  [[nodiscard]] bool look_whether_asked_again();
  /// Ends the asking: the work begins anew from here.
  void take_asked_again() { asked_again_ = false; }
  [[nodiscard]] bool is_following() const { return counters_.following; }

  /// The last report: `state` unless somebody else decided. Stops the thread. An error when the row
  /// could not be written; it may be called again then.
  Status finish(JobState state, const std::optional<Error>& error);

  /// Counters as the job shows them: what earlier runs of the same job did comes in as `ready` and
  /// `moved`, and this run finds it unchanged.
  static JobCounters merge(const JobCounters& before, const JobCounters& now);

 private:
  [[nodiscard]] JobCounters counters() const;
  void loop(const std::stop_token& stop);
  Status report(JobState state, const std::optional<Error>& error);
  Status look();
  void take(const Job& row, bool is_own);
  void lose(const std::string& why);

  const Ports& ports_;
  const std::string owner_;
  const Job claimed_;
  const IngestCounters& counters_;
  const std::function<void(const Job&)> on_report_;
  const Context::Clock::time_point begun_;
  std::stop_source stop_;
  std::mutex row_mutex_;  // while the row is written or read, until it is taken; before mutex_
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  bool poked_ = false;
  bool taken_away_ = false;
  std::atomic<bool> asked_again_{false};
  Job row_;
  JobCounters written_;
  Context::Clock::time_point written_at_;
  std::jthread thread_;
};

}  // namespace similis
