#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/job.h"
#include "services/failure_log.h"
#include "services/job_lease.h"
#include "services/job_service.h"
#include "services/ports.h"
#include "services/root_locks.h"

namespace similis {

class BuildJob;

/// Works on queued jobs one after another. A build that watches its folder gets a thread of its own
/// once its first scan is done, so that others have their turn.
class JobRunner {
 public:
  explicit JobRunner(const Ports& ports);
  ~JobRunner();

  /// Until `stop`; then the job at work goes back to the queue.
  void run(const std::stop_token& stop, JobScope scope);
  /// The job was asked for here, which is what counts when not all are worked on. Pokes.
  void want(JobId id);
  /// There may be a new job, or a row has changed.
  void poke();
  /// Waits until a job row may have changed since `seen` (see changes()), at most until `until`.
  void wait_for_change(std::uint64_t seen, Context::Clock::time_point until) const;
  [[nodiscard]] std::uint64_t changes() const;

  /// The row of a job that has ended here while the database would not take it.
  [[nodiscard]] std::optional<Job> unwritten(JobId id) const;
  /// What failed so far in an import or export that this process works or worked on; null for any
  /// other job.
  [[nodiscard]] std::shared_ptr<const FailureLog> failures(JobId id) const;
  /// While it is held no archive that was sent is dropped: between keeping one and making its job.
  [[nodiscard]] std::unique_lock<std::mutex> hold_kept_archives() {
    return std::unique_lock(kept_archives_);
  }
  /// What a verify job of this process found.
  [[nodiscard]] std::optional<std::vector<std::string>> findings(JobId id) const;

 private:
  struct Work;

  std::optional<Job> claim_next();
  Result<std::optional<Job>> try_claim(const Job& job);
  void execute(const Job& claimed, const std::stop_token& stop);
  Status work_on(Work& work);
  Status build(Work& work);
  Status leave_optimized(Work& work);
  Status verify(Work& work);
  Status move_archive(Work& work);
  Status follow(Work& work);
  void follow(std::unique_ptr<Work> work);
  void finish(Work& work, const Status& status);
  void sweep_when_idle(const std::stop_token& stop);
  Status sweep_if_due(const Context& ctx, std::optional<std::vector<CollectionId>>& before);
  [[nodiscard]] bool is_quiet() const;
  void note_change();
  void join_followers(bool all);

  const Ports& ports_;
  const std::string owner_;
  RootLocks locks_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::uint64_t changes_ = 0;
  bool poked_ = false;
  JobScope scope_ = JobScope::all;
  std::set<JobId> wanted_;
  std::stop_token stop_;
  std::map<JobId, JobLease*> leases_;
  std::map<JobId, Job> unwritten_;
  std::map<JobId, std::vector<std::string>> findings_;
  std::map<JobId, std::shared_ptr<FailureLog>> failures_;

  std::mutex kept_archives_;

  struct Follower {
    std::jthread thread;
    std::shared_ptr<std::atomic<bool>> ended;
  };
  std::list<Follower> followers_;  // of the thread in run()
};

}  // namespace similis
