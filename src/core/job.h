#pragma once

#include <cstdint>
#include <string>

#include "core/ids.h"

namespace similis {

enum class JobKind : std::uint8_t {
  build,  // from a folder
  verify,
  import_archive,  // from an archive of pictures, or an exported collection
  export_archive,  // to a tar file: pictures, what is known of them, embeddings
  export_tables,   // the same without the pictures' files
};
enum class JobState : std::uint8_t { queued, running, paused, cancelled, failed, done };

/// A finished job takes no further commands: the same work is a new job.
constexpr bool is_finished(JobState state) {
  return state == JobState::cancelled || state == JobState::failed || state == JobState::done;
}

struct JobCounters {
  std::int64_t found = 0;      // picture files to look at, as far as known
  bool scanning = false;       // `found` still grows
  bool optimizing = false;     // all is in; the index is being made quick to search
  bool following = false;      // up to date with its folder, and waiting for it to change
  std::int64_t unchanged = 0;  // known and the same
  std::int64_t ready = 0;      // newly indexed or re-indexed
  std::int64_t moved = 0;
  std::int64_t removed = 0;
  std::int64_t failed = 0;
  std::int64_t skipped = 0;  // files that are not pictures

  /// Files dealt with so far.
  [[nodiscard]] std::int64_t done() const { return unchanged + ready + moved + failed; }
  friend bool operator==(const JobCounters&, const JobCounters&) = default;
};

struct BuildOptions {
  bool hidden = false;        // also files and folders whose name begins with a dot
  bool retry_failed = false;  // also files that failed before and have not changed
  bool watch = false;         // stay and follow changes until paused or cancelled

  friend bool operator==(const BuildOptions&, const BuildOptions&) = default;
};

/// A job is a row: any process may show it, one owner at a time works on it under a lease.
struct Job {
  JobId id = 0;
  JobKind kind = JobKind::build;
  CollectionId collection = 0;
  std::string collection_name;
  std::string root;  // absolute path of the folder or archive, bytes; "" for jobs without one
  BuildOptions options;
  JobState state = JobState::queued;
  JobCounters counters;
  std::int64_t version = 0;  // rises with every change of the row: the event id
  std::string owner;         // "" when nobody works on it
  UnixSeconds lease_until = 0;
  UnixSeconds created_at = 0;
  UnixSeconds started_at = 0;  // 0: not yet
  UnixSeconds finished_at = 0;
  double worked_s = 0;  // time spent running, pauses left out: rate = (ready + failed) / worked_s
  std::string error_code;  // of a failed job
  std::string error;
  std::string error_hint;
};

}  // namespace similis
