#include "services/build_job.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/log.h"
#include "services/index_targets.h"
#include "services/orphans.h"

namespace similis {

namespace {

/// Beyond so many files at once, walking the whole root again is simpler than following each.
constexpr std::size_t kPendingFilesMax = 200'000;
constexpr std::chrono::milliseconds kReadTimeout{250};

UnixSeconds now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

BuildJob::BuildJob(const Ports& ports, RootLocks& locks, CollectionId collection, std::string root,
                   const BuildOptions& options, IngestCounters& counters)
    : ports_(ports),
      locks_(locks),
      collection_(collection),
      root_(std::move(root)),
      options_(options),
      counters_(counters),
      pending_(std::chrono::milliseconds(ports.limits.watch_settle_ms)) {}

Status BuildJob::scan(const Context& ctx) {
  ASSIGN_OR_RETURN(const RootIdentity root, identify_root());
  ASSIGN_OR_RETURN(const auto lock, locks_.acquire(ctx, collection_, root_));
  ASSIGN_OR_RETURN(const FolderId folder, ports_.metadata.intern_folder(ctx, root_));
  TRY(ports_.metadata.put_root(ctx, collection_, folder, options_));

  FolderScan scan(ports_, collection_, root_, options_, counters_,
                  [&](FolderWork work) { return push(ctx, std::move(work)); });
  if (options_.watch) {
    if (!watch_) {
      ASSIGN_OR_RETURN(watch_, FolderWatch::open(root_, walk_options()));
    }
    // Watched before they are read, so that no change falls between.
    scan.on_folder([&](const std::string& path) { return watch_->add(path); });
    scan.defer_young(newest_settled_ns(), [&](const std::string& path, std::string_view name) {
      pending_.note_file(path, std::string(name), Context::Clock::now());
    });
  }
  counters_.scanning = true;
  const Status scanned = scan.scan_all(ctx);
  counters_.scanning = false;
  const Status drained = scanned.ok() ? drain(ctx) : scanned;
  const auto moved = pipeline_ ? pipeline_->moved() : std::unordered_set<ImageId>();
  pipeline_.reset();
  TRY(drained);

  auto gone = scan.take_gone();
  std::erase_if(gone, [&](ImageId id) { return moved.contains(id); });
  if (scan.report().root_empty && !gone.empty()) {
    return Error(ErrorCode::unavailable,
                 root_ + " is empty, but " + std::to_string(gone.size()) +
                     " pictures of it are indexed; nothing was removed",
                 "Is its disk mounted? If the pictures are really gone, make an empty folder in it "
                 "and run again.");
  }
  if (scan.complete()) {
    TRY(remove_gone(ctx, std::move(gone), root));
  } else if (!gone.empty()) {
    log(LogLevel::warning,
        "nothing was removed of " + root_ + ": " + scan.report().first_read_error);
  }
  return ports_.metadata.finish_scan(ctx, collection_, folder, now_s(), scan.skipped());
}

Status BuildJob::follow(const Context& ctx, const std::function<bool()>& stop) {
  if (!watch_) return {};  // watching was asked for after the scan: it has to be done again
  while (!stop()) {
    // Up to date, but for files that may still be being written.
    counters_.following = pending_.files() == 0;
    TRY(ctx.check());
    ASSIGN_OR_RETURN(const auto changes, watch_->read(kReadTimeout));
    bool rescan = false;
    TRY(note(ctx, changes, rescan));
    if (rescan || pending_.files() > kPendingFilesMax) {
      log(LogLevel::info, "looking through all of " + root_ + " again: too much has changed");
      pending_.clear();
      TRY(scan(ctx));
      continue;
    }
    const auto settled = pending_.take(
        Context::Clock::now(), [&](const std::string& folder, const std::string& name) {
          const auto stamp = stat_file(join_path(folder, name), root_);
          return !stamp.ok() || stamp->has_value();
        });
    if (!settled.empty()) TRY(apply(ctx, settled));
  }
  counters_.following = false;
  return {};
}

Result<BuildJob::RootIdentity> BuildJob::identify_root() const {
  struct stat st{};
  if (stat(root_.c_str(), &st) != 0) {
    Error error = errno_error(errno, "read folder", root_);
    error.hint = "Nothing was removed. Is its disk mounted?";
    return error;
  }
  if (!S_ISDIR(st.st_mode)) {
    return Error(ErrorCode::invalid_argument, root_ + " is not a folder");
  }
  return RootIdentity{st.st_dev, st.st_ino};
}

/// A root that was unmounted or exchanged under a scan makes every file look deleted.
Status BuildJob::check_root(const RootIdentity& before) const {
  ASSIGN_OR_RETURN(const RootIdentity now, identify_root());
  if (now == before) return {};
  return Error(ErrorCode::unavailable,
               root_ + " was exchanged for another folder while it was read",
               "Nothing was removed. Run again when it is in its place.");
}

Status BuildJob::push(const Context& ctx, FolderWork work) {
  if (!pipeline_) {
    ASSIGN_OR_RETURN(auto targets, ensure_indexes(ctx, ports_, collection_, ""));
    pipeline_ = std::make_unique<IngestPipeline>(
        ports_, std::move(targets),
        IngestPipeline::Settings{collection_, root_, &counters_, nullptr});
  }
  const std::stop_callback stop(ctx.cancel, [&] { pipeline_->stop(); });
  return pipeline_->push(std::move(work));
}

Status BuildJob::drain(const Context& ctx) {
  return pipeline_ ? pipeline_->drain(ctx) : Status();
}

Status BuildJob::remove_gone(const Context& ctx, std::vector<ImageId> gone,
                             const RootIdentity& root) {
  if (gone.empty()) return {};
  TRY(check_root(root));
  std::sort(gone.begin(), gone.end());
  gone.erase(std::unique(gone.begin(), gone.end()), gone.end());
  constexpr std::size_t kBatch = 500;
  for (std::size_t at = 0; at < gone.size(); at += kBatch) {
    const auto batch = std::span(gone).subspan(at, std::min(kBatch, gone.size() - at));
    TRY(remove_images(ctx, ports_, collection_, batch));
    counters_.removed += static_cast<std::int64_t>(batch.size());
  }
  return {};
}

Status BuildJob::note(const Context& ctx, const std::vector<FolderChange>& changes, bool& rescan) {
  for (const FolderChange& change : changes) {
    const auto now = Context::Clock::now();
    switch (change.kind) {
      case FolderChange::Kind::file:
        pending_.note_file(change.folder, change.name, now);
        break;
      case FolderChange::Kind::folder_appeared:
        TRY(note_new_folder(ctx, change.folder));
        break;
      case FolderChange::Kind::folder_gone:
        pending_.note_gone_folder(change.folder, now);
        break;
      case FolderChange::Kind::lost:
        rescan = true;
        break;
      case FolderChange::Kind::root_gone:
        return Error(ErrorCode::not_found, root_ + " has gone while it was watched",
                     "Nothing was removed. Run again when it is back.");
    }
  }
  return {};
}

/// Watches a new folder and all below it. Its files count as changed just now, even those that were
/// there before the watch.
Status BuildJob::note_new_folder(const Context& ctx, const std::string& folder) {
  auto walked = walk_folders(
      ctx, folder, root_, walk_options(),
      [&](const std::string& path, const FolderListing&) -> Status {
        TRY(watch_->add(path));
        auto listing = list_folder(path, root_, walk_options());  // again: it is watched only now
        if (!listing.ok()) return {};
        for (const FolderListing::File& file : listing->files) {
          pending_.note_file(path, std::string(listing->name(file)), Context::Clock::now());
        }
        return {};
      });
  if (walked.ok()) return {};
  // It has gone again, or cannot be read: as for any folder, its rows stay as they are.
  const ErrorCode code = walked.error().code;
  if (code == ErrorCode::cancelled || code == ErrorCode::resource_exhausted) {
    return std::move(walked).error();
  }
  return {};
}

Status BuildJob::apply(const Context& ctx, const PendingChanges::Settled& settled) {
  ASSIGN_OR_RETURN(const RootIdentity root, identify_root());
  ASSIGN_OR_RETURN(const auto lock, locks_.acquire(ctx, collection_, root_));
  FolderScan scan(ports_, collection_, root_, options_, counters_,
                  [&](FolderWork work) { return push(ctx, std::move(work)); });
  scan.leave_unchanged_uncounted();
  const auto look = [&]() -> Status {
    for (const auto& [folder, names] : settled.present) {
      TRY(scan.scan_files(ctx, folder, names));
    }
    return drain(ctx);
  };
  const Status looked = look();
  const auto moved = pipeline_ ? pipeline_->moved() : std::unordered_set<ImageId>();
  pipeline_.reset();
  TRY(looked);
  // Only now: rows of moved files have left the old place.
  for (const auto& [folder, names] : settled.absent) TRY(scan.scan_files(ctx, folder, names));
  TRY(drain(ctx));
  pipeline_.reset();
  for (const std::string& folder : settled.gone_folders) {
    struct stat st{};
    const bool is_back = lstat(folder.c_str(), &st) == 0;
    if (!is_back) TRY(scan.folder_gone(ctx, folder));
  }
  auto gone = scan.take_gone();
  std::erase_if(gone, [&](ImageId id) { return moved.contains(id); });
  return remove_gone(ctx, std::move(gone), root);
}

WalkOptions BuildJob::walk_options() const {
  return {options_.hidden, ports_.limits.never_inside};
}

std::int64_t BuildJob::newest_settled_ns() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() -
         ports_.limits.watch_settle_ms * 1'000'000;
}

}  // namespace similis
