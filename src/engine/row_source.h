#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/index.h"
#include "engine/segment.h"

namespace similis::engine {

/// The vectors of a segment's first rows, chunk by chunk, from memory or disk, for what is made of
/// them. Safe from several threads.
class RowSource {
 public:
  /// `view`: of the rows and perhaps more.
  RowSource(IndexImpl& index, SegmentView view, std::uint32_t rows, unsigned threads,
            const CallOptions& call);

  /// Of these rows alone, without a graph.
  [[nodiscard]] const SegmentView& view() const { return view_; }
  [[nodiscard]] std::uint32_t rows() const { return view_.rows; }
  [[nodiscard]] unsigned threads() const { return threads_; }
  [[nodiscard]] const CallOptions& call() const { return call_; }
  /// Whether to go on: the index may be about to close.
  [[nodiscard]] Status check() const;

  /// The vectors of a chunk. Rows whose bytes are not what was written are added to `damaged`, and
  /// die of it.
  Result<std::shared_ptr<VectorBlock>> block_of(std::uint32_t chunk, AlignedBuffer& buffer,
                                                std::vector<std::uint32_t>& damaged) const;
  [[nodiscard]] const std::uint16_t* vector(const VectorBlock& block, std::uint32_t at) const;
  /// The same as numbers, into `out`.
  void read(const VectorBlock& block, std::uint32_t at, std::vector<float>& out) const;
  [[nodiscard]] std::uint64_t id(std::uint32_t row) const;

  /// `sound`: places in the chunk of rows that live.
  using Each = std::function<void(std::uint32_t first_row, const VectorBlock& block,
                                  std::span<const std::uint32_t> sound)>;
  /// Calls `each` for all chunks that hold rows from `first` on, for those rows, on several
  /// threads.
  Status for_chunks(std::uint32_t first, const Each& each) const;

 private:
  IndexImpl& index_;
  SegmentView view_;
  const unsigned threads_;
  const CallOptions& call_;
};

}  // namespace similis::engine
