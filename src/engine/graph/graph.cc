#include "engine/graph/graph.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace similis::engine {

Graph::Graph(std::uint32_t rows, std::uint32_t slots)
    : rows_(rows),
      slots_(slots),
      lists_(AlignedBuffer::huge(std::size_t{rows} * slots * sizeof(std::uint32_t))) {
  std::fill_n(list(0), std::size_t{rows} * slots, kNone);
}

void Graph::set_neighbours(std::uint32_t row, std::span<const std::uint32_t> edges) {
  std::uint32_t* to = list(row);
  for (std::size_t i = 0; i < edges.size(); ++i)
    __atomic_store_n(to + i, edges[i], __ATOMIC_RELAXED);
  for (std::size_t i = edges.size(); i < slots_; ++i) {
    if (__atomic_load_n(to + i, __ATOMIC_RELAXED) == kNone) break;
    __atomic_store_n(to + i, kNone, __ATOMIC_RELAXED);
  }
}

bool Graph::add_neighbour(std::uint32_t row, std::uint32_t edge) {
  std::uint32_t* to = list(row);
  for (std::uint32_t i = 0; i < slots_; ++i) {
    if (__atomic_load_n(to + i, __ATOMIC_RELAXED) != kNone) continue;
    __atomic_store_n(to + i, edge, __ATOMIC_RELAXED);
    return true;
  }
  return false;
}

Edges::Edges(const Graph& graph) {
  begins_.reserve(std::size_t{graph.rows()} + 1);
  std::uint32_t end = 0;
  for (std::uint32_t row = 0; row < graph.rows(); ++row) {
    std::uint32_t count = 0;
    graph.for_neighbours(row, [&](std::uint32_t) { ++count; });
    end += count;
    begins_.push_back(end);
  }
  make_room();
  std::uint64_t bit = 0;
  for (std::uint32_t row = 0; row < graph.rows(); ++row) {
    graph.for_neighbours(row, [&](std::uint32_t edge) {
      std::uint64_t word = 0;
      std::memcpy(&word, lists_.data() + bit / 8, sizeof word);
      word |= std::uint64_t{edge} << (bit % 8);
      std::memcpy(lists_.data() + bit / 8, &word, sizeof word);
      bit += bits_;
    });
  }
}

Edges::Edges(std::vector<std::uint32_t> begins, std::span<std::byte>& to_fill)
    : begins_(std::move(begins)) {
  make_room();
  to_fill = lists_.span().first(bytes_for(rows(), begins_.back()));
}

Edges Edges::copy() const {
  std::span<std::byte> lists;
  Edges out(begins_, lists);
  std::memcpy(lists.data(), lists_.data(), lists.size());
  return out;
}

unsigned Edges::bits_for(std::uint32_t rows) {
  return rows < 2 ? 1 : static_cast<unsigned>(std::bit_width(rows - 1));
}

void Edges::make_room() {
  slots_ = 0;
  for (std::size_t row = 0; row + 1 < begins_.size(); ++row)
    slots_ = std::max(slots_, begins_[row + 1] - begins_[row]);
  bits_ = bits_for(rows());
  mask_ = static_cast<std::uint32_t>((std::uint64_t{1} << bits_) - 1);
  lists_ = AlignedBuffer::huge(bytes_for(rows(), begins_.back()) + kPadding);
  std::memset(lists_.data(), 0, lists_.size());
}

std::vector<std::uint32_t> Edges::neighbours(std::uint32_t row) const {
  std::vector<std::uint32_t> out;
  for_neighbours(row, [&](std::uint32_t edge) { out.push_back(edge); });
  return out;
}

}  // namespace similis::engine
