#include "engine/storage/simulated_storage_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

namespace similis::engine {

class SimulatedAppendFile final : public AppendFile {
 public:
  SimulatedAppendFile(SimulatedStorage& storage, std::string name,
                      std::shared_ptr<SimulatedStorage::Inode> inode, std::uint64_t generation)
      : storage_(storage),
        name_(std::move(name)),
        inode_(std::move(inode)),
        generation_(generation) {}
  Status append(std::span<const std::byte> bytes) override {
    std::lock_guard lock(storage_.mutex_);
    return storage_.append(*inode_, generation_, bytes);
  }
  Status sync() override {
    ++storage_.syncs_;
    if (storage_.hook_ && name_.starts_with(storage_.hook_prefix_))
      std::exchange(storage_.hook_, nullptr)();
    if (const auto time = storage_.sync_time_us_.load(); time > 0)
      std::this_thread::sleep_for(std::chrono::microseconds(time));
    std::lock_guard lock(storage_.mutex_);
    return storage_.sync(*inode_, generation_);
  }
  Status truncate(std::uint64_t size) override {
    std::lock_guard lock(storage_.mutex_);
    return storage_.resize(*inode_, generation_, size);
  }
  [[nodiscard]] std::uint64_t size() const override {
    std::lock_guard lock(storage_.mutex_);
    return inode_->cached.size();
  }

 private:
  SimulatedStorage& storage_;
  std::string name_;
  std::shared_ptr<SimulatedStorage::Inode> inode_;
  std::uint64_t generation_;
};

class SimulatedReadFile final : public ReadFile {
 public:
  SimulatedReadFile(SimulatedStorage& storage, std::string name,
                    std::shared_ptr<SimulatedStorage::Inode> inode)
      : storage_(storage),
        name_(std::move(name)),
        inode_(std::move(inode)),
        size_(inode_->cached.size()) {}
  Status read(std::uint64_t offset, std::span<std::byte> out) const override {
    return read(offset, out, true);
  }
  [[nodiscard]] Status reach(std::uint64_t block_offset) const override {
    std::array<std::byte, 4096> block;
    return read(block_offset, block, false);
  }
  [[nodiscard]] std::uint64_t size() const override { return size_; }

 private:
  [[nodiscard]] Status read(std::uint64_t offset, std::span<std::byte> out, bool cached) const {
    std::lock_guard lock(storage_.mutex_);
    if (storage_.power_off_) return errno_error(EIO, "read", "without power");
    if (storage_.unreadable_ && storage_.unreadable_(name_, offset, offset + out.size(), cached))
      return errno_error(EIO, "read", name_);
    if (offset + out.size() > inode_->cached.size())
      return Error(ErrorCode::corruption, "read past the end of a simulated file");
    if (!out.empty()) std::memcpy(out.data(), inode_->cached.data() + offset, out.size());
    return {};
  }

  SimulatedStorage& storage_;
  std::string name_;
  std::shared_ptr<SimulatedStorage::Inode> inode_;
  std::uint64_t size_;
};

class SimulatedLock final : public Storage::Lock {
 public:
  SimulatedLock(SimulatedStorage& storage, std::string directory, std::uint64_t generation)
      : storage_(storage), directory_(std::move(directory)), generation_(generation) {}
  ~SimulatedLock() override {
    std::lock_guard lock(storage_.mutex_);
    if (storage_.generation_ == generation_) storage_.locked_.erase(directory_);
  }

 private:
  SimulatedStorage& storage_;
  std::string directory_;
  std::uint64_t generation_;
};

void SimulatedStorage::schedule(Fault fault, std::uint64_t after, std::uint64_t calls) {
  std::lock_guard lock(mutex_);
  scheduled_ = true;
  fault_ = fault;
  countdown_ = after;
  fault_calls_ = calls;
}

void SimulatedStorage::fail_reads(WhichReads which) {
  std::lock_guard lock(mutex_);
  unreadable_ = std::move(which);
}

void SimulatedStorage::clear_faults() {
  std::lock_guard lock(mutex_);
  scheduled_ = false;
}

bool SimulatedStorage::power_is_off() {
  std::lock_guard lock(mutex_);
  return power_off_;
}

Status SimulatedStorage::begin_change(const std::string& what) {
  if (power_off_) return errno_error(EIO, what, "without power");
  if (scheduled_ && countdown_ > 0) {
    --countdown_;
  } else if (scheduled_ && fault_ == Fault::power) {
    power_off_ = true;
    return errno_error(EIO, what, "as the power goes");
  }
  return {};
}

void SimulatedStorage::mark_dirty(Inode& inode, std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t s = begin / kSector; s * kSector < end; ++s) inode.dirty.insert(s);
}

