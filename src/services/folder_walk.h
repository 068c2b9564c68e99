#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/context.h"

namespace similis {

struct WalkOptions {
  bool hidden = false;       // also entries whose name begins with a dot
  std::string never_inside;  // a folder that is passed over wherever it lies; "" for none
};

/// What one folder holds, compactly: millions of entries pass through. Names are bytes.
struct FolderListing {
  struct File {
    std::uint32_t name_offset = 0;  // in `names`
    std::uint32_t name_bytes = 0;
    std::int64_t size_bytes = 0;
    std::int64_t mtime_ns = 0;
  };
  std::string names;
  std::vector<File> files;           // regular files, by name
  std::vector<std::string> folders;  // by name
  std::int64_t links = 0;            // symbolic links that are not followed
  std::int64_t special = 0;          // devices, sockets, pipes
  bool empty = true;                 // not a single entry, hidden ones included

  [[nodiscard]] std::string_view name(const File& file) const {
    return std::string_view(names).substr(file.name_offset, file.name_bytes);
  }
};

/// Lists the folder `path`, which lies at or below `root` (absolute, without links).
///
/// A link to a folder is never followed, so that no walk can loop or leave the root: what lies
/// inside the root is found at its own place. A link to a regular file counts as a file when its
/// target lies inside the root; size and time are the target's. All other links are counted.
/// Errors: as errno_error (not_found when the folder has gone).
Result<FolderListing> list_folder(const std::string& path, std::string_view root,
                                  const WalkOptions& options);

/// Size and time of one file as list_folder would show it; nullopt when it is none (gone, a folder,
/// a link that is not followed).
struct FileStamp {
  std::int64_t size_bytes = 0;
  std::int64_t mtime_ns = 0;
};
Result<std::optional<FileStamp>> stat_file(const std::string& path, std::string_view root);

struct WalkReport {
  std::int64_t folders = 0;
  std::int64_t links = 0;
  std::int64_t special = 0;
  std::int64_t read_errors = 0;  // folders that could not be read: what they hold is unknown
  std::string first_read_error;
  bool root_empty = false;
};

/// Visits `start` and every folder below it, parents first, names in byte order. Folders that
/// cannot be read are counted; one that vanishes during the walk is not an error. Stops with the
/// visitor's error, or when `ctx` ends. The Result is an error, too, when `start` itself cannot be
/// read.
Result<WalkReport> walk_folders(
    const Context& ctx, const std::string& start, std::string_view root, const WalkOptions& options,
    const std::function<Status(const std::string& path, const FolderListing&)>& visit);

/// Whether `path` is `folder` or lies below it.
bool lies_within(std::string_view path, std::string_view folder);
/// "folder/name"; the root folder "/" has no second slash.
std::string join_path(std::string_view folder, std::string_view name);

}  // namespace similis
