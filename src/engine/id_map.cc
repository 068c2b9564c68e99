#include "engine/id_map.h"

#include <utility>

namespace similis::engine {
namespace {

// The finaliser of splitmix64: ids come in runs, slots must not.
std::uint64_t scatter(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

std::size_t IdMap::slot_of(std::uint64_t id) const {
  std::size_t at = scatter(id) & mask_;
  while (entries_[at].id != 0 && entries_[at].id != id) at = (at + 1) & mask_;
  return at;
}

void IdMap::rehash(std::size_t capacity) {
  std::vector<Entry> old(capacity);
  old.swap(entries_);
  mask_ = capacity - 1;
  for (const Entry& entry : old)
    if (entry.id != 0) entries_[slot_of(entry.id)] = entry;
}

void IdMap::reserve(std::size_t count) {
  std::size_t capacity = entries_.empty() ? 64 : entries_.size();
  while (count * 4 > capacity * 3) capacity *= 2;
  if (capacity != entries_.size()) rehash(capacity);
}

std::optional<Location> IdMap::put(std::uint64_t id, Location location) {
  reserve(count_ + 1);
  Entry& entry = entries_[slot_of(id)];
  if (entry.id == id) return std::exchange(entry.location, location);
  entry = {id, location};
  ++count_;
  return std::nullopt;
}

std::optional<Location> IdMap::find(std::uint64_t id) const {
  if (count_ == 0) return std::nullopt;
  const Entry& entry = entries_[slot_of(id)];
  if (entry.id != id) return std::nullopt;
  return entry.location;
}

std::optional<Location> IdMap::remove(std::uint64_t id) {
  if (count_ == 0) return std::nullopt;
  std::size_t hole = slot_of(id);
  if (entries_[hole].id != id) return std::nullopt;
  const Location out = entries_[hole].location;
  --count_;
  // Entries behind the hole move up when their home slot does not lie between hole and them.
  for (std::size_t at = (hole + 1) & mask_; entries_[at].id != 0; at = (at + 1) & mask_) {
    const std::size_t home = scatter(entries_[at].id) & mask_;
    if (((at - home) & mask_) >= ((at - hole) & mask_)) {
      entries_[hole] = entries_[at];
      hole = at;
    }
  }
  entries_[hole] = {};
  return out;
}

}  // namespace similis::engine
