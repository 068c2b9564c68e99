#include "services/kept_archives.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/hex.h"
#include "core/sha256.h"
#include "services/orphans.h"

namespace similis {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kCopyBytes = 1 << 20;

/// A file that goes with the object unless it was given its name.
class Incoming {
 public:
  static Result<Incoming> make(const fs::path& folder) {
    TRY(make_directories(folder));
    Incoming out;
    out.path_ = (folder / "incoming-XXXXXX").native();
    out.file_.reset(::mkostemp(out.path_.data(), O_CLOEXEC));
    if (out.file_.is_open()) return out;
    const int errnum = errno;
    out.path_.clear();
    return errno_error(errnum, "make a file in", folder.native());
  }
  Incoming(Incoming&& other) noexcept
      : path_(std::exchange(other.path_, "")), file_(std::move(other.file_)) {}
  Incoming& operator=(Incoming&&) = delete;
  ~Incoming() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  [[nodiscard]] int fd() const { return file_.fd(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  Status publish(const fs::path& as) {
    TRY(sync_data(file_.fd(), path_));
    if (::rename(path_.c_str(), as.c_str()) != 0) return errno_error(errno, "name", as.native());
    path_.clear();
    return sync_directory(as.parent_path());
  }

 private:
  Incoming() = default;
  std::string path_;
  File file_;
};

}  // namespace

Result<std::string> keep_archive(const Context& ctx, const Ports& ports, CollectionId collection,
                                 const ReadPart& read) {
  const fs::path folder = ports.limits.imports_dir;
  ASSIGN_OR_RETURN(Incoming incoming, Incoming::make(folder));
  Sha256 hash;
  std::vector<std::byte> buffer(kCopyBytes);
  for (std::uint64_t at = 0;;) {
    TRY(ctx.check());
    ASSIGN_OR_RETURN(const std::size_t size, read(at, buffer));
    if (size == 0) break;
    const auto part = std::span(buffer).first(size);
    hash.update(part);
    TRY(pwrite_all(incoming.fd(), part, at, incoming.path()));
    at += size;
  }
  ASSIGN_OR_RETURN(const ContentHash sum, hash.finish());
  const fs::path path = folder / (std::to_string(collection) + "-" + to_hex(sum));
  TRY(incoming.publish(path));
  return path.native();
}

void drop_kept_archive(const Ports& ports, const std::string& path) {
  if (ports.limits.imports_dir.empty()) return;
  if (fs::path(path).parent_path() == fs::path(ports.limits.imports_dir)) ::unlink(path.c_str());
}

Status sweep_kept_archives(const Context& ctx, const Ports& ports) {
  if (ports.limits.imports_dir.empty()) return {};
  ASSIGN_OR_RETURN(const auto jobs, ports.metadata.unfinished_jobs(ctx, 0));
  std::unordered_set<std::string> wanted;
  for (const Job& job : jobs) wanted.insert(job.root);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto oldest =
      std::chrono::duration_cast<std::chrono::seconds>(now).count() - kOrphanAgeMinS;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(ports.limits.imports_dir, error)) {
    struct stat st{};
    const std::string& path = entry.path().native();
    if (wanted.contains(path) || ::lstat(path.c_str(), &st) != 0) continue;
    if (S_ISREG(st.st_mode) && st.st_mtim.tv_sec < oldest) ::unlink(path.c_str());
  }
  return {};
}

}  // namespace similis