// One sector of the cache reaches the medium, whole.
void SimulatedStorage::write_sector(Inode& inode, std::uint64_t sector) {
  const std::uint64_t begin = sector * kSector;
  if (begin >= inode.cached.size()) return;
  const std::uint64_t end = std::min<std::uint64_t>(begin + kSector, inode.cached.size());
  if (inode.medium.size() < end) inode.medium.resize(end);
  std::copy(inode.cached.begin() + static_cast<std::ptrdiff_t>(begin),
            inode.cached.begin() + static_cast<std::ptrdiff_t>(end),
            inode.medium.begin() + static_cast<std::ptrdiff_t>(begin));
}

Status SimulatedStorage::append(Inode& inode, std::uint64_t generation,
                                std::span<const std::byte> bytes) {
  if (generation != generation_) return errno_error(EIO, "write", "a file from before the crash");
  const std::size_t begin = inode.cached.size();
  Status status = begin_change("write");
  std::size_t count = bytes.size();
  const bool striking = scheduled_ && countdown_ == 0;
  if (!status.ok()) {
    count = bytes.empty() ? 0 : random_() % (bytes.size() + 1);
  } else if (striking && fault_ == Fault::no_space) {
    if (--fault_calls_ == 0) scheduled_ = false;
    count = bytes.empty() ? 0 : random_() % bytes.size();
    status = errno_error(ENOSPC, "write", "to a full disk");
  }
  inode.cached.insert(inode.cached.end(), bytes.begin(),
                      bytes.begin() + static_cast<std::ptrdiff_t>(count));
  mark_dirty(inode, begin, inode.cached.size());
  inode.size_dirty = true;
  return status;
}

Status SimulatedStorage::sync(Inode& inode, std::uint64_t generation) {
  if (generation != generation_) return errno_error(EIO, "sync", "a file from before the crash");
  TRY(begin_change("sync"));
  if (scheduled_ && countdown_ == 0 && fault_ == Fault::sync) {
    scheduled_ = false;
    for (const std::uint64_t sector : inode.dirty)
      if (chance(0.5)) write_sector(inode, sector);
    inode.dirty.clear();  // what was lost stays lost
    if (chance(0.5)) inode.size_dirty = false;
    return errno_error(EIO, "sync", "a failing disk");
  }
  for (const std::uint64_t sector : inode.dirty) write_sector(inode, sector);
  inode.dirty.clear();
  inode.medium.resize(inode.cached.size());
  inode.size_dirty = false;
  return {};
}

Status SimulatedStorage::resize(Inode& inode, std::uint64_t generation, std::uint64_t size) {
  if (generation != generation_)
    return errno_error(EIO, "truncate", "a file from before the crash");
  TRY(begin_change("truncate"));
  const std::uint64_t before = inode.cached.size();
  inode.cached.resize(size);
  inode.size_dirty = true;
  if (size > before) mark_dirty(inode, before, size);
  return {};
}

