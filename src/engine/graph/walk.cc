#include "engine/graph/walk.h"

#include <algorithm>

namespace similis::engine {
namespace {

// So many rows ahead their records are on their way from memory.
constexpr std::size_t kAhead = 6;

// A loop in a function of its own: GCC 12 at -O2 may drop one of run-time length when it stands
// among other code.
[[gnu::noinline]] void prefetch(const std::byte* from, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

}  // namespace

bool Walk::first_visit(std::uint32_t row) {
  if (seen_[row] == round_) return false;
  seen_[row] = round_;
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

void Walk::run(const Graph& graph, const CodeTable& codes, const QueryCode& query,
               std::uint32_t entry, std::size_t list_size) {
  list_size_ = list_size;
  list_.resize(list_size);
  done_.resize(list_size);
  count_ = 0;
  comparisons_ = 1;
  expanded_.clear();
  edges_.resize(graph.slots());
  fresh_.resize(graph.slots());
  if (seen_.size() < graph.rows()) seen_.resize(graph.rows());
  if (++round_ == 0) {
    std::fill(seen_.begin(), seen_.end(), 0);
    round_ = 1;
  }
  const std::size_t walk_bytes = codes.layout().refine_offset();

  seen_[entry] = round_;
  offer({query.walk(codes.record(entry)), entry});
  for (std::size_t next = 0; next < count_;) {
    if (done_[next] != 0) {
      ++next;
      continue;
    }
    done_[next] = 1;
    expanded_.push_back(list_[next]);
    const std::uint32_t edges = graph.neighbours(list_[next].row, edges_.data());
    std::size_t fresh = 0;
    for (std::uint32_t i = 0; i < edges; ++i) {
      if (!first_visit(edges_[i])) continue;
      if (fresh < kAhead) prefetch(codes.record(edges_[i]), walk_bytes);
      fresh_[fresh++] = edges_[i];
    }
    // The edges of the one that comes next, as far as it is known, are fetched meanwhile.
    std::size_t nearest = next + 1;
    while (nearest < count_ && done_[nearest] != 0) ++nearest;
    if (nearest < count_) graph.prefetch(list_[nearest].row);
    for (std::size_t i = 0; i < fresh; ++i) {
      if (i + kAhead < fresh) prefetch(codes.record(fresh_[i + kAhead]), walk_bytes);
      const std::size_t place = offer({query.walk(codes.record(fresh_[i])), fresh_[i]});
      if (place > nearest || place == count_) continue;
      nearest = place;
      graph.prefetch(fresh_[i]);
    }
    comparisons_ += fresh;
    next = nearest;
  }
}

}  // namespace similis::engine
