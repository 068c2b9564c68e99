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

/// Memory at a block's alignment, uninitialised. Throws std::bad_alloc as new does. Large ones are
/// mappings of their own: they go back to the system at their end, and pages that nobody touched
/// take no memory.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t bytes) : AlignedBuffer(bytes, kBlockBytes) {}

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
#ifdef __SANITIZE_ADDRESS__
  static constexpr std::size_t kMappedBytes = SIZE_MAX;  // which watches over malloc's memory only
#else
  static constexpr std::size_t kMappedBytes = 64 << 10;
#endif
  /// `alignment`: kBlockBytes or kHugePageBytes.
  AlignedBuffer(std::size_t bytes, std::size_t alignment)
      : bytes_(bytes),
        data_(bytes < kMappedBytes ? allocate(bytes, alignment) : map(bytes, alignment),
              Free(bytes < kMappedBytes ? 0 : round_up(bytes, kBlockBytes))) {}

  static std::byte* allocate(std::size_t bytes, std::size_t alignment) {
    void* const out = std::aligned_alloc(alignment, round_up(bytes == 0 ? 1 : bytes, alignment));
    if (out == nullptr) throw std::bad_alloc();
    return static_cast<std::byte*>(out);
  }
  static std::byte* map(std::size_t bytes, std::size_t alignment) {
    // What lies in front of the first multiple of the alignment, and behind the end, is given back.
    const std::size_t needed = round_up(bytes, kBlockBytes), slack = alignment - kBlockBytes;
    void* const out =
        ::mmap(nullptr, needed + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (out == MAP_FAILED) throw std::bad_alloc();
    auto* const begin = static_cast<std::byte*>(out);
    const std::size_t front =
        (alignment - reinterpret_cast<std::uintptr_t>(out) % alignment) % alignment;
    if (front > 0) (void)::munmap(begin, front);
    if (slack > front) (void)::munmap(begin + front + needed, slack - front);
    return begin + front;
  }

  struct Free {
    Free() : mapped(0) {}
    explicit Free(std::size_t bytes) : mapped(bytes) {}
    std::size_t mapped;  // bytes; 0: allocated
    void operator()(std::byte* p) const {
      if (mapped == 0) {
        std::free(p);
      } else {
        (void)::munmap(p, mapped);
      }
    }
  };
  std::size_t bytes_ = 0;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace similis::engine
