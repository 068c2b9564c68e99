#include "engine/segment.h"

#include <algorithm>
#include <cstring>

#include "engine/graph/segment_graph.h"

namespace similis::engine {

// Pages are only touched where rows are, so rounding the allocation up costs address space alone.
VectorBlock::VectorBlock(Reserved memory, Filled filled)
    : memory_(std::move(memory)),
      buffer_(filled == Filled::at_once ? AlignedBuffer::huge(memory_.bytes())
                                        : AlignedBuffer(memory_.bytes())) {}

Segment::Segment(std::uint32_t number, const Geometry& geometry,
                 std::unique_ptr<AttributeColumns> columns, std::shared_ptr<MemoryBudget> budget)
    : number_(number),
      geometry_(geometry),
      columns_(std::move(columns)),
      budget_(std::move(budget)) {}

// The chunk that the next row goes into. A list that a snapshot may hold is copied to grow: 16
// bytes a chunk, once every chunk_rows rows.
Chunk& Segment::tail() {
  if (rows_ % geometry_.chunk_rows == 0) {
    if (chunks_viewed_) chunks_ = std::make_shared<ChunkList>(*chunks_);
    chunks_viewed_ = false;
    chunks_->push_back(std::make_shared<Chunk>(geometry_.chunk_rows));
  }
  return *chunks_->back();
}

std::uint32_t Segment::append(std::uint64_t id, std::span<const std::byte> vector) {
  Chunk& chunk = tail();
  const std::uint32_t at = rows_ % geometry_.chunk_rows;
  auto block = chunk.block();
  if (!block) {
    // Only a fresh chunk: one that is partly filled was loaded before, and eviction spares it.
    block = std::make_shared<VectorBlock>(Reserved::of(budget_, geometry_.chunk_bytes()),
                                          VectorBlock::Filled::by_and_by);
    chunk.set_block(block);
  }
  std::byte* row = block->data() + std::size_t{at} * geometry_.stride_bytes;
  std::memcpy(row, vector.data(), vector.size());
  std::memset(row + vector.size(), 0, geometry_.stride_bytes - vector.size());
  chunk.ids[at] = id;
  return rows_++;
}

std::uint32_t Segment::append_stored(std::uint64_t id, bool dead) {
  Chunk& chunk = tail();
  const std::uint32_t at = rows_ % geometry_.chunk_rows;
  chunk.ids[at] = id;
  if (dead) {
    death_bytes_ += chunk.deaths.set(at, 0);
    ++dead_;
    has_dead_ = true;
  }
  return rows_++;
}

bool Segment::kill(std::uint32_t ordinal, std::uint64_t lsn) {
  if (!alive(ordinal)) return false;
  has_dead_ = true;  // before anybody can see the row dead
  death_bytes_ +=
      (*chunks_)[ordinal / geometry_.chunk_rows]->deaths.set(ordinal % geometry_.chunk_rows, lsn);
  ++dead_;
  return true;
}

void Segment::mark_changed(std::uint32_t ordinal) {
  changed_.push_back(ordinal);
  if (tracked_) tracked_->push_back(ordinal);
}

GraphSize Segment::graph_size() const {
  if (graph_) return {graph_->rows(), graph_->bytes_beside_codes()};
  return stored_graph_ ? stored_graph_->size : GraphSize{};
}

SegmentView Segment::view(std::shared_ptr<const Segment> self) const {
  chunks_viewed_ = true;
  return {std::move(self), chunks_, rows_, dead_, graph_};
}

bool Segment::alive(std::uint32_t ordinal) const {
  return (*chunks_)[ordinal / geometry_.chunk_rows]->deaths.of(ordinal % geometry_.chunk_rows) ==
         kAlive;
}

std::uint64_t Segment::id(std::uint32_t ordinal) const {
  return (*chunks_)[ordinal / geometry_.chunk_rows]->ids[ordinal % geometry_.chunk_rows];
}

namespace {
void sort_unique(std::vector<std::uint32_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}
}  // namespace

std::vector<std::uint32_t> Segment::take_changed() {
  std::vector<std::uint32_t> out;
  out.swap(changed_);
  sort_unique(out);
  // Rows that no part holds yet are written whole, with the state they have then.
  out.erase(std::lower_bound(out.begin(), out.end(), persisted_rows_), out.end());
  return out;
}

std::vector<std::uint32_t> Segment::stop_tracking() {
  if (!tracked_) return {};
  std::vector<std::uint32_t> out = std::move(*tracked_);
  tracked_.reset();
  sort_unique(out);
  return out;
}

void Segment::set_parts(std::shared_ptr<const PartList> parts, std::uint32_t persisted_rows) {
  persisted_rows_ = persisted_rows;
  std::lock_guard lock(parts_mutex_);
  parts_.swap(parts);
}

std::shared_ptr<const PartList> Segment::parts() const {
  std::lock_guard lock(parts_mutex_);
  return parts_;
}

Result<std::shared_ptr<VectorBlock>> Segment::read_block(
    Reserved memory, std::uint32_t chunk, std::uint32_t rows, AlignedBuffer& scratch,
    std::vector<std::uint32_t>& damaged) const {
  const auto filled =
      rows == geometry_.chunk_rows ? VectorBlock::Filled::at_once : VectorBlock::Filled::by_and_by;
  auto block = std::make_shared<VectorBlock>(std::move(memory), filled);
  const auto parts_now = parts();
  const std::uint64_t begin = std::uint64_t{chunk} * geometry_.chunk_rows, end = begin + rows;
  std::vector<std::uint32_t> damaged_in_part;
  for (const auto& part : *parts_now) {
    const std::uint64_t from = std::max<std::uint64_t>(begin, part->first_ordinal());
    const std::uint64_t to =
        std::min<std::uint64_t>(end, std::uint64_t{part->first_ordinal()} + part->rows());
    if (from >= to) continue;
    const auto first = static_cast<std::uint32_t>(from - part->first_ordinal());
    const auto count = static_cast<std::uint32_t>(to - from);
    Part::Rows read;
    damaged_in_part.clear();
    TRY(part->read_rows(first, count, scratch, read, nullptr, damaged_in_part));
    for (const std::uint32_t row : damaged_in_part) damaged.push_back(part->first_ordinal() + row);
    std::byte* out = block->data() + (from - begin) * geometry_.stride_bytes;
    for (std::uint32_t i = 0; i < count; ++i, out += geometry_.stride_bytes) {
      std::memcpy(out, read.row(geometry_, first + i), geometry_.row_bytes);
      std::memset(out + geometry_.row_bytes, 0, geometry_.stride_bytes - geometry_.row_bytes);
    }
  }
  return block;
}

Status Segment::read_row(const ChunkList& chunks, std::uint32_t ordinal, AlignedBuffer& scratch,
                         std::vector<std::byte>& out, ReadCounters* counters) const {
  out.clear();
  const std::uint32_t at = ordinal % geometry_.chunk_rows;
  if (const auto block = chunks[ordinal / geometry_.chunk_rows]->block()) {
    const std::byte* const from = block->data() + std::size_t{at} * geometry_.stride_bytes;
    out.assign(from, from + geometry_.row_bytes);
    return {};
  }
  const auto parts_now = parts();
  for (const auto& part : *parts_now) {
    if (!part->holds(ordinal)) continue;
    const std::uint32_t in_part = ordinal - part->first_ordinal();
    Part::Rows read;
    std::vector<std::uint32_t> damaged;
    TRY(part->read_rows(in_part, 1, scratch, read, counters, damaged));
    if (!damaged.empty()) continue;
    const std::byte* const from = read.row(geometry_, in_part);
    out.assign(from, from + geometry_.row_bytes);
  }
  return {};
}

}  // namespace similis::engine
