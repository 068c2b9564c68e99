#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

namespace similis {

/// Grows at its end by one writer while any number of readers look at elements below size():
/// elements never move, so nobody waits. What an element held when size() came to include it is
/// visible; later changes of it are the element type's own business (atomics).
template <typename T>
class StableVector {
 public:
  StableVector() = default;
  ~StableVector() {
    for (auto& block : blocks_) delete[] block.load(std::memory_order_relaxed);
  }
  StableVector(const StableVector&) = delete;
  StableVector& operator=(const StableVector&) = delete;

  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_acquire); }

  T& operator[](std::size_t i) { return *at(i); }
  const T& operator[](std::size_t i) const { return *at(i); }

  /// A new element, default-made, handed to `fill` before any reader can see it. (writer)
  template <typename Fill>
  void append(Fill fill) {
    const std::size_t i = size_.load(std::memory_order_relaxed);
    const auto [block, offset] = place(i);
    if (offset == 0) blocks_[block].store(new T[kFirstBlock << block](), std::memory_order_release);
    fill(blocks_[block].load(std::memory_order_relaxed)[offset]);
    size_.store(i + 1, std::memory_order_release);
  }

  [[nodiscard]] std::size_t bytes_in_memory() const {
    std::size_t elements = 0;
    for (std::size_t b = 0; b < kBlocks; ++b)
      if (blocks_[b].load(std::memory_order_relaxed) != nullptr) elements += kFirstBlock << b;
    return elements * sizeof(T);
  }

 private:
  // Block b holds kFirstBlock * 2^b elements: 40 blocks are more than any memory.
  static constexpr std::size_t kFirstBlock = 256;
  static constexpr std::size_t kBlocks = 40;

  static std::pair<std::size_t, std::size_t> place(std::size_t i) {
    const std::size_t block = static_cast<std::size_t>(std::bit_width(i / kFirstBlock + 1)) - 1;
    return {block, i - kFirstBlock * ((std::size_t{1} << block) - 1)};
  }
  [[nodiscard]] T* at(std::size_t i) const {
    const auto [block, offset] = place(i);
    return blocks_[block].load(std::memory_order_acquire) + offset;
  }

  std::atomic<T*> blocks_[kBlocks] = {};
  std::atomic<std::size_t> size_{0};
};

}  // namespace similis
