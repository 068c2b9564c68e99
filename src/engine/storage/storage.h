#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace similis::engine {

/// Reads at any offset, from several threads. Reading past the end is `corruption`: the caller
/// asks only for what the manifest says is there.
class ReadFile {
 public:
  virtual ~ReadFile() = default;
  virtual Status read(std::uint64_t offset, std::span<std::byte> out) const = 0;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Whether the medium still answers: reads a block of it, past the page cache as far as can be.
  [[nodiscard]] virtual Status reach(std::uint64_t block_offset) const = 0;
  /// Reads of a ReadQueue go past the page cache when offset, length and address are multiples of
  /// this: the disk's block, a power of two.
  [[nodiscard]] virtual std::uint32_t alignment() const { return 512; }
};

struct ReadRequest {
  const ReadFile* file = nullptr;
  std::uint64_t offset = 0;
  std::span<std::byte> out;
  Status status;  // once it is no longer pending
};

/// Reads that one caller waits for together. Its requests may not move while any is pending.
struct ReadGroup {
  std::vector<ReadRequest> requests;
  std::size_t pending = 0;
};

/// Reads of several groups, under way side by side. One thread at a time; none may be pending when
/// it ends.
class ReadQueue {
 public:
  virtual ~ReadQueue() = default;
  /// Begins all reads of the groups.
  virtual void submit(std::span<ReadGroup* const> groups) = 0;
  /// Takes in what has come, counting its groups' `pending` down; when `wait`, at least one.
  virtual void reap(bool wait) = 0;
};

/// Written at its end only, by one thread at a time.
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  virtual Status append(std::span<const std::byte> bytes) = 0;
  /// All that was appended is on the medium when this returns. After a failure the state of every
  /// byte since the last success is unknown.
  virtual Status sync() = 0;
  /// Cuts the file back to `size`, as after a failed append.
  virtual Status truncate(std::uint64_t size) = 0;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
};

/// What the index asks of a file system, so that tests can run it on one that tears, drops and
/// reorders what was not synced. Names made, renamed or removed are durable only after
/// sync_directory(). A removed file stays readable through handles opened before.
class Storage {
 public:
  /// Held until destroyed.
  class Lock {
   public:
    virtual ~Lock() = default;
  };
  using Path = std::filesystem::path;

  virtual ~Storage() = default;
  /// already_exists when there is one.
  virtual Result<std::unique_ptr<AppendFile>> create(const Path& path) = 0;
  virtual Result<std::shared_ptr<ReadFile>> open(const Path& path) = 0;
  /// For files opened by this storage. The default reads one after another when they are submitted.
  virtual std::unique_ptr<ReadQueue> make_read_queue();
  /// Names of the files in a folder, in no order; not_found when there is no such folder.
  virtual Result<std::vector<std::string>> list(const Path& directory) = 0;
  /// Replaces `to`.
  virtual Status rename(const Path& from, const Path& to) = 0;
  virtual Status remove(const Path& path) = 0;
  virtual Status truncate(const Path& path, std::uint64_t size) = 0;
  virtual Status sync_directory(const Path& directory) = 0;
  /// With its parents, durably; not an error when it exists.
  virtual Status make_directory(const Path& directory) = 0;
  /// That can still be written in a folder; UINT64_MAX where the file system does not say.
  virtual std::uint64_t free_bytes(const Path& directory) = 0;
  /// Taken by one opener at a time, of this or any process; `conflict` when it is held.
  virtual Result<std::unique_ptr<Lock>> lock(const Path& directory) = 0;
};

/// The operating system's files. Large aligned reads bypass the page cache (O_DIRECT) where the
/// file system allows it: 3.6 GB/s against 0.7 GB/s through the cache on the machine of writing.
Storage& posix_storage();

}  // namespace similis::engine
