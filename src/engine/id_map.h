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

/// id (not 0) → Location. While most ids up to the largest are there, as rows numbered one after
/// another have them, a place for each, of 8 bytes. Else open addressing with linear probing, 16
/// bytes an entry, at most four fifths full; of any size, so that one made for its entries has no
/// more room than that. Not safe from several threads.
class IdMap {
 public:
  /// What the id led to before.
  std::optional<Location> put(std::uint64_t id, Location location);
  std::optional<Location> remove(std::uint64_t id);
  [[nodiscard]] std::optional<Location> find(std::uint64_t id) const;
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] std::uint64_t bytes_in_memory() const {
    return entries_.size() * sizeof(Entry) + places_.size() * sizeof(Location);
  }
  /// Room for so many ids in all, of which none is larger.
  void reserve(std::size_t count, std::uint64_t largest);

 private:
  static constexpr std::uint32_t kNowhere = UINT32_MAX;
  struct Entry {
    std::uint64_t id = 0;  // 0: free
    Location location;
  };
  /// Whether a place for each id takes no more than entries for all would.
  static bool is_dense(std::size_t count, std::uint64_t largest) {
    return largest <= 2 * std::uint64_t{count} + kDenseMin;
  }
  static constexpr std::uint64_t kDenseMin = 64;
  [[nodiscard]] std::size_t home_of(std::uint64_t id) const;
  [[nodiscard]] std::size_t after(std::size_t slot) const {
    return slot + 1 == entries_.size() ? 0 : slot + 1;
  }
  [[nodiscard]] std::size_t slot_of(std::uint64_t id) const;
  void rehash(std::size_t capacity);
  void make_room(std::size_t count);
  /// Puts what places_ has into entries_.
  void scatter_places();

  bool dense_ = true;
  std::vector<Location> places_;  // by id, while dense_; segment kNowhere: not there
  std::vector<Entry> entries_;    // else
  std::size_t count_ = 0;
};

}  // namespace similis::engine
