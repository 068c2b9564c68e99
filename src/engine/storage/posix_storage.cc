#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "base/file.h"
#include "engine/storage/aligned_buffer.h"
#include "engine/storage/posix_reads.h"
#include "engine/storage/storage.h"

namespace similis::engine {
namespace {

class PosixAppendFile final : public AppendFile {
 public:
  PosixAppendFile(File file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}

  Status append(std::span<const std::byte> bytes) override {
    TRY(pwrite_all(file_.fd(), bytes, size_, name_));
    size_ += bytes.size();
    return {};
  }
  Status sync() override { return sync_data(file_.fd(), name_); }
  Status truncate(std::uint64_t size) override {
    if (::ftruncate(file_.fd(), static_cast<off_t>(size)) != 0)
      return errno_error(errno, "truncate", name_);
    size_ = size;
    return {};
  }
  [[nodiscard]] std::uint64_t size() const override { return size_; }

 private:
  const File file_;
  const std::string name_;
  std::uint64_t size_ = 0;
};

class PosixLock final : public Storage::Lock {
 public:
  explicit PosixLock(File file) : file_(std::move(file)) {}

 private:
  const File file_;
};

class PosixStorage final : public Storage {
 public:
  Result<std::unique_ptr<AppendFile>> create(const Path& path) override {
    ASSIGN_OR_RETURN(File file, File::open(path, O_WRONLY | O_CREAT | O_EXCL));
    return std::unique_ptr<AppendFile>(
        std::make_unique<PosixAppendFile>(std::move(file), path.native()));
  }

  Result<std::shared_ptr<ReadFile>> open(const Path& path) override {
    ASSIGN_OR_RETURN(File cached, File::open(path, O_RDONLY));
    struct statx info{};
    if (::statx(cached.fd(), "", AT_EMPTY_PATH, STATX_SIZE | STATX_DIOALIGN, &info) != 0)
      return errno_error(errno, "stat", path.native());
    File direct;
    // Where the file system refuses O_DIRECT everything goes through the cache.
    if (auto opened = File::open(path, O_RDONLY | O_DIRECT); opened.ok())
      direct = std::move(opened).value();
    else if (opened.error().code == ErrorCode::resource_exhausted)
      return std::move(opened).error();
    // A kernel before 6.1 does not say what the disk's block is.
    const bool known = (info.stx_mask & STATX_DIOALIGN) != 0 && info.stx_dio_offset_align != 0;
    const std::uint32_t alignment =
        known ? std::max(info.stx_dio_offset_align, info.stx_dio_mem_align) : kBlockBytes;
    return std::shared_ptr<ReadFile>(std::make_shared<PosixReadFile>(
        std::move(cached), std::move(direct), info.stx_size, alignment, path.native()));
  }

  std::unique_ptr<ReadQueue> make_read_queue() override {
    const char* forced = std::getenv("SIMILIS_READS");
    const bool may_ask = forced == nullptr || std::string_view(forced) != "pool";
    if (auto queue = may_ask ? make_uring_queue() : nullptr) return queue;
    return make_pool_queue();
  }

  Result<std::vector<std::string>> list(const Path& directory) override {
    struct Closer {
      void operator()(DIR* dir) const { ::closedir(dir); }
    };
    const std::unique_ptr<DIR, Closer> dir(::opendir(directory.c_str()));
    if (!dir) return errno_error(errno, "list", directory.native());
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    if (errno != 0) return errno_error(errno, "list", directory.native());
    return names;
  }

  Status rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return errno_error(errno, "rename", to.native());
    return {};
  }

  Status remove(const Path& path) override {
    if (::unlink(path.c_str()) != 0) return errno_error(errno, "remove", path.native());
    return {};
  }

  Status truncate(const Path& path, std::uint64_t size) override {
    if (::truncate(path.c_str(), static_cast<off_t>(size)) != 0)
      return errno_error(errno, "truncate", path.native());
    return {};
  }

  Status sync_directory(const Path& directory) override {
    return similis::sync_directory(directory);
  }

  Status make_directory(const Path& directory) override {
    std::error_code failed;
    const Path whole = std::filesystem::absolute(directory, failed);
    if (failed) return errno_error(failed.value(), "find", directory.native());
    TRY(make_directories(whole));
    for (Path at = whole.parent_path();; at = at.parent_path()) {
      // A parent that cannot be opened for reading was there before us.
      if (auto status = similis::sync_directory(at); !status.ok()) {
        if (status.error().code != ErrorCode::permission_denied) return status;
      }
      if (at == at.root_path()) return {};
    }
  }

  std::uint64_t free_bytes(const Path& directory) override {
    struct statvfs info{};
    if (::statvfs(directory.c_str(), &info) != 0 || info.f_blocks == 0) return UINT64_MAX;
    return std::uint64_t{info.f_bavail} * info.f_frsize;
  }

  Result<std::unique_ptr<Lock>> lock(const Path& directory) override {
    const Path path = directory / "LOCK";
    ASSIGN_OR_RETURN(File file, File::open(path, O_RDWR | O_CREAT));
    if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return errno_error(errno, "lock", path.native());
      return Error(ErrorCode::conflict, directory.native() + ": this index is open already",
                   "Close the program that uses it.");
    }
    return std::unique_ptr<Lock>(std::make_unique<PosixLock>(std::move(file)));
  }
};

}  // namespace

Storage& posix_storage() {
  static PosixStorage storage;
  return storage;
}

}  // namespace similis::engine
