#pragma once

#include <mutex>
#include <vector>

#include "engine/storage/aligned_buffer.h"

namespace similis::engine {

/// Read buffers that go from search to search, so that a search in steady state allocates none.
class ScratchPool {
 public:
  /// Returns its buffer to the pool at its end.
  class Lease {
   public:
    explicit Lease(ScratchPool& pool) : pool_(pool), buffer_(pool.take()) {}
    ~Lease() { pool_.give(std::move(buffer_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    AlignedBuffer& operator*() { return buffer_; }

   private:
    ScratchPool& pool_;
    AlignedBuffer buffer_;
  };

 private:
  static constexpr std::size_t kKeptMax = 8;

  AlignedBuffer take() {
    std::lock_guard lock(mutex_);
    if (free_.empty()) return {};
    AlignedBuffer out = std::move(free_.back());
    free_.pop_back();
    return out;
  }
  void give(AlignedBuffer buffer) {
    std::lock_guard lock(mutex_);
    if (buffer.size() > 0 && free_.size() < kKeptMax) free_.push_back(std::move(buffer));
  }

  std::mutex mutex_;
  std::vector<AlignedBuffer> free_;
};

}  // namespace similis::engine
