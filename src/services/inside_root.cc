#include "services/inside_root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "services/folder_walk.h"

namespace similis {

namespace {

std::string descriptor_path(const File& file) {
  return "/proc/self/fd/" + std::to_string(file.fd());
}

/// Where the opened file really lies.
Result<std::string> place_of(const File& file) {
  std::string out(4096, '\0');
  const ssize_t size = ::readlink(descriptor_path(file).c_str(), out.data(), out.size());
  if (size < 0) return errno_error(errno, "look at", descriptor_path(file));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

constexpr char kIndexAgain[] = "Index its folder again to bring the collection up to date.";

/// Opens the regular file at `path` if `accepts` where it really lies (ok, or why not).
Result<OpenedFile> open_if(const std::string& path, const char* hint,
                           const std::function<Status(const std::string& place)>& accepts) {
  // O_PATH finds the file without opening it: a pipe does not wait, a device does not stir.
  ASSIGN_OR_RETURN(const File found, File::open(path, O_PATH));
  struct stat st{};
  if (::fstat(found.fd(), &st) != 0) return errno_error(errno, "look at", path);
  if (!S_ISREG(st.st_mode)) {
    return Error(ErrorCode::not_found, path + " is not a regular file", hint);
  }
  ASSIGN_OR_RETURN(const std::string place, place_of(found));
  TRY(accepts(place));
  ASSIGN_OR_RETURN(File file, File::open(descriptor_path(found), O_RDONLY | O_NONBLOCK | O_NOCTTY));
  return OpenedFile{std::move(file), std::int64_t{st.st_size},
                    std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec};
}

}  // namespace

Result<OpenedFile> open_inside(const std::string& path, const std::string& root) {
  return open_if(path, kIndexAgain, [&](const std::string& place) -> Status {
    ASSIGN_OR_RETURN(const File folder, File::open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    ASSIGN_OR_RETURN(const std::string real_root, place_of(folder));
    if (lies_within(place, real_root)) return {};
    return Error(ErrorCode::not_found, path + " leads out of the folder " + root, kIndexAgain);
  });
}

Result<OpenedFile> open_at(const std::string& path) {
  const char hint[] = "Give the path of the file itself.";
  return open_if(path, hint, [&](const std::string& place) -> Status {
    if (place == path) return {};
    return Error(ErrorCode::not_found, path + " is a link by now", hint);
  });
}

}  // namespace similis
