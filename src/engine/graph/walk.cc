#include "engine/graph/walk.h"

#include <algorithm>

namespace similis::engine {

bool Walk::first_visit(std::uint32_t row) {
  std::uint64_t& word = seen_[row / 64];
  const std::uint64_t bit = std::uint64_t{1} << (row % 64);
  if ((word & bit) != 0) return false;
  if (word == 0) marked_.push_back(row / 64);
  word |= bit;
  return true;
}

std::size_t Walk::offer(Candidate candidate) {
  if (count_ == list_size_ && !(candidate < list_[count_ - 1])) return count_;
  std::size_t at = count_ < list_size_ ? count_++ : count_ - 1;
  for (; at > 0 && candidate < list_[at - 1]; --at) {
    list_[at] = list_[at - 1];
    done_[at] = done_[at - 1];
  }
  list_[at] = candidate;
  done_[at] = 0;
  return at;
}

void Walk::begin(const Graph& graph, const CodeTable& codes, const QueryCode& query,
                 std::uint32_t entry, std::size_t list_size) {
  graph_ = &graph;
  codes_ = &codes;
  query_ = &query;
  list_size_ = list_size;
  list_.resize(list_size);
  done_.resize(list_size);
  count_ = 0;
  comparisons_ = 1;
  expanded_.clear();
  edges_.resize(graph.slots());
  fresh_.resize(graph.slots());
  fresh_count_ = 0;
  for (const std::uint32_t word : marked_) seen_[word] = 0;
  marked_.clear();
  if (seen_.size() * 64 < graph.rows()) seen_.resize(graph.rows() / 64 + 1);

  (void)first_visit(entry);
  offer({query.walk(codes.record(entry)), entry});
  next_ = 0;
  graph.prefetch(entry);
}

bool Walk::step() {
  if (fresh_count_ > 0) {
    compare();
    return true;
  }
  while (next_ < count_ && done_[next_] != 0) ++next_;
  if (next_ == count_) return false;
  look_around();
  return true;
}

/// Expands the nearest row: those beside it that were not met yet are to be compared.
void Walk::look_around() {
  done_[next_] = 1;
  expanded_.push_back(list_[next_]);
  const std::uint32_t edges = graph_->neighbours(list_[next_].row, edges_.data());
  for (std::uint32_t i = 0; i < edges; ++i) {
    if (!first_visit(edges_[i])) continue;
    codes_->prefetch_walk(edges_[i]);
    fresh_[fresh_count_++] = edges_[i];
  }
  // The edges of the one that comes next, as far as it is known.
  while (next_ < count_ && done_[next_] != 0) ++next_;
  if (next_ < count_) graph_->prefetch(list_[next_].row);
}

void Walk::compare() {
  for (std::size_t i = 0; i < fresh_count_; ++i) {
    const std::size_t place = offer({query_->walk(codes_->record(fresh_[i])), fresh_[i]});
    if (place > next_ || place == count_) continue;
    next_ = place;
    graph_->prefetch(fresh_[i]);
  }
  comparisons_ += fresh_count_;
  fresh_count_ = 0;
}

}  // namespace similis::engine
