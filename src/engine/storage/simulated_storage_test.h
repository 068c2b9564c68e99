#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/storage/storage.h"

namespace similis::engine {

/// Files in memory that forget what a power cut may make a disk forget. Reads see what was written
/// last, as through a page cache; crash() leaves what the medium holds:
/// - of bytes not synced, any 512-byte sectors, each old, new or torn between both; the file's end
///   anywhere between its old and its new place, unwritten sectors below it zero or garbage;
/// - of names not synced, either the first few changes in order, or any of them.
/// A failed sync drops some sectors for good, though reads go on showing them, as Linux does.
/// Everything follows from the seed and the calls made.
class SimulatedStorage final : public Storage {
 public:
  explicit SimulatedStorage(std::uint64_t seed) : random_(seed) {}

  enum class Fault {
    power,     // this call and all later ones fail until crash()
    no_space,  // appends write a part and fail, for `calls` calls that change something
    sync,      // the next sync of a file fails, then all is well
  };
  /// The fault strikes after `after` more calls that change something.
  void schedule(Fault fault, std::uint64_t after, std::uint64_t calls = 1);
  void clear_faults();
  [[nodiscard]] bool power_is_off();
  /// The power comes back; every file and lock that was open is dead.
  void crash();
  /// The process was killed and starts again, its machine running on: files and locks that were
  /// open are dead, the page cache is as it was.
  void restart();

  /// Each sync of a file takes this long; syncs() counts them.
  void set_sync_time(std::chrono::microseconds time) { sync_time_us_ = time.count(); }
  [[nodiscard]] std::uint64_t syncs() const { return syncs_; }

  /// Called once, within the next sync of a file so named, as if another thread ran then.
  void on_next_sync(std::string prefix, std::function<void()> call) {
    hook_prefix_ = std::move(prefix);
    hook_ = std::move(call);
  }

  /// What free_bytes() says; appends take no notice.
  void set_free_bytes(std::uint64_t bytes) { free_bytes_ = bytes; }
  /// Reads of bytes [begin, end) of a file of which this holds fail with io_error; null: none.
  /// `cached`: a page cache may answer them.
  using WhichReads = std::function<bool(const std::string& name, std::uint64_t begin,
                                        std::uint64_t end, bool cached)>;
  void fail_reads(WhichReads which);

  /// All files of a folder, to flip bits in.
  std::map<std::string, std::vector<std::byte>> files(const Path& directory);
  void replace(const Path& path, std::vector<std::byte> content);
  /// Damages a byte, also for those who have the file open.
  void flip(const Path& path, std::size_t offset);

  Result<std::unique_ptr<AppendFile>> create(const Path& path) override;
  Result<std::shared_ptr<ReadFile>> open(const Path& path) override;
  Result<std::vector<std::string>> list(const Path& directory) override;
  Status rename(const Path& from, const Path& to) override;
  Status remove(const Path& path) override;
  Status truncate(const Path& path, std::uint64_t size) override;
  Status sync_directory(const Path& directory) override;
  Status make_directory(const Path& directory) override;
  std::uint64_t free_bytes(const Path&) override { return free_bytes_; }
  Result<std::unique_ptr<Lock>> lock(const Path& directory) override;

 private:
  friend class SimulatedAppendFile;
  friend class SimulatedReadFile;
  friend class SimulatedLock;
  static constexpr std::uint64_t kSector = 512;

  struct Inode {
    std::vector<std::byte> cached;
    std::vector<std::byte> medium;
    std::set<std::uint64_t> dirty;  // sectors that a sync would write
    bool size_dirty = false;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  /// One change of names; a rename is one, so that it happens whole or not at all.
  struct Change {
    std::vector<std::pair<std::string, std::shared_ptr<Inode>>> sets;  // null: removed
  };

  // All under mutex_.
  Status begin_change(const std::string& what);
  void change(Change change);
  void mark_dirty(Inode& inode, std::uint64_t begin, std::uint64_t end);
  void write_sector(Inode& inode, std::uint64_t sector);
  Status append(Inode& inode, std::uint64_t generation, std::span<const std::byte> bytes);
  Status sync(Inode& inode, std::uint64_t generation);
  Status resize(Inode& inode, std::uint64_t generation, std::uint64_t size);
  void lose_unsynced(Inode& inode);
  void start_anew();
  bool chance(double probability) { return std::bernoulli_distribution(probability)(random_); }

  std::mutex mutex_;
  std::mt19937_64 random_;
  Names names_;
  Names durable_names_;
  std::vector<Change> pending_;
  std::set<std::string> directories_;
  std::set<std::string> locked_;
  std::uint64_t generation_ = 0;

  bool scheduled_ = false;
  Fault fault_ = Fault::power;
  std::uint64_t countdown_ = 0;
  std::uint64_t fault_calls_ = 0;
  bool power_off_ = false;
  WhichReads unreadable_;
  std::atomic<std::uint64_t> free_bytes_{UINT64_MAX};
  std::atomic<std::int64_t> sync_time_us_{0};
  std::atomic<std::uint64_t> syncs_{0};
  std::string hook_prefix_;
  std::function<void()> hook_;
};

}  // namespace similis::engine
