#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace similis::engine {

/// Disk reads are aligned to this; regions of a part begin at its multiples.
inline constexpr std::size_t kBlockBytes = 4096;
inline constexpr std::size_t kHugePageBytes = 2 << 20;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Memory at a block's alignment, uninitialised. Throws std::bad_alloc as new does.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  /// `alignment`: a power of two.
  explicit AlignedBuffer(std::size_t bytes, std::size_t alignment = kBlockBytes)
      : bytes_(bytes),
        data_(static_cast<std::byte*>(
            std::aligned_alloc(alignment, round_up(bytes == 0 ? 1 : bytes, alignment)))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }

  /// The same, and the kernel may back it with huge pages: for what is filled at once and read all
  /// over. One that fills bit by bit would take pages it does not use yet.
  static AlignedBuffer huge(std::size_t bytes) {
    if (bytes < kHugePageBytes) return AlignedBuffer(bytes);
    AlignedBuffer out(bytes, kHugePageBytes);
    // For whole huge pages only; a kernel without them says no, and nothing is lost.
    (void)::madvise(out.data(), bytes / kHugePageBytes * kHugePageBytes, MADV_HUGEPAGE);
    return out;
  }

  [[nodiscard]] std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return bytes_; }
  [[nodiscard]] std::span<std::byte> span() const { return {data_.get(), bytes_}; }
  /// Grows, losing the content.
  void ensure(std::size_t bytes) {
    if (bytes > bytes_) *this = AlignedBuffer(bytes);
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::size_t bytes_ = 0;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace similis::engine
