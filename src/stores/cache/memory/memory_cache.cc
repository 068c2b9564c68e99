#include "stores/cache/memory/memory_cache.h"

#include <chrono>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

namespace similis {
namespace {

/// What an entry costs beside its key and value: list node, map node, string heads.
constexpr std::int64_t kEntryBytes = 160;

class MemoryCache final : public Cache {
 public:
  explicit MemoryCache(std::int64_t bytes_max) : bytes_max_(bytes_max) {}

  std::optional<std::string> get(const Context&, std::string_view key) override {
    const std::lock_guard lock(mutex_);
    const auto it = by_key_.find(key);
    if (it != by_key_.end() && it->second->expires <= Clock::now()) {
      remove(it->second);
    } else if (it != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, it->second);
      ++hits_;
      return it->second->value;
    }
    ++misses_;
    return std::nullopt;
  }

  void put(const Context&, std::string_view key, std::string value,
           std::chrono::seconds ttl) override {
    // Beyond a century the clock's range would overflow, and nobody waits to see.
    const bool forever = ttl.count() <= 0 || ttl > std::chrono::years(100);
    const auto expires = forever ? Clock::time_point::max() : Clock::now() + ttl;
    Entry entry{std::string(key), std::move(value), expires};
    const std::lock_guard lock(mutex_);
    if (const auto it = by_key_.find(key); it != by_key_.end()) remove(it->second);
    if (size_of(entry) > bytes_max_) return;
    bytes_ += size_of(entry);
    entries_.push_front(std::move(entry));
    by_key_.emplace(entries_.front().key, entries_.begin());
    while (bytes_ > bytes_max_) remove(std::prev(entries_.end()));
  }

  void erase(const Context&, std::string_view key) override {
    const std::lock_guard lock(mutex_);
    if (const auto it = by_key_.find(key); it != by_key_.end()) remove(it->second);
  }

  [[nodiscard]] CacheStats stats() const override {
    const std::lock_guard lock(mutex_);
    return {static_cast<std::int64_t>(entries_.size()), bytes_, bytes_max_, hits_, misses_};
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::string key;
    std::string value;
    Clock::time_point expires;
  };
  using Entries = std::list<Entry>;

  static std::int64_t size_of(const Entry& entry) {
    return static_cast<std::int64_t>(entry.key.size() + entry.value.size()) + kEntryBytes;
  }

  void remove(Entries::iterator it) {
    bytes_ -= size_of(*it);
    by_key_.erase(it->key);
    entries_.erase(it);
  }

  const std::int64_t bytes_max_;
  // One mutex: an operation holds it for less than a microsecond beside the copy of a value.
  mutable std::mutex mutex_;
  Entries entries_;                                                 // most recently used first
  std::unordered_map<std::string_view, Entries::iterator> by_key_;  // keys live in the entries
  std::int64_t bytes_ = 0;
  std::int64_t hits_ = 0;
  std::int64_t misses_ = 0;
};

}  // namespace

std::unique_ptr<Cache> make_memory_cache(const MemoryCacheOptions& options) {
  return std::make_unique<MemoryCache>(options.bytes_max);
}

}  // namespace similis