void SimulatedStorage::lose_unsynced(Inode& inode) {
  const double kept = std::uniform_real_distribution<>(0, 1)(random_);
  for (const std::uint64_t sector : inode.dirty) {
    if (chance(kept)) {
      write_sector(inode, sector);
      continue;
    }
    if (!chance(0.3)) continue;
    // Torn: the first bytes are new, the rest as it was.
    const std::uint64_t begin = sector * kSector;
    const std::uint64_t end =
        std::min<std::uint64_t>(begin + random_() % kSector, inode.cached.size());
    if (end <= begin) continue;
    if (inode.medium.size() < end) inode.medium.resize(end);
    std::copy(inode.cached.begin() + static_cast<std::ptrdiff_t>(begin),
              inode.cached.begin() + static_cast<std::ptrdiff_t>(end),
              inode.medium.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  if (inode.size_dirty) {
    const std::uint64_t a = inode.medium.size(), b = inode.cached.size();
    const std::uint64_t low = std::min(a, b), high = std::max(a, b);
    std::uint64_t size = chance(0.5) ? (chance(0.5) ? a : b) : low + random_() % (high - low + 1);
    const bool garbage = chance(0.2);
    if (size < a && inode.dirty.empty()) size = std::max(size, low);
    inode.medium.resize(size);
    for (std::uint64_t i = a; garbage && i < size; ++i)
      inode.medium[i] = static_cast<std::byte>(random_());
  }
  inode.cached = inode.medium;
  inode.dirty.clear();
  inode.size_dirty = false;
}

void SimulatedStorage::crash() {
  std::lock_guard lock(mutex_);
  if (chance(0.5)) {
    // A journal keeps their order.
    if (!pending_.empty()) pending_.resize(random_() % (pending_.size() + 1));
    for (const Change& c : pending_)
      for (const auto& [name, inode] : c.sets) durable_names_[name] = inode;
  } else {
    for (const Change& c : pending_) {
      if (!chance(0.5)) continue;
      for (const auto& [name, inode] : c.sets) durable_names_[name] = inode;
    }
  }
  pending_.clear();
  std::erase_if(durable_names_, [](const auto& entry) { return entry.second == nullptr; });
  std::set<Inode*> inodes;
  for (const auto& [name, inode] : durable_names_) inodes.insert(inode.get());
  // In the order of their names, not of their addresses: the same seed, the same crash.
  std::set<Inode*> done;
  for (const auto& [name, inode] : durable_names_)
    if (done.insert(inode.get()).second) lose_unsynced(*inode);
  names_ = durable_names_;
  start_anew();
}

void SimulatedStorage::restart() {
  std::lock_guard lock(mutex_);
  start_anew();
}

void SimulatedStorage::start_anew() {
  locked_.clear();
  ++generation_;
  power_off_ = false;
  scheduled_ = false;
}

std::map<std::string, std::vector<std::byte>> SimulatedStorage::files(const Path& directory) {
  std::lock_guard lock(mutex_);
  std::map<std::string, std::vector<std::byte>> out;
  for (const auto& [name, inode] : names_)
    if (Path(name).parent_path() == directory) out[Path(name).filename()] = inode->cached;
  return out;
}

void SimulatedStorage::replace(const Path& path, std::vector<std::byte> content) {
  std::lock_guard lock(mutex_);
  auto inode = std::make_shared<Inode>();
  inode->cached = inode->medium = std::move(content);
  names_[path.native()] = durable_names_[path.native()] = std::move(inode);
}

void SimulatedStorage::flip(const Path& path, std::size_t offset) {
  std::lock_guard lock(mutex_);
  Inode& inode = *names_.at(path.native());
  inode.cached.at(offset) ^= std::byte{1};
  inode.medium.at(offset) ^= std::byte{1};
}

Result<std::unique_ptr<AppendFile>> SimulatedStorage::create(const Path& path) {
  std::lock_guard lock(mutex_);
  TRY(begin_change("create"));
  if (names_.contains(path.native())) return errno_error(EEXIST, "create", path.native());
  auto inode = std::make_shared<Inode>();
  change({{{path.native(), inode}}});
  return std::unique_ptr<AppendFile>(
      std::make_unique<SimulatedAppendFile>(*this, path.filename(), std::move(inode), generation_));
}

Result<std::shared_ptr<ReadFile>> SimulatedStorage::open(const Path& path) {
  std::lock_guard lock(mutex_);
  if (power_off_) return errno_error(EIO, "open", "without power");
  const auto found = names_.find(path.native());
  if (found == names_.end()) return errno_error(ENOENT, "open", path.native());
  return std::shared_ptr<ReadFile>(
      std::make_shared<SimulatedReadFile>(*this, path.filename(), found->second));
}

Result<std::vector<std::string>> SimulatedStorage::list(const Path& directory) {
  std::lock_guard lock(mutex_);
  if (power_off_) return errno_error(EIO, "list", "without power");
  if (!directories_.contains(directory.native()))
    return errno_error(ENOENT, "list", directory.native());
  std::vector<std::string> out;
  for (const auto& [name, inode] : names_)
    if (Path(name).parent_path() == directory) out.push_back(Path(name).filename());
  return out;
}

void SimulatedStorage::change(Change change) {
  for (const auto& [name, inode] : change.sets) {
    if (inode) {
      names_[name] = inode;
    } else {
      names_.erase(name);
    }
  }
  pending_.push_back(std::move(change));
}

Status SimulatedStorage::rename(const Path& from, const Path& to) {
  std::lock_guard lock(mutex_);
  TRY(begin_change("rename"));
  const auto found = names_.find(from.native());
  if (found == names_.end()) return errno_error(ENOENT, "rename", from.native());
  change({{{to.native(), found->second}, {from.native(), nullptr}}});
  return {};
}

Status SimulatedStorage::remove(const Path& path) {
  std::lock_guard lock(mutex_);
  TRY(begin_change("remove"));
  if (!names_.contains(path.native())) return errno_error(ENOENT, "remove", path.native());
  change({{{path.native(), nullptr}}});
  return {};
}

Status SimulatedStorage::truncate(const Path& path, std::uint64_t size) {
  std::lock_guard lock(mutex_);
  const auto found = names_.find(path.native());
  if (found == names_.end()) return errno_error(ENOENT, "truncate", path.native());
  return resize(*found->second, generation_, size);
}

Status SimulatedStorage::sync_directory(const Path& /*directory*/) {
  std::lock_guard lock(mutex_);
  TRY(begin_change("sync"));
  for (const Change& c : pending_)
    for (const auto& [name, inode] : c.sets) durable_names_[name] = inode;
  pending_.clear();
  std::erase_if(durable_names_, [](const auto& entry) { return entry.second == nullptr; });
  return {};
}

Status SimulatedStorage::make_directory(const Path& directory) {
  std::lock_guard lock(mutex_);
  TRY(begin_change("make folder"));
  directories_.insert(directory.native());
  return {};
}

Result<std::unique_ptr<Storage::Lock>> SimulatedStorage::lock(const Path& directory) {
  std::lock_guard lock(mutex_);
  if (!locked_.insert(directory.native()).second) return Error(ErrorCode::conflict, "open already");
  return std::unique_ptr<Lock>(
      std::make_unique<SimulatedLock>(*this, directory.native(), generation_));
}

namespace {

std::vector<std::byte> content_of(SimulatedStorage& storage, const char* path) {
  const auto file = storage.open(path);
  if (!file.ok()) return {};
  std::vector<std::byte> out((*file)->size());
  EXPECT_TRUE((*file)->read(0, out).ok());
  return out;
}

TEST(SimulatedStorage, KeepsWhatWasSyncedAndMayLoseTheRest) {
  bool lost_bytes = false, kept_bytes = false, lost_name = false, kept_name = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedStorage storage(seed);
    ASSERT_TRUE(storage.make_directory("d").ok());
    auto file = storage.create("d/synced");
    const std::vector<std::byte> first(700, std::byte{1}), second(2000, std::byte{2});
    ASSERT_TRUE((*file)->append(first).ok());
    ASSERT_TRUE((*file)->sync().ok());
    ASSERT_TRUE(storage.sync_directory("d").ok());
    ASSERT_TRUE((*file)->append(second).ok());
    ASSERT_TRUE(storage.create("d/not synced").ok());
    EXPECT_EQ(content_of(storage, "d/synced").size(), 2700U);
    storage.crash();
    EXPECT_FALSE((*file)->append(first).ok());
    const auto content = content_of(storage, "d/synced");
    ASSERT_GE(content.size(), 700U);
    ASSERT_TRUE(std::equal(first.begin(), first.end(), content.begin()));
    const bool whole =
        content.size() == 2700 && std::equal(second.begin(), second.end(), content.begin() + 700);
    (whole ? kept_bytes : lost_bytes) = true;
    (storage.open("d/not synced").ok() ? kept_name : lost_name) = true;
  }
  EXPECT_TRUE(lost_bytes && kept_bytes && lost_name && kept_name);
}

TEST(SimulatedStorage, AFailedSyncLosesForGoodWhatReadsStillShow) {
  bool lost = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedStorage storage(seed);
    ASSERT_TRUE(storage.make_directory("d").ok());
    auto file = storage.create("d/file");
    ASSERT_TRUE(storage.sync_directory("d").ok());
    const std::vector<std::byte> bytes(5000, std::byte{7});
    ASSERT_TRUE((*file)->append(bytes).ok());
    storage.schedule(SimulatedStorage::Fault::sync, 0);
    EXPECT_FALSE((*file)->sync().ok());
    EXPECT_EQ(content_of(storage, "d/file"), bytes);
    EXPECT_TRUE((*file)->sync().ok());
    storage.crash();
    lost = lost || content_of(storage, "d/file") != bytes;
  }
  EXPECT_TRUE(lost);
}

TEST(SimulatedStorage, AFullDiskWritesAPart) {
  SimulatedStorage storage(1);
  ASSERT_TRUE(storage.make_directory("d").ok());
  auto file = storage.create("d/file");
  storage.schedule(SimulatedStorage::Fault::no_space, 0);
  const std::vector<std::byte> bytes(5000);
  EXPECT_EQ((*file)->append(bytes).error().code, ErrorCode::resource_exhausted);
  EXPECT_LT((*file)->size(), bytes.size());
  EXPECT_TRUE((*file)->append(bytes).ok());
}

}  // namespace
}  // namespace similis::engine
