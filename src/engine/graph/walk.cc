#include "engine/graph/walk.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace similis::engine {
namespace {

// A place in the list as one number, so that one comparison orders two of them, nearer first and
// then by row: the nearness, the row, and whether its edges were followed.
constexpr std::uint64_t kExpanded = 1;

std::uint64_t key_of(float nearness, std::uint32_t row) {
  const auto bits = std::bit_cast<std::uint32_t>(nearness);
  // Ascending as floats descend.
  const std::uint32_t farness = (bits >> 31) != 0 ? bits : ~(bits | 0x8000'0000U);
  return std::uint64_t{farness} << 32 | std::uint64_t{row} << 1;
}

std::uint32_t row_of(std::uint64_t key) {
  return static_cast<std::uint32_t>(key) >> 1;
}

float nearness_of(std::uint64_t key) {
  const auto farness = static_cast<std::uint32_t>(key >> 32);
  return std::bit_cast<float>((farness >> 31) != 0 ? farness : ~farness & 0x7fff'ffffU);
}

}  // namespace

template <typename Graph>
void Walk<Graph>::begin(const Graph& graph, const CodeTable& codes, const QueryCode& query,
                        std::span<const std::uint32_t> entries, const WalkLimits& limits) {
  graph_ = &graph;
  codes_ = &codes;
  query_ = &query;
  limits_ = limits;
  floor_ = std::numeric_limits<std::uint64_t>::max();
  list_.resize(limits.list_size);
  count_ = 0;
  comparisons_ = entries.size();
  expanded_.clear();
  fresh_.resize(graph.slots() + 1);
  fresh_count_ = 0;
  for (std::size_t i = 0; i < marked_count_; ++i) seen_[marked_[i]] = 0;
  marked_count_ = 0;
  const std::size_t words = graph.rows() / 64 + 1;
  if (seen_.size() < words) {
    seen_.resize(words);
    marked_.resize(words + 1);
  }
  for (const std::uint32_t entry : entries) {
    if (meet(entry, 0) > 0) offer(key_of(query.walk(codes.record(entry)), entry));
  }
  next_ = 0;
  graph.prefetch(row_of(list_.front()));
}

template <typename Graph>
bool Walk<Graph>::step() {
  if (fresh_count_ > 0) {
    compare();
    return true;
  }
  find_next();
  if (next_ >= count_) return false;
  look_around();
  return true;
}

/// Puts the row behind `fresh` others to be compared, unless it was met before; how many there are
/// then. Without a branch, as nobody could foretell it.
template <typename Graph>
std::size_t Walk<Graph>::meet(std::uint32_t row, std::size_t fresh) {
  std::uint64_t& word = seen_[row / 64];
  const std::uint64_t bit = std::uint64_t{1} << (row % 64);
  const std::uint64_t before = word;
  word = before | bit;
  marked_[marked_count_] = row / 64;
  marked_count_ += before == 0 ? 1 : 0;
  fresh_[fresh] = row;
  return fresh + ((before & bit) == 0 ? 1 : 0);
}

template <typename Graph>
std::size_t Walk<Graph>::offer(std::uint64_t key) {
  if (key >= floor_) return count_;
  std::size_t place = 0;
  for (std::size_t left = count_; left > 0;) {
    const std::size_t half = (left + 1) / 2;
    place += list_[place + half - 1] < key ? half : 0;
    left -= half;
  }
  if (count_ < limits_.list_size) ++count_;
  const auto at = list_.begin() + static_cast<std::ptrdiff_t>(place);
  const auto end = list_.begin() + static_cast<std::ptrdiff_t>(count_);
  std::move_backward(at, end - 1, end);
  *at = key;
  if (place < limits_.rank) draw_floor();
  if (count_ == limits_.list_size) floor_ = std::min(floor_, list_[count_ - 1]);
  return place;
}

template <typename Graph>
void Walk<Graph>::draw_floor() {
  if (count_ < limits_.rank || !std::isfinite(limits_.reach)) return;
  const float own = query_->squared_length();
  const float distance = own - 2 * nearness_of(list_[limits_.rank - 1]);
  const float farthest = distance + limits_.reach * std::max(distance, own / 2);
  floor_ = std::min(floor_, key_of((own - farthest) / 2, 0));
  while (count_ > limits_.rank && list_[count_ - 1] >= floor_) --count_;
}

template <typename Graph>
void Walk<Graph>::find_next() {
  while (next_ < count_ && (list_[next_] & kExpanded) != 0) ++next_;
}

/// Expands the nearest row: those beside it that were not met yet are to be compared.
template <typename Graph>
void Walk<Graph>::look_around() {
  std::uint64_t& nearest = list_[next_];
  const std::uint32_t from = row_of(nearest);
  expanded_.push_back({nearness_of(nearest), from});
  std::size_t fresh = 0;
  graph_->for_neighbours(from, [&](std::uint32_t row) { fresh = meet(row, fresh); });
  nearest |= kExpanded;
  fresh_count_ = fresh;
  for (std::size_t i = 0; i < fresh; ++i) codes_->prefetch_walk(fresh_[i]);
  // The edges of the one that comes next, as far as it is known.
  find_next();
  if (next_ < count_) graph_->prefetch(row_of(list_[next_]));
}

template <typename Graph>
void Walk<Graph>::compare() {
  const std::byte* records[QueryCode::kWalkMax];
  float nearness[QueryCode::kWalkMax];
  for (std::size_t begin = 0; begin < fresh_count_; begin += QueryCode::kWalkMax) {
    const std::size_t count = std::min(fresh_count_ - begin, QueryCode::kWalkMax);
    for (std::size_t i = 0; i < count; ++i) records[i] = codes_->record(fresh_[begin + i]);
    query_->walk(std::span(records).first(count), nearness);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t place = offer(key_of(nearness[i], fresh_[begin + i]));
      if (place > next_ || place == count_) continue;
      next_ = place;
      graph_->prefetch(fresh_[begin + i]);
    }
  }
  comparisons_ += fresh_count_;
  fresh_count_ = 0;
}

template <typename Graph>
std::span<const Candidate> Walk<Graph>::found() {
  found_.resize(count_);
  for (std::size_t i = 0; i < count_; ++i) found_[i] = {nearness_of(list_[i]), row_of(list_[i])};
  return found_;
}

template class Walk<Graph>;
template class Walk<Edges>;

}  // namespace similis::engine
