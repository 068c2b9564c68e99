#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/codes/code.h"
#include "engine/storage/aligned_buffer.h"

namespace similis::engine {

/// The records of a segment's rows, in chunks that never move: one thread appends while others
/// read the rows that were there when they were told of them.
class CodeTable {
 public:
  explicit CodeTable(const CodeLayout& layout) : layout_(layout), stride_(layout.record_bytes()) {}

  [[nodiscard]] const CodeLayout& layout() const { return layout_; }
  [[nodiscard]] const std::byte* record(std::uint32_t row) const {
    return chunks_[row / kChunkRows].data() + row % kChunkRows * stride_;
  }
  [[nodiscard]] std::byte* record(std::uint32_t row) {
    return chunks_[row / kChunkRows].data() + row % kChunkRows * stride_;
  }
  /// Not while others read.
  void resize(std::uint32_t rows) {
    while (chunks_.size() * kChunkRows < rows)
      chunks_.push_back(AlignedBuffer::huge(kChunkRows * stride_));
    rows_ = rows;
  }
  [[nodiscard]] std::uint32_t rows() const { return rows_; }

 private:
  static constexpr std::uint32_t kChunkRows = 1 << 16;
  CodeLayout layout_;
  std::size_t stride_;
  std::uint32_t rows_ = 0;
  std::vector<AlignedBuffer> chunks_;
};

}  // namespace similis::engine
