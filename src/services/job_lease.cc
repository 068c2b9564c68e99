#include "services/job_lease.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"

namespace similis {

namespace {
constexpr std::chrono::milliseconds kTick{500};
}  // namespace

JobLease::JobLease(const Ports& ports, std::string owner, Job claimed,
                   const IngestCounters& counters, std::function<void(const Job&)> on_report)
    : ports_(ports),
      owner_(std::move(owner)),
      claimed_(std::move(claimed)),
      counters_(counters),
      on_report_(std::move(on_report)),
      begun_(Context::Clock::now()),
      row_(claimed_),
      written_(claimed_.counters),
      written_at_(begun_) {
  on_report_(claimed_);
  thread_ = std::jthread([this](const std::stop_token& stop) { loop(stop); });
}

JobLease::~JobLease() = default;

Context JobLease::context() const {
  Context ctx;
  ctx.cancel = stop_.get_token();
  return ctx;
}

void JobLease::poke() {
  std::lock_guard lock(mutex_);
  poked_ = true;
  wake_.notify_all();
}

Job JobLease::job() const {
  std::lock_guard lock(mutex_);
  return row_;
}

bool JobLease::is_taken_away() const {
  std::lock_guard lock(mutex_);
  return taken_away_;
}

Status JobLease::finish(JobState state, const std::optional<Error>& error) {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
  auto status = report(state, error);
  // Whoever has it now answers for it; it may be gone with its collection.
  if (!status.ok() &&
      (status.error().code == ErrorCode::conflict || status.error().code == ErrorCode::not_found)) {
    return {};
  }
  return status;
}

JobCounters JobLease::counters() const {
  const JobCounters now = counters_.snapshot();
  // An export begins anew; all other work finds what was done before.
  const bool begins_anew =
      claimed_.kind == JobKind::export_archive || claimed_.kind == JobKind::export_tables;
  return begins_anew ? now : merge(claimed_.counters, now);
}

JobCounters JobLease::merge(const JobCounters& before, const JobCounters& now) {
  JobCounters out = now;
  out.ready += before.ready;
  out.moved += before.moved;
  out.removed += before.removed;
  out.unchanged = std::max<std::int64_t>(0, now.unchanged - before.ready - before.moved);
  out.found = std::max(now.found, out.done());
  return out;
}

void JobLease::loop(const std::stop_token& stop) {
  const auto lease_third =
      std::chrono::seconds(std::max<std::int64_t>(1, ports_.limits.lease_s)) / 3;
  for (;;) {
    bool was_poked = false;
    {
      std::unique_lock lock(mutex_);
      was_poked = wake_.wait_for(lock, stop, kTick, [&] { return poked_; });
      poked_ = false;
    }
    if (stop.stop_requested()) return;
    const auto now = Context::Clock::now();
    const bool due = now - written_at_ >= lease_third || counters() != written_;
    // A poke says that the row has changed, not that there is something to write.
    const auto status = due && !was_poked ? report(JobState::running, std::nullopt) : look();
    if (status.ok()) continue;
    if (status.error().code == ErrorCode::conflict || status.error().code == ErrorCode::not_found) {
      lose(status.error().message);
    } else if (now - written_at_ > 3 * lease_third) {
      lose("its lease could not be renewed: " + status.error().message);
    }
  }
}

Status JobLease::report(JobState state, const std::optional<Error>& error) {
  const std::lock_guard row_lock(row_mutex_);
  JobUpdate update;
  update.state = state;
  // In this order: whoever takes the asking up has stopped following before.
  const bool asked_again = asked_again_;
  update.counters = counters();
  if (asked_again || state != JobState::running) update.counters.following = false;
  update.known_version = job().version;
  update.worked_s =
      claimed_.worked_s + std::chrono::duration<double>(Context::Clock::now() - begun_).count();
  update.error = error;
  // The row must be written even when the work was cancelled.
  ASSIGN_OR_RETURN(const Job row, ports_.metadata.update_job(Context{}, claimed_.id, owner_, update,
                                                             ports_.limits.lease_s));
  written_at_ = Context::Clock::now();
  take(row, true);
  return {};
}

bool JobLease::look_whether_asked_again() {
  (void)look();  // the thread of the lease sees to errors
  return asked_again_;
}

Status JobLease::look() {
  const std::lock_guard row_lock(row_mutex_);
  ASSIGN_OR_RETURN(const Job row, ports_.metadata.get_job(Context{}, claimed_.id));
  if (row.state == JobState::running && row.owner != owner_) {
    return Error(ErrorCode::conflict,
                 "job " + std::to_string(row.id) + " is now worked on by " + row.owner);
  }
  take(row, false);
  return {};
}

void JobLease::take(const Job& row, bool is_own) {
  {
    std::lock_guard lock(mutex_);
    // Nobody but the owner and who gives it orders writes the row.
    const std::int64_t expected = row_.version + (is_own ? 1 : 0);
    if (row.version != expected && row.state == JobState::running) asked_again_ = true;
    row_ = row;
    written_ = row.counters;
    const bool decided_elsewhere = row.state == JobState::paused ||
                                   row.state == JobState::cancelled ||
                                   row.state == JobState::queued;
    if (decided_elsewhere && !stop_.stop_requested()) taken_away_ = true;
  }
  if (row.state != JobState::running) stop_.request_stop();
  on_report_(row);
}

void JobLease::lose(const std::string& why) {
  log(LogLevel::warning, "job " + std::to_string(claimed_.id) + " is given up: " + why);
  {
    std::lock_guard lock(mutex_);
    taken_away_ = true;
  }
  stop_.request_stop();
}

}  // namespace similis
