#include "services/job_runner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>

#include "base/log.h"
#include "services/build_job.h"
#include "services/export_job.h"
#include "services/import_job.h"
#include "services/index_targets.h"
#include "services/job_owner.h"
#include "services/kept_archives.h"
#include "services/orphans.h"
#include "services/recovery.h"
#include "services/verify_job.h"

namespace similis {

namespace {

constexpr std::chrono::seconds kQueueLook{1};
/// Jobs whose failures are remembered in words.
constexpr std::size_t kFailureLogsKept = 16;

UnixSeconds unix_now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

/// A job at work.
struct JobRunner::Work {
  Work(const Ports& ports, const std::string& owner, const Job& claimed,
       std::function<void(const Job&)> on_report)
      : lease(ports, owner, claimed, counters, std::move(on_report)) {}

  IngestCounters counters;
  JobLease lease;
  std::unique_ptr<BuildJob> build;
};

JobRunner::JobRunner(const Ports& ports)
    : ports_(ports), owner_(ports.limits.owner.empty() ? own_job_owner() : ports.limits.owner) {}

JobRunner::~JobRunner() = default;

void JobRunner::run(const std::stop_token& stop, JobScope scope) {
  {
    std::lock_guard lock(mutex_);
    scope_ = scope;
    stop_ = stop;
  }
  const std::stop_callback wake(stop, [this] { poke(); });
  Context ctx;
  ctx.cancel = stop;
  if (const Status dropped = drop_orphaned_indexes(ctx, ports_);
      !dropped.ok() && !stop.stop_requested()) {
    log(LogLevel::warning, "leftover indexes were not dropped: " + dropped.error().message);
  }
  if (const Status status = recover_rows(ctx, ports_); !status.ok() && !stop.stop_requested()) {
    log(LogLevel::warning, "what an earlier run left is not finished: " + status.error().message);
  }
  std::jthread sweeper([&](const std::stop_token& end) { sweep_when_idle(end); });
  while (!stop.stop_requested()) {
    join_followers(false);
    if (auto job = claim_next()) {
      execute(*std::move(job), stop);
      continue;
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, kQueueLook, [&] { return poked_; });
    poked_ = false;
  }
  join_followers(true);
}

void JobRunner::want(JobId id) {
  {
    std::lock_guard lock(mutex_);
    wanted_.insert(id);
  }
  poke();
}

void JobRunner::poke() {
  std::lock_guard lock(mutex_);
  poked_ = true;
  ++changes_;
  for (const auto& [id, lease] : leases_) lease->poke();
  changed_.notify_all();
}

void JobRunner::wait_for_change(std::uint64_t seen, Context::Clock::time_point until) const {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [&] { return changes_ != seen; });
}

std::uint64_t JobRunner::changes() const {
  std::lock_guard lock(mutex_);
  return changes_;
}

std::optional<Job> JobRunner::unwritten(JobId id) const {
  std::lock_guard lock(mutex_);
  const auto it = unwritten_.find(id);
  return it == unwritten_.end() ? std::nullopt : std::optional(it->second);
}

std::shared_ptr<const FailureLog> JobRunner::failures(JobId id) const {
  std::lock_guard lock(mutex_);
  const auto it = failures_.find(id);
  return it == failures_.end() ? nullptr : it->second;
}

std::optional<std::vector<std::string>> JobRunner::findings(JobId id) const {
  std::lock_guard lock(mutex_);
  const auto it = findings_.find(id);
  return it == findings_.end() ? std::nullopt : std::optional(it->second);
}

/// The oldest job that waits, or whose owner has died.
std::optional<Job> JobRunner::claim_next() {
  auto jobs = ports_.metadata.unfinished_jobs(Context{}, 0);
  if (!jobs.ok()) {
    log(LogLevel::error, "jobs cannot be read: " + jobs.error().message);
    return std::nullopt;
  }
  for (const Job& job : *jobs) {
    auto claimed = try_claim(job);
    if (!claimed.ok()) {
      // Somebody else was quicker.
      if (claimed.error().code == ErrorCode::conflict) continue;
      log(LogLevel::error,
          "job " + std::to_string(job.id) + " cannot be taken up: " + claimed.error().message);
      return std::nullopt;
    }
    if (claimed->has_value()) return std::move(claimed).value();
  }
  return std::nullopt;
}

Result<std::optional<Job>> JobRunner::try_claim(const Job& job) {
  if (job.state != JobState::running && job.state != JobState::queued) return std::optional<Job>();
  {
    std::lock_guard lock(mutex_);
    if (leases_.contains(job.id)) return std::optional<Job>();
  }
  const Context ctx;
  // A name of our own that is not at work here: its end could not be written.
  if (!job.owner.empty() && (job.owner == owner_ || job_owner_is_dead(job.owner))) {
    // Reported for the dead, so that its lease need not run out first.
    const JobUpdate given_back{JobState::queued, job.counters, job.worked_s, std::nullopt};
    TRY(ports_.metadata.update_job(ctx, job.id, job.owner, given_back, ports_.limits.lease_s));
  } else if (job.state == JobState::running && job.lease_until >= unix_now_s()) {
    return std::optional<Job>();
  }
  {
    std::lock_guard lock(mutex_);
    if (scope_ == JobScope::asked_here && !wanted_.contains(job.id)) return std::optional<Job>();
  }
  ASSIGN_OR_RETURN(Job claimed,
                   ports_.metadata.claim_job(ctx, job.id, owner_, ports_.limits.lease_s));
  return std::optional<Job>(std::move(claimed));
}

void JobRunner::execute(const Job& claimed, const std::stop_token& stop) {
  auto work =
      std::make_unique<Work>(ports_, owner_, claimed, [this](const Job&) { note_change(); });
  {
    std::lock_guard lock(mutex_);
    leases_[claimed.id] = &work->lease;
    unwritten_.erase(claimed.id);
  }
  Status status;
  {
    const std::stop_callback end(stop, [&] { work->lease.stop(); });
    try {
      status = work_on(*work);
    } catch (const std::bad_alloc&) {
      status = Error(ErrorCode::resource_exhausted, "there was not enough memory for the job",
                     "Free some, or lower memory.max, and start it again.");
    }
  }
  if (status.ok() && work->build && work->lease.job().options.watch) {
    follow(std::move(work));
    return;
  }
  finish(*work, status);
}

Status JobRunner::work_on(Work& work) {
  switch (work.lease.job().kind) {
    case JobKind::build:
      return build(work);
    case JobKind::verify:
      return verify(work);
    case JobKind::import_archive:
    case JobKind::export_archive:
    case JobKind::export_tables:
      return move_archive(work);
  }
  return Error(ErrorCode::internal, "a job of an unknown kind");
}

Status JobRunner::build(Work& work) {
  const Context ctx = work.lease.context();
  for (;;) {
    work.lease.take_asked_again();
    const Job job = work.lease.job();
    work.build = std::make_unique<BuildJob>(ports_, locks_, job.collection, job.root, job.options,
                                            work.counters);
    TRY(work.build->scan(ctx));
    if (!job.options.watch) TRY(leave_optimized(work));
    // Asked for again while it was at work?
    const bool again = work.lease.look_whether_asked_again();
    if (!again || work.lease.job().state != JobState::running) return {};
    work.counters.reset();
    work.lease.poke();
  }
}

/// In a process that ends with its job nothing keeps an index in shape later.
Status JobRunner::leave_optimized(Work& work) {
  {
    std::lock_guard lock(mutex_);
    if (scope_ != JobScope::asked_here) return {};
  }
  return optimize_indexes(work.lease.context(), ports_, work.lease.job().collection, work.counters);
}

Status JobRunner::verify(Work& work) {
  const Context ctx = work.lease.context();
  const Job job = work.lease.job();
  ASSIGN_OR_RETURN(const Collection collection,
                   ports_.metadata.get_collection(ctx, job.collection));
  ASSIGN_OR_RETURN(auto found, run_verify(ctx, ports_, collection, work.counters));
  std::lock_guard lock(mutex_);
  findings_[job.id] = std::move(found);
  return {};
}

/// Pictures in from an archive, or out to one.
Status JobRunner::move_archive(Work& work) {
  const Context ctx = work.lease.context();
  const Job job = work.lease.job();
  ASSIGN_OR_RETURN(const Collection collection,
                   ports_.metadata.get_collection(ctx, job.collection));
  const auto failures = std::make_shared<FailureLog>();
  {
    std::lock_guard lock(mutex_);
    failures_[job.id] = failures;
    // Ids count up: the oldest go.
    while (failures_.size() > kFailureLogsKept) failures_.erase(failures_.begin());
  }
  if (job.kind == JobKind::import_archive) {
    TRY(run_import(ctx, ports_, collection, job.root, work.counters, *failures));
    return leave_optimized(work);
  }
  return run_export(ctx, ports_, collection, job, work.counters, *failures);
}

/// Follows the folder, and looks through it again whenever that is asked for.
Status JobRunner::follow(Work& work) {
  const Context ctx = work.lease.context();
  for (;;) {
    TRY(work.build->follow(ctx, [&] { return work.lease.is_asked_again(); }));
    if (!work.lease.job().options.watch) return {};
    work.counters.reset();
    TRY(build(work));
  }
}

/// Lends the job a thread that follows its folder.
void JobRunner::follow(std::unique_ptr<Work> work) {
  auto ended = std::make_shared<std::atomic<bool>>(false);
  followers_.push_back(
      {std::jthread([this, ended, work = std::move(work)](const std::stop_token& own) {
         std::stop_token stop;
         {
           std::lock_guard lock(mutex_);
           stop = stop_;
         }
         Status status;
         {
           const std::stop_callback end(stop, [&] { work->lease.stop(); });
           const std::stop_callback destroyed(own, [&] { work->lease.stop(); });
           status = follow(*work);
         }
         finish(*work, status);
         *ended = true;
       }),
       ended});
}

/// The job's last report. A database that does not take it (a full disk) is asked again until it
/// does or the process ends; meanwhile the job shows as failed all the same.
void JobRunner::finish(Work& work, const Status& status) {
  std::stop_token stop;
  {
    std::lock_guard lock(mutex_);
    stop = stop_;
  }
  Job job = work.lease.job();
  std::optional<Error> error;
  JobState state = JobState::done;
  if (!status.ok() && work.lease.is_taken_away()) {
    state = job.state;  // somebody else's decision stands
  } else if (!status.ok() && stop.stop_requested()) {
    state = JobState::queued;
  } else if (!status.ok()) {
    state = JobState::failed;
    error = status.error();
    log(LogLevel::error, "job " + std::to_string(job.id) + " failed: " + error->message);
  }
  for (;;) {
    const Status written = work.lease.finish(state, error);
    if (written.ok()) break;
    log(LogLevel::error, "job " + std::to_string(job.id) +
                             ": its end cannot be written: " + written.error().message);
    const Error& shown = error ? *error : written.error();
    job.state = JobState::failed;
    job.version += 1;
    job.error_code = error_code_name(shown.code);
    job.error = shown.message;
    job.error_hint = shown.hint;
    std::unique_lock lock(mutex_);
    unwritten_[job.id] = job;
    ++changes_;
    changed_.notify_all();
    changed_.wait_for(lock, stop, kQueueLook, [] { return false; });
    if (stop.stop_requested()) break;
  }
  {
    std::lock_guard lock(mutex_);
    leases_.erase(job.id);
    if (!stop.stop_requested()) unwritten_.erase(job.id);
  }
  if (job.kind == JobKind::import_archive) {
    std::lock_guard lock(kept_archives_);
    if (const Status dropped = drop_kept_archive(ports_, job.root); !dropped.ok()) {
      log(LogLevel::warning, "an imported archive is kept for now: " + dropped.error().message);
    }
  }
  note_change();
}

/// Blobs and thumbnails that no row holds: looking for them reads every name, so it waits for a
/// quiet moment, once after the start and after each time a collection has gone.
void JobRunner::sweep_when_idle(const std::stop_token& stop) {
  const std::chrono::milliseconds patience(ports_.limits.sweep_idle_ms);
  const auto look_every = std::min<std::chrono::milliseconds>(kQueueLook, patience);
  std::optional<std::vector<CollectionId>> before;
  auto idle_since = Context::Clock::now();
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, look_every, [] { return false; });
      if (!is_quiet()) idle_since = Context::Clock::now();
    }
    if (stop.stop_requested() || Context::Clock::now() - idle_since < patience) continue;
    Context ctx;
    ctx.cancel = stop;
    const Status swept = sweep_if_due(ctx, before);
    if (!swept.ok() && !stop.stop_requested()) {
      log(LogLevel::warning, "leftover thumbnails were not swept: " + swept.error().message);
    }
    idle_since = Context::Clock::now();
  }
}

