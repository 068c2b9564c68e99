#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/job.h"
#include "services/folder_scan.h"
#include "services/folder_watch.h"
#include "services/ingest_counters.h"
#include "services/ingest_pipeline.h"
#include "services/pending_changes.h"
#include "services/ports.h"
#include "services/root_locks.h"

namespace similis {

/// Brings a collection up to date with a folder, and follows it if asked to.
class BuildJob {
 public:
  /// References outlive the job.
  BuildJob(const Ports& ports, RootLocks& locks, CollectionId collection, std::string root,
           const BuildOptions& options, IngestCounters& counters);

  /// One scan: new and changed files are taken in, moved ones followed, and the rows of vanished
  /// ones removed, unless some folder could not be read. Nothing is removed when the root itself
  /// is gone, was exchanged while it was read, or is empty while there are rows under it (its disk
  /// may not be mounted): `unavailable` then.
  Status scan(const Context& ctx);

  /// Follows changes until `stop` says so (ok), the context is cancelled (`cancelled`) or something
  /// breaks. After scan(), with options.watch.
  Status follow(const Context& ctx, const std::function<bool()>& stop);

 private:
  struct RootIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    bool operator==(const RootIdentity&) const = default;
  };

  Result<RootIdentity> identify_root() const;
  Status check_root(const RootIdentity& before) const;
  Status push(const Context& ctx, FolderWork work);
  Status drain(const Context& ctx);
  Status remove_gone(const Context& ctx, std::vector<ImageId> gone, const RootIdentity& root);
  Status note(const Context& ctx, const std::vector<FolderChange>& changes, bool& rescan);
  Status note_new_folder(const Context& ctx, const std::string& folder);
  Status apply(const Context& ctx, const PendingChanges::Settled& settled);
  [[nodiscard]] WalkOptions walk_options() const;
  [[nodiscard]] std::int64_t newest_settled_ns() const;

  const Ports& ports_;
  RootLocks& locks_;
  const CollectionId collection_;
  const std::string root_;
  const BuildOptions options_;
  IngestCounters& counters_;
  std::unique_ptr<IngestPipeline> pipeline_;  // of the scan at work; made at its first picture
  std::unique_ptr<FolderWatch> watch_;
  PendingChanges pending_;
};

}  // namespace similis
