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

/// The archives that unfinished jobs are about.
Result<std::unordered_set<std::string>> wanted_archives(const Context& ctx, const Ports& ports) {
  ASSIGN_OR_RETURN(const auto jobs, ports.metadata.unfinished_jobs(ctx, 0));
  std::unordered_set<std::string> wanted;
  for (const Job& job : jobs) wanted.insert(job.root);
  return wanted;
}

}  // namespace

ReceivedArchive::ReceivedArchive(ReceivedArchive&& other) noexcept
    : path_(std::exchange(other.path_, "")), file_(std::move(other.file_)), hash_(other.hash_) {}

ReceivedArchive::~ReceivedArchive() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<ReceivedArchive> ReceivedArchive::receive(const Context& ctx, const Ports& ports,
                                                 const ReadPart& read) {
  const fs::path folder = ports.limits.imports_dir;
  TRY(make_directories(folder));
  ReceivedArchive out;
  std::string path = (folder / "incoming-XXXXXX").native();
  out.file_.reset(::mkostemp(path.data(), O_CLOEXEC));
  if (!out.file_.is_open()) return errno_error(errno, "make a file in", folder.native());
  out.path_ = std::move(path);
  Sha256 hash;
  std::vector<std::byte> buffer(kCopyBytes);
  for (std::uint64_t at = 0;;) {
    TRY(ctx.check());
    ASSIGN_OR_RETURN(const std::size_t size, read(at, buffer));
    if (size == 0) break;
    const auto part = std::span(buffer).first(size);
    hash.update(part);
    TRY(pwrite_all(out.file_.fd(), part, at, out.path_));
    at += size;
  }
  ASSIGN_OR_RETURN(out.hash_, hash.finish());
  TRY(sync_data(out.file_.fd(), out.path_));
  return out;
}

Result<std::string> ReceivedArchive::keep(CollectionId collection) {
  const fs::path path =
      fs::path(path_).parent_path() / (std::to_string(collection) + "-" + to_hex(hash_));
  // The same bytes that lie there already may be being read.
  if (::access(path.c_str(), F_OK) == 0) return path.native();
  if (::rename(path_.c_str(), path.c_str()) != 0) {
    return errno_error(errno, "name", path.native());
  }
  path_.clear();
  TRY(sync_directory(path.parent_path()));
  return path.native();
}

Status drop_kept_archive(const Ports& ports, const std::string& path) {
  if (ports.limits.imports_dir.empty() ||
      fs::path(path).parent_path() != fs::path(ports.limits.imports_dir)) {
    return {};
  }
  ASSIGN_OR_RETURN(const auto wanted, wanted_archives(Context{}, ports));
  if (!wanted.contains(path)) ::unlink(path.c_str());
  return {};
}

Status sweep_kept_archives(const Context& ctx, const Ports& ports) {
  if (ports.limits.imports_dir.empty()) return {};
  ASSIGN_OR_RETURN(const auto wanted, wanted_archives(ctx, ports));
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
