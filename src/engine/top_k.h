#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "engine/index.h"

namespace similis::engine {

/// The k best hits seen: highest score first, equal scores by id ascending. The order is total, so
/// the result depends on neither the order of offers nor on how they were shared among threads.
class TopK {
 public:
  explicit TopK(std::size_t k) : k_(k) {}

  static bool better(const Hit& a, const Hit& b) {
    return a.score > b.score || (a.score == b.score && a.id < b.id);
  }

  /// Scores below this cannot enter.
  [[nodiscard]] float floor() const { return floor_; }

  /// What it has, in no order.
  [[nodiscard]] const std::vector<Hit>& hits() const { return heap_; }

  void offer(std::uint64_t id, float score) { offer(Hit{id, score}); }
  void offer(const Hit& hit) {
    if (heap_.size() < k_) {
      heap_.push_back(hit);
      std::push_heap(heap_.begin(), heap_.end(), better);
    } else if (better(hit, heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), better);
      heap_.back() = hit;
      std::push_heap(heap_.begin(), heap_.end(), better);
    } else {
      return;
    }
    if (heap_.size() == k_) floor_ = heap_.front().score;
  }

  void merge(const TopK& other) {
    for (const Hit& hit : other.heap_) offer(hit);
  }

  /// Best first; leaves this empty.
  std::vector<Hit> take() {
    std::sort(heap_.begin(), heap_.end(), better);
    return std::move(heap_);
  }

 private:
  std::size_t k_;
  std::vector<Hit> heap_;  // the worst at the front
  float floor_ = -std::numeric_limits<float>::infinity();
};

}  // namespace similis::engine
