#include "engine/graph/graph.h"

#include <algorithm>

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

}  // namespace similis::engine
