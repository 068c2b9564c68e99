#include "services/folder_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <optional>

#include "base/file.h"
#include "base/log.h"

namespace similis {

namespace {

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};
struct Freer {
  void operator()(char* text) const { std::free(text); }
};

std::int64_t mtime_ns_of(const struct stat& st) {
  return std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
}

/// The stat of the regular file that the link at `path` leads to, when it lies inside `root`.
std::optional<struct stat> follow_link(const std::string& path, std::string_view root) {
  const std::unique_ptr<char, Freer> target(realpath(path.c_str(), nullptr));
  struct stat st{};
  if (!target || !lies_within(target.get(), root)) return std::nullopt;
  if (stat(target.get(), &st) != 0 || !S_ISREG(st.st_mode)) return std::nullopt;
  return st;
}

}  // namespace

bool lies_within(std::string_view path, std::string_view folder) {
  if (folder == "/") return !path.empty() && path.front() == '/';
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::string join_path(std::string_view folder, std::string_view name) {
  std::string out(folder);
  if (out.empty() || out.back() != '/') out += '/';
  return out.append(name);
}

Result<FolderListing> list_folder(const std::string& path, std::string_view root,
                                  const WalkOptions& options) {
  ASSIGN_OR_RETURN(File file, File::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  const std::unique_ptr<DIR, DirCloser> dir(fdopendir(file.fd()));
  if (!dir) return errno_error(errno, "read folder", path);
  const int fd = file.release();  // closedir closes it

  FolderListing out;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr) {
      if (errno != 0) return errno_error(errno, "read folder", path);
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    out.empty = false;
    if (name.front() == '.' && !options.hidden) continue;

    struct stat st{};
    const bool is_folder = entry->d_type == DT_DIR;
    if (!is_folder) {
      // An entry that has gone since is like one that was never there.
      if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;
        return errno_error(errno, "look at", join_path(path, name));
      }
    }
    if (is_folder || S_ISDIR(st.st_mode)) {
      if (options.never_inside.empty() || join_path(path, name) != options.never_inside) {
        out.folders.emplace_back(name);
      }
      continue;
    }
    if (S_ISLNK(st.st_mode)) {
      const auto target = follow_link(join_path(path, name), root);
      if (!target) {
        ++out.links;
        continue;
      }
      st = *target;
    }
    if (!S_ISREG(st.st_mode)) {
      ++out.special;
      continue;
    }
    if (out.names.size() + name.size() > UINT32_MAX) {
      return Error(ErrorCode::resource_exhausted, path + " holds too many files for one folder",
                   "Spread them over subfolders.");
    }
    out.files.push_back({static_cast<std::uint32_t>(out.names.size()),
                         static_cast<std::uint32_t>(name.size()), std::int64_t{st.st_size},
                         mtime_ns_of(st)});
    out.names += name;
  }
  std::sort(out.files.begin(), out.files.end(),
            [&](const auto& a, const auto& b) { return out.name(a) < out.name(b); });
  std::sort(out.folders.begin(), out.folders.end());
  return out;
}

Result<std::optional<FileStamp>> stat_file(const std::string& path, std::string_view root) {
  struct stat st{};
  if (lstat(path.c_str(), &st) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<FileStamp>();
    return errno_error(errno, "look at", path);
  }
  if (S_ISLNK(st.st_mode)) {
    const auto target = follow_link(path, root);
    if (!target) return std::optional<FileStamp>();
    st = *target;
  }
  if (!S_ISREG(st.st_mode)) return std::optional<FileStamp>();
  return std::optional<FileStamp>(FileStamp{std::int64_t{st.st_size}, mtime_ns_of(st)});
}

Result<WalkReport> walk_folders(
    const Context& ctx, const std::string& start, std::string_view root, const WalkOptions& options,
    const std::function<Status(const std::string& path, const FolderListing&)>& visit) {
  WalkReport report;
  std::vector<std::string> waiting{start};  // the next to visit is the last
  while (!waiting.empty()) {
    TRY(ctx.check());
    const std::string path = std::move(waiting.back());
    waiting.pop_back();
    const bool is_start = report.folders == 0;
    auto listing = list_folder(path, root, options);
    if (!listing.ok()) {
      if (is_start) return std::move(listing).error();
      if (listing.error().code == ErrorCode::not_found) continue;
      if (report.read_errors++ == 0) report.first_read_error = listing.error().message;
      log(LogLevel::warning, "folder passed over: " + listing.error().message);
      continue;
    }
    if (is_start) report.root_empty = listing->empty;
    ++report.folders;
    report.links += listing->links;
    report.special += listing->special;
    TRY(visit(path, *listing));
    for (auto it = listing->folders.rbegin(); it != listing->folders.rend(); ++it) {
      waiting.push_back(join_path(path, *it));
    }
  }
  return report;
}

}  // namespace similis
