#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace similis::engine {

/// Where a row lies: the segment's number and the ordinal in it.
struct Location {
  std::uint32_t segment = 0;
  std::uint32_t ordinal = 0;
  friend bool operator==(const Location&, const Location&) = default;
};

/// id (not 0) → Location: open addressing with linear probing, 16 bytes an entry, at most four
/// fifths full; of any size, so that one made for its entries has no more room than that. Not safe
/// from several threads.
class IdMap {
 public:
  /// What the id led to before.
  std::optional<Location> put(std::uint64_t id, Location location);
  std::optional<Location> remove(std::uint64_t id);
  [[nodiscard]] std::optional<Location> find(std::uint64_t id) const;
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] std::uint64_t bytes_in_memory() const { return entries_.size() * sizeof(Entry); }
  void reserve(std::size_t count);

 private:
  struct Entry {
    std::uint64_t id = 0;  // 0: free
    Location location;
  };
  [[nodiscard]] std::size_t home_of(std::uint64_t id) const;
  [[nodiscard]] std::size_t after(std::size_t slot) const {
    return slot + 1 == entries_.size() ? 0 : slot + 1;
  }
  [[nodiscard]] std::size_t slot_of(std::uint64_t id) const;
  void rehash(std::size_t capacity);

  std::vector<Entry> entries_;
  std::size_t count_ = 0;
};

}  // namespace similis::engine
