#pragma once

#include <functional>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/context.h"
#include "core/job.h"
#include "services/folder_walk.h"
#include "services/ingest_counters.h"
#include "services/ports.h"

namespace similis {

/// Files of one folder that are to be looked into, compactly: a first scan may queue millions.
struct FolderWork {
  struct Item {
    std::uint32_t name_offset = 0;  // in `names`
    std::uint32_t name_bytes = 0;
    std::int64_t size_bytes = 0;
    std::int64_t mtime_ns = 0;
    std::int32_t known = -1;  // place in `known`; -1: no row yet
  };
  std::string path;     // absolute
  FolderId folder = 0;  // 0: no row under it so far
  std::string names;
  std::vector<Item> items;
  std::vector<KnownFile> known;

  [[nodiscard]] std::string_view name(const Item& item) const {
    return std::string_view(names).substr(item.name_offset, item.name_bytes);
  }
};

/// Compares the files under one root with their rows. Unchanged files (size and time) are not
/// opened; of all others the type is read from their first bytes. New and changed pictures go to
/// `work`; what has vanished, or is no picture any more, is gathered in gone().
class FolderScan {
 public:
  /// `root` is absolute and without links. All references outlive the scan.
  FolderScan(const Ports& ports, CollectionId collection, std::string root,
             const BuildOptions& options, IngestCounters& counters,
             std::function<Status(FolderWork)> work);

  /// Called with every folder before its files are compared (to watch it).
  void on_folder(std::function<Status(const std::string& path)> visit) {
    on_folder_ = std::move(visit);
  }

  /// New and changed files whose time is above `newest_ns` may still be being written: they are
  /// handed to `visit` instead of being looked at.
  void defer_young(std::int64_t newest_ns,
                   std::function<void(const std::string& folder, std::string_view name)> visit) {
    newest_ns_ = newest_ns;
    on_young_ = std::move(visit);
  }
  /// For a look at single files: those that turn out unchanged are not counted again.
  void leave_unchanged_uncounted() { count_unchanged_ = false; }

  /// The whole root. not_found, permission_denied or io_error when the root itself cannot be read.
  Status scan_all(const Context& ctx);
  /// A folder that appeared below the root, and all below it.
  Status scan_below(const Context& ctx, const std::string& folder);
  /// Some files of one folder: there, changed or gone.
  Status scan_files(const Context& ctx, const std::string& folder,
                    const std::vector<std::string>& names);
  /// A folder below the root that has vanished: all rows at or below it are gone.
  Status folder_gone(const Context& ctx, const std::string& folder);

  /// Rows whose file is not there (any more).
  [[nodiscard]] std::vector<ImageId> take_gone() { return std::exchange(gone_, {}); }
  /// Files passed over, by type word; "link", "special" and "unreadable folder" are among them.
  [[nodiscard]] std::vector<std::pair<std::string, std::int64_t>> skipped() const;
  /// Whether nothing stood in the way: else a row without a file says nothing.
  [[nodiscard]] bool complete() const { return report_.read_errors == 0; }
  [[nodiscard]] const WalkReport& report() const { return report_; }

 private:
  Status walk(const Context& ctx, const std::string& start);
  Status compare(const Context& ctx, const std::string& path, const FolderListing& listing,
                 const std::unordered_set<std::string_view>* only);
  void look_at(FolderWork& work, std::string_view name, std::int64_t size_bytes,
               std::int64_t mtime_ns, const KnownFile* known);
  Status unvisited_are_gone(const Context& ctx);

  const Ports& ports_;
  const CollectionId collection_;
  const std::string root_;
  const BuildOptions options_;
  const WalkOptions walk_options_;
  IngestCounters& counters_;
  const std::function<Status(FolderWork)> work_;
  std::function<Status(const std::string&)> on_folder_;
  std::function<void(const std::string&, std::string_view)> on_young_;
  std::int64_t newest_ns_ = 0;
  bool count_unchanged_ = true;
  WalkReport report_;
  std::map<std::string, std::int64_t> skipped_;
  std::unordered_set<FolderId> visited_;
  /// Hashes of the paths of folders that were not known when they were walked. Where two collide a
  /// row outlives its file until the next scan.
  std::unordered_set<std::size_t> visited_new_;
  std::vector<ImageId> gone_;
};

}  // namespace similis
