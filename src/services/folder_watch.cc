#include "services/folder_watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace similis {

namespace {

constexpr std::uint32_t kMask = IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM |
                                IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF |
                                IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK;

}  // namespace

Result<std::unique_ptr<FolderWatch>> FolderWatch::open(std::string root, WalkOptions options) {
  File inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.is_open()) {
    Error error = errno_error(errno, "watch", root);
    if (errno == EMFILE) error.hint = "Raise fs.inotify.max_user_instances with sysctl.";
    return error;
  }
  return std::unique_ptr<FolderWatch>(
      new FolderWatch(std::move(inotify), std::move(root), std::move(options)));
}

Status FolderWatch::add(const std::string& folder) {
  if (watches_.contains(folder)) return {};
  const int watch = inotify_add_watch(inotify_.fd(), folder.c_str(), kMask);
  if (watch < 0) {
    const int reason = errno;
    // Whoever walks the folder meets the same and reports it.
    if (reason == ENOENT || reason == ENOTDIR || reason == EACCES) return {};
    if (reason == ENOSPC) {
      return Error(ErrorCode::resource_exhausted,
                   "watch " + folder + ": the limit of watched folders is reached at " +
                       std::to_string(paths_.size()),
                   "Raise fs.inotify.max_user_watches with sysctl, or index without --watch.");
    }
    return errno_error(reason, "watch", folder);
  }
  // One folder has one watch: a second path to it is the newer name.
  if (const auto old = paths_.find(watch); old != paths_.end()) watches_.erase(old->second);
  paths_[watch] = folder;
  watches_[folder] = watch;
  return {};
}

Result<std::vector<FolderChange>> FolderWatch::read(std::chrono::milliseconds timeout) {
  std::vector<FolderChange> changes;
  pollfd waiting{inotify_.fd(), POLLIN, 0};
  const int polled = poll(&waiting, 1, static_cast<int>(timeout.count()));
  if (polled < 0 && errno != EINTR) return errno_error(errno, "watch", root_);
  if (polled <= 0) return changes;
  alignas(inotify_event) std::array<char, 64 * 1024> buffer;
  for (;;) {
    const ssize_t size = ::read(inotify_.fd(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return changes;
    if (size < 0) return errno_error(errno, "watch", root_);
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* name = buffer.data() + at + sizeof event;
      take(event.wd, event.mask, event.len > 0 ? std::string_view(name) : std::string_view(),
           changes);
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
  }
}

void FolderWatch::take(int watch, std::uint32_t mask, std::string_view name,
                       std::vector<FolderChange>& changes) {
  using Kind = FolderChange::Kind;
  if ((mask & IN_Q_OVERFLOW) != 0) {
    changes.push_back({Kind::lost, root_, ""});
    return;
  }
  const auto it = paths_.find(watch);
  if (it == paths_.end()) return;  // forgotten already
  const std::string folder = it->second;
  if (name.empty()) {
    if ((mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) == 0) return;
    if (folder == root_) changes.push_back({Kind::root_gone, root_, ""});
    // The parent tells of a folder below the root that was deleted or moved. An unmounted one says
    // nothing of its pictures.
    if ((mask & IN_MOVE_SELF) == 0) {
      watches_.erase(folder);
      paths_.erase(watch);
    }
    return;
  }
  if (name.front() == '.' && !options_.hidden) return;
  if ((mask & IN_ISDIR) == 0) {
    changes.push_back({Kind::file, folder, std::string(name)});
    return;
  }
  const std::string path = join_path(folder, name);
  if (path == options_.never_inside) return;
  if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
    changes.push_back({Kind::folder_appeared, path, ""});
  } else if ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
    forget_below(path);
    changes.push_back({Kind::folder_gone, path, ""});
  } else if ((mask & IN_ATTRIB) != 0 && !watches_.contains(path)) {
    changes.push_back({Kind::folder_appeared, path, ""});  // it may have become readable
  }
}

void FolderWatch::forget_below(const std::string& folder) {
  for (auto it = watches_.begin(); it != watches_.end();) {
    if (!lies_within(it->first, folder)) {
      ++it;
      continue;
    }
    // Fails only for a watch that the kernel has removed already.
    inotify_rm_watch(inotify_.fd(), it->second);
    paths_.erase(it->second);
    it = watches_.erase(it);
  }
}

}  // namespace similis
