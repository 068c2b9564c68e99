#include <algorithm>

#include "stores/metadata/sql/collection_change.h"
#include "stores/metadata/sql/sql_metadata_store.h"

namespace similis::sql {
namespace {

/// What the column `scanning` holds besides 0.
constexpr Int kScanning = 1, kFollowing = 2, kOptimizing = 3;

Int stage_of(const JobCounters& counters) {
  return counters.scanning     ? kScanning
         : counters.optimizing ? kOptimizing
         : counters.following  ? kFollowing
                               : 0;
}

Job to_job(Connection& c, const JobRecord& record) {
  Job out;
  out.id = record.id;
  out.kind = to_enum<JobKind>(record.kind, 5, "job's kind");
  out.collection = record.collection_id;
  out.collection_name = load_collection(c, record.collection_id).name;
  out.root = record.root;
  out.options = {record.hidden != 0, record.retry_failed != 0, record.watch != 0};
  out.state = to_enum<JobState>(record.state, 6, "job's state");
  out.counters.found = record.found;
  out.counters.scanning = record.scanning == kScanning;
  out.counters.optimizing = record.scanning == kOptimizing;
  out.counters.following = record.scanning == kFollowing;
  out.counters.unchanged = record.unchanged;
  out.counters.ready = record.ready;
  out.counters.moved = record.moved;
  out.counters.removed = record.removed;
  out.counters.failed = record.failed;
  out.counters.skipped = record.skipped;
  out.version = record.version;
  out.owner = record.owner;
  out.lease_until = record.lease_until;
  out.created_at = record.created_at;
  out.started_at = record.started_at;
  out.finished_at = record.finished_at;
  out.worked_s = record.worked_s;
  out.error_code = record.error_code;
  out.error = record.error;
  out.error_hint = record.error_hint;
  return out;
}

void set_options(JobRecord& record, const BuildOptions& options) {
  record.hidden = options.hidden;
  record.retry_failed = options.retry_failed;
  record.watch = options.watch;
}

void set_counters(JobRecord& record, const JobCounters& counters) {
  record.found = counters.found;
  record.scanning = stage_of(counters);
  record.unchanged = counters.unchanged;
  record.ready = counters.ready;
  record.moved = counters.moved;
  record.removed = counters.removed;
  record.failed = counters.failed;
  record.skipped = counters.skipped;
}

JobState state_of(const JobRecord& record) {
  return to_enum<JobState>(record.state, 6, "job's state");
}

std::string_view state_word(JobState state) {
  switch (state) {
    case JobState::queued:
      return "queued";
    case JobState::running:
      return "running";
    case JobState::paused:
      return "paused";
    case JobState::cancelled:
      return "cancelled";
    case JobState::failed:
      return "failed";
    case JobState::done:
      break;
  }
  return "done";
}

void release(JobRecord& record) {
  record.owner.clear();
  record.lease_until = 0;
}

/// Finished jobs are history: what nobody lists any more goes.
void prune_finished(Connection& c) {
  constexpr std::size_t kFinishedKept = 1000;
  c.run<>(
      "DELETE FROM job WHERE state IN (:cancelled, :failed, :done) AND owner = '' AND id <="
      " (SELECT id FROM (SELECT id FROM job WHERE state IN (:cancelled2, :failed2, :done2)"
      " ORDER BY id DESC LIMIT 1 OFFSET :kept) AS old)",
      JobState::cancelled, JobState::failed, JobState::done, JobState::cancelled, JobState::failed,
      JobState::done, kFinishedKept);
}

JobRecord load_job(Connection& c, JobId id) {
  auto record = load<JobRecord>(c, id);
  if (!record) fail(ErrorCode::not_found, "there is no job " + std::to_string(id));
  return std::move(*record);
}

/// Writes the row as its next version.
Job save(Connection& c, JobRecord& record) {
  ++record.version;
  update(c, record);
  return to_job(c, record);
}

}  // namespace

Result<MetadataStore::NewJob> SqlMetadataStore::create_job(const Context& ctx, JobKind kind,
                                                           CollectionId id, std::string_view root,
                                                           const BuildOptions& options) {
  return db_->write(ctx, [&](Connection& c) {
    load_collection(c, id);
    static const std::string text =
        "SELECT " + column_list<JobRecord>() +
        " FROM job WHERE collection_id = :collection AND state IN (:queued, :running, :paused)"
        " AND kind = :kind AND root = :root ORDER BY id";
    auto& statement = ColumnsOf<JobRecord>::select(c, text, id, JobState::queued, JobState::running,
                                                   JobState::paused, kind, root);
    if (statement.one()) {
      auto record = unpack<JobRecord>(statement);
      BuildOptions joined = options;
      // A folder that is being followed goes on being followed; one that was put to rest is asked
      // for anew.
      if (state_of(record) != JobState::paused) joined.watch = joined.watch || record.watch != 0;
      set_options(record, joined);
      if (record.scanning == kFollowing) record.scanning = kScanning;
      return NewJob{save(c, record), true};
    }
    JobRecord record;
    record.id = take_id(c, "job");
    record.kind = static_cast<Int>(kind);
    record.collection_id = id;
    record.root = root;
    set_options(record, options);
    record.state = static_cast<Int>(JobState::queued);
    record.version = 1;
    record.created_at = now_s();
    insert(c, record);
    prune_finished(c);
    return NewJob{to_job(c, record), false};
  });
}

Result<Job> SqlMetadataStore::get_job(const Context& ctx, JobId id) {
  return db_->read(ctx, [&](Connection& c) { return to_job(c, load_job(c, id)); });
}

Result<std::vector<Job>> SqlMetadataStore::list_jobs(const Context& ctx, std::size_t limit) {
  return db_->read(ctx, [&](Connection& c) {
    static const std::string text =
        "SELECT " + column_list<JobRecord>() + " FROM job ORDER BY id DESC LIMIT :limit";
    std::vector<JobRecord> records;
    auto& statement = ColumnsOf<JobRecord>::select(c, text, limit);
    while (statement.next()) records.push_back(unpack<JobRecord>(statement));
    std::vector<Job> out;
    for (const auto& record : records) out.push_back(to_job(c, record));
    return out;
  });
}

Result<std::vector<Job>> SqlMetadataStore::unfinished_jobs(const Context& ctx, CollectionId id) {
  return db_->read(ctx, [&](Connection& c) {
    static const std::string text = "SELECT " + column_list<JobRecord>() +
                                    " FROM job WHERE state IN (:queued, :running, :paused)"
                                    " AND (:all = 0 OR collection_id = :collection) ORDER BY id";
    std::vector<JobRecord> records;
    auto& statement = ColumnsOf<JobRecord>::select(c, text, JobState::queued, JobState::running,
                                                   JobState::paused, id, id);
    while (statement.next()) records.push_back(unpack<JobRecord>(statement));
    std::vector<Job> out;
    for (const auto& record : records) out.push_back(to_job(c, record));
    return out;
  });
}

Result<Job> SqlMetadataStore::claim_job(const Context& ctx, JobId id, std::string_view owner,
                                        std::int64_t lease_s) {
  if (owner.empty()) return Error(ErrorCode::invalid_argument, "a job's owner needs a name");
  return db_->write(ctx, [&](Connection& c) {
    auto record = load_job(c, id);
    const JobState state = state_of(record);
    if (state != JobState::queued && state != JobState::running) {
      fail(ErrorCode::conflict,
           "job " + std::to_string(id) + " is " + std::string(state_word(state)));
    }
    const std::int64_t now = now_s();
    if (!record.owner.empty() && record.owner != owner && record.lease_until > now) {
      fail(ErrorCode::conflict, "job " + std::to_string(id) + " is worked on by " + record.owner);
    }
    record.state = static_cast<Int>(JobState::running);
    record.owner = owner;
    record.lease_until = now + lease_s;
    record.scanning = 0;
    if (record.started_at == 0) record.started_at = now;
    return save(c, record);
  });
}

Result<Job> SqlMetadataStore::update_job(const Context& ctx, JobId id, std::string_view owner,
                                         const JobUpdate& update, std::int64_t lease_s) {
  return db_->write(ctx, [&](Connection& c) {
    auto record = load_job(c, id);
    if (record.owner != owner) {
      fail(ErrorCode::conflict,
           "job " + std::to_string(id) + " is " +
               (record.owner.empty() ? "nobody's" : "worked on by " + record.owner) + " now");
    }
    const std::int64_t now = now_s();
    // What others asked for since the last report holds against what the owner reports.
    const bool asked = state_of(record) != JobState::running;
    const JobState state = asked ? state_of(record) : update.state;
    record.state = static_cast<Int>(state);
    set_counters(record, update.counters);
    if (record.scanning == kFollowing && update.known_version != record.version) {
      record.scanning = kScanning;
    }
    record.worked_s = update.worked_s;
    if (update.error) {
      record.error_code = error_code_name(update.error->code);
      record.error = update.error->message;
      record.error_hint = update.error->hint;
    }
    if (state == JobState::running) {
      record.lease_until = now + lease_s;
    } else {
      release(record);
    }
    if (is_finished(state) && record.finished_at == 0) record.finished_at = now;
    return save(c, record);
  });
}

Result<Job> SqlMetadataStore::set_job_state(const Context& ctx, JobId id, JobState state) {
  if (state != JobState::paused && state != JobState::queued && state != JobState::cancelled) {
    return Error(ErrorCode::invalid_argument,
                 "a job can be paused, resumed or cancelled; the rest is its owner's to say");
  }
  return db_->write(ctx, [&](Connection& c) {
    auto record = load_job(c, id);
    const JobState before = state_of(record);
    // A command whose aim is reached changes nothing: pressing the button twice is no error.
    if (before == state || (state == JobState::queued && before == JobState::running)) {
      return to_job(c, record);
    }
    if (is_finished(before)) {
      fail(ErrorCode::conflict,
           "job " + std::to_string(id) + " is " + std::string(state_word(before)) + " already",
           "Start the same work again as a new job.");
    }
    record.state = static_cast<Int>(state);
    if (is_finished(state)) record.finished_at = now_s();
    return save(c, record);
  });
}

}  // namespace similis::sql
