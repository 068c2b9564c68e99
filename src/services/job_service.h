#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "core/image.h"
#include "core/job.h"
#include "services/kept_archives.h"
#include "services/ports.h"

namespace similis {

struct StartedJob {
  Job job;
  bool existed = false;  // an unfinished job on the same collection and root goes on
};

struct FailurePage {
  std::vector<ImageRow> rows;
  std::string next_cursor;
};

/// Whose jobs a process works on: all there are, or only those that its own JobService was asked to
/// start or resume. A command that is soon over must not take up what others left.
enum class JobScope : std::uint8_t { all, asked_here };

/// Long work: building from a folder, verifying. Jobs are rows, worked on by the threads that run()
/// lends; what is left of a job is derived from row states, so that resuming is running again.
class JobService {
 public:
  explicit JobService(const Ports& ports);
  ~JobService();

  /// Queues the indexing of folder `root` into `collection` (made when new). `root` is made
  /// absolute and free of links by the caller's rules: here it must be absolute. not_found /
  /// permission_denied when it cannot be read. `model` "" is the default, or the one the
  /// collection has. not_found when there is no such model (nothing is made then), conflict when
  /// the collection has an index of another one.
  Result<StartedJob> start_build(const Context& ctx, std::string_view collection,
                                 std::string_view root, const BuildOptions& options,
                                 std::string_view model);
  /// Queues the import of the archive `path` (absolute; see import_job.h) into `collection`, made
  /// when new; `model` as above. not_found / permission_denied when it cannot be read,
  /// unsupported_media when it is no archive.
  Result<StartedJob> start_import(const Context& ctx, std::string_view collection,
                                  std::string_view path, std::string_view model);
  /// The same of an archive that was sent: kept in the data folder until the job is done.
  Result<StartedJob> start_import(const Context& ctx, std::string_view collection,
                                  const ReadPart& read, std::string_view model);
  /// Queues the export of `collection` to the new tar file `path` (absolute; see export_job.h).
  /// already_exists when there is such a file, not_found or permission_denied when its folder is
  /// not there or cannot be written to.
  Result<StartedJob> start_export(const Context& ctx, std::string_view collection,
                                  std::string_view path, bool with_pictures);
  Result<StartedJob> start_verify(const Context& ctx, std::string_view collection);

  Result<Job> get(const Context& ctx, JobId id);
  Result<std::vector<Job>> list(const Context& ctx, std::size_t limit);
  Result<Job> pause(const Context& ctx, JobId id);
  Result<Job> resume(const Context& ctx, JobId id);
  Result<Job> cancel(const Context& ctx, JobId id);
  /// The failed files of the job's root. `gone` for those of an import or export that another
  /// process worked on.
  Result<FailurePage> failures(const Context& ctx, JobId id, std::size_t limit,
                               std::string_view cursor);
  /// Waits until the job's version is above `version`, the context ends, or `timeout` has passed;
  /// the row as it is then.
  Result<Job> wait(const Context& ctx, JobId id, std::int64_t version,
                   Context::Clock::duration timeout);
  /// What the last verify job found, in words; empty when all is well.
  Result<std::vector<std::string>> findings(const Context& ctx, JobId id);

  /// Finishes what an earlier process left (pending and removing rows, orphaned blobs, jobs of a
  /// dead owner go back to the queue), then works on the jobs of `scope` one after another until
  /// `stop`. Blocks: the application lends it a thread.
  void run(const std::stop_token& stop, JobScope scope = JobScope::all);
  /// Only the finishing of leftovers; quick when there is nothing.
  Status recover(const Context& ctx);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace similis