/// `before`: the collections there were at the last sweep; nullopt: none has been.
Status JobRunner::sweep_if_due(const Context& ctx,
                               std::optional<std::vector<CollectionId>>& before) {
  ASSIGN_OR_RETURN(const auto collections, ports_.metadata.list_collections(ctx));
  std::vector<CollectionId> now;
  for (const Collection& collection : collections) now.push_back(collection.id);
  std::sort(now.begin(), now.end());
  const bool is_due =
      !before || !std::includes(now.begin(), now.end(), before->begin(), before->end());
  {
    std::lock_guard lock(kept_archives_);
    TRY(sweep_kept_archives(ctx, ports_));
  }
  if (is_due) TRY(sweep_orphans(ctx, ports_));
  before = std::move(now);
  return {};
}

/// Whether no job has work to do; with the mutex held.
bool JobRunner::is_quiet() const {
  return std::all_of(leases_.begin(), leases_.end(),
                     [](const auto& entry) { return entry.second->is_following(); });
}

void JobRunner::note_change() {
  std::lock_guard lock(mutex_);
  ++changes_;
  changed_.notify_all();
}

void JobRunner::join_followers(bool all) {
  for (auto it = followers_.begin(); it != followers_.end();) {
    it = all || *it->ended ? followers_.erase(it) : std::next(it);  // joins
  }
}

}  // namespace similis
