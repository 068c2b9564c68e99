#include "engine/row_source.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "engine/index_impl.h"
#include "engine/simd/kernels.h"

namespace similis::engine {

RowSource::RowSource(IndexImpl& index, SegmentView view, std::uint32_t rows, unsigned threads,
                     const CallOptions& call)
    : index_(index), view_(std::move(view)), threads_(threads), call_(call) {
  view_.rows = rows;
  view_.graph = nullptr;
}

Status RowSource::check() const {
  if (index_.stopping) return Error(ErrorCode::cancelled, "the index is being closed");
  return call_.check();
}

Result<std::shared_ptr<VectorBlock>> RowSource::block_of(
    std::uint32_t number, AlignedBuffer& buffer, std::vector<std::uint32_t>& damaged) const {
  const Chunk& chunk = *(*view_.chunks)[number];
  if (auto block = chunk.block()) return block;
  const Geometry& geometry = index_.geometry;
  const std::uint32_t count =
      std::min(geometry.chunk_rows, view_.rows - number * geometry.chunk_rows);
  ASSIGN_OR_RETURN(auto block,
                   view_.segment->read_block(Reserved::of(index_.budget, geometry.chunk_bytes()),
                                             number, count, buffer, damaged));
  if (!damaged.empty() && !index_.drop_damaged(*view_.segment, damaged)) {
    return Error(ErrorCode::corruption,
                 "rows that were just written are not what was written: a graph without them would "
                 "hide them");
  }
  return block;
}

const std::uint16_t* RowSource::vector(const VectorBlock& block, std::uint32_t at) const {
  return reinterpret_cast<const std::uint16_t*>(block.data() +
                                                std::size_t{at} * index_.geometry.stride_bytes);
}

void RowSource::read(const VectorBlock& block, std::uint32_t at, std::vector<float>& out) const {
  out.resize(index_.geometry.dimensions);
  simd::kernels().to_float(vector(block, at), out.size(), out.data());
}

std::uint64_t RowSource::id(std::uint32_t row) const {
  const std::uint32_t chunk_rows = index_.geometry.chunk_rows;
  return (*view_.chunks)[row / chunk_rows]->ids[row % chunk_rows];
}

Status RowSource::for_chunks(std::uint32_t first, const Each& each) const {
  const std::uint32_t chunk_rows = index_.geometry.chunk_rows;
  const auto end =
      static_cast<std::uint32_t>((std::uint64_t{view_.rows} + chunk_rows - 1) / chunk_rows);
  std::atomic<std::uint32_t> next{first / chunk_rows};
  std::mutex mutex;
  Status status;
  index_.budget->pool().run(threads_, [&] {
    ScratchPool::Lease buffer(index_.scratch);
    for (std::uint32_t c = next++; c < end; c = next++) {
      Status here = check();
      if (here.ok()) {
        std::vector<std::uint32_t> damaged, sound;
        auto block = block_of(c, *buffer, damaged);
        if (block.ok()) {
          const Chunk& chunk = *(*view_.chunks)[c];
          const std::uint32_t begin = c * chunk_rows;
          for (std::uint32_t at = first > begin ? first - begin : 0;
               at < std::min(chunk_rows, view_.rows - begin); ++at) {
            const bool lives = chunk.deaths.of(at) == kAlive;
            if (lives && std::find(damaged.begin(), damaged.end(), begin + at) == damaged.end())
              sound.push_back(at);
          }
          each(begin, **block, sound);
          continue;
        }
        here = std::move(block).error();
      }
      std::lock_guard lock(mutex);
      status = std::move(here);
      next = end;
    }
  });
  return status;
}

}  // namespace similis::engine
