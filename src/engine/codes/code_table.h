#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/codes/code.h"
#include "engine/prefetch.h"
#include "engine/storage/aligned_buffer.h"

namespace similis::engine {

/// The records of rows, one behind the other; not initialised.
class CodeTable {
 public:
  CodeTable(const CodeLayout& layout, std::uint32_t rows)
      : layout_(layout),
        stride_(layout.record_bytes()),
        rows_(rows),
        records_(AlignedBuffer::huge(rows * stride_)) {}

  [[nodiscard]] const CodeLayout& layout() const { return layout_; }
  [[nodiscard]] std::uint32_t rows() const { return rows_; }
  [[nodiscard]] const std::byte* record(std::uint32_t row) const {
    return records_.data() + row * stride_;
  }
  [[nodiscard]] std::byte* record(std::uint32_t row) { return records_.data() + row * stride_; }
  /// Fetches what a walk reads of the record, and what it leaves.
  void prefetch_walk(std::uint32_t row) const { prefetch(record(row), layout_.refine_offset()); }
  void prefetch_refinement(std::uint32_t row) const {
    prefetch(record(row) + layout_.refine_offset(), stride_ - layout_.refine_offset());
  }
  /// All records.
  [[nodiscard]] std::span<std::byte> bytes() const { return records_.span(); }

 private:
  CodeLayout layout_;
  std::size_t stride_;
  std::uint32_t rows_;
  AlignedBuffer records_;
};

}  // namespace similis::engine
