#include "engine/id_map.h"

#include <algorithm>
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

// The part of the whole range that the scattered id lies in.
std::size_t IdMap::home_of(std::uint64_t id) const {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::size_t>(static_cast<Wide>(scatter(id)) * entries_.size() >> 64);
}

std::size_t IdMap::slot_of(std::uint64_t id) const {
  std::size_t at = home_of(id);
  while (entries_[at].id != 0 && entries_[at].id != id) at = after(at);
  return at;
}

void IdMap::rehash(std::size_t capacity) {
  std::vector<Entry> old(capacity);
  old.swap(entries_);
  for (const Entry& entry : old)
    if (entry.id != 0) entries_[slot_of(entry.id)] = entry;
}

void IdMap::make_room(std::size_t count) {
  const std::size_t needed = std::max<std::size_t>(64, count + count / 4 + 1);
  if (needed > entries_.size()) rehash(needed);
}

void IdMap::scatter_places() {
  dense_ = false;
  make_room(count_ + 1);
  for (std::size_t id = 1; id < places_.size(); ++id)
    if (places_[id].segment != kNowhere) entries_[slot_of(id)] = {id, places_[id]};
  places_ = {};
}

void IdMap::reserve(std::size_t count, std::uint64_t largest) {
  if (dense_ && !is_dense(count, largest)) scatter_places();
  if (!dense_) {
    make_room(count);
  } else if (largest >= places_.size()) {
    places_.resize(largest + 1, {kNowhere, 0});
  }
}

std::optional<Location> IdMap::put(std::uint64_t id, Location location) {
  if (dense_ && id >= places_.size()) {
    if (!is_dense(count_ + 1, id)) {
      scatter_places();
    } else {
      places_.resize(id + 1 + id / 2, {kNowhere, 0});
    }
  }
  if (dense_) {
    const Location before = std::exchange(places_[id], location);
    if (before.segment != kNowhere) return before;
    ++count_;
    return std::nullopt;
  }
  if (const std::size_t count = count_ + 1; count + count / 4 >= entries_.size())
    make_room(count + count / 2);
  Entry& entry = entries_[slot_of(id)];
  if (entry.id == id) return std::exchange(entry.location, location);
  entry = {id, location};
  ++count_;
  return std::nullopt;
}

std::optional<Location> IdMap::find(std::uint64_t id) const {
  if (count_ == 0) return std::nullopt;
  if (dense_) {
    if (id >= places_.size() || places_[id].segment == kNowhere) return std::nullopt;
    return places_[id];
  }
  const Entry& entry = entries_[slot_of(id)];
  if (entry.id != id) return std::nullopt;
  return entry.location;
}

std::optional<Location> IdMap::remove(std::uint64_t id) {
  if (count_ == 0) return std::nullopt;
  if (dense_) {
    const std::optional<Location> out = find(id);
    if (out) places_[id].segment = kNowhere;
    count_ -= out ? 1 : 0;
    return out;
  }
  std::size_t hole = slot_of(id);
  if (entries_[hole].id != id) return std::nullopt;
  const Location out = entries_[hole].location;
  --count_;
  // Entries behind the hole move up when their home slot does not lie between hole and them.
  const auto distance = [&](std::size_t from, std::size_t to) {
    return to >= from ? to - from : to + entries_.size() - from;
  };
  for (std::size_t at = after(hole); entries_[at].id != 0; at = after(at)) {
    if (distance(home_of(entries_[at].id), at) >= distance(hole, at)) {
      entries_[hole] = entries_[at];
      hole = at;
    }
  }
  entries_[hole] = {};
  return out;
}

}  // namespace similis::engine
