#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/codes/code_table.h"
#include "engine/codes/frame.h"
#include "engine/graph/graph.h"
#include "engine/storage/derived_file.h"

namespace similis::engine {

/// What finds the near ones among the first rows of a segment without reading their vectors: a
/// record of every row in the frame of their principal components, and a graph over them.
/// Immutable.
struct SegmentGraph {
  /// A row of equal bytes to another one, which alone is in the graph.
  struct Copy {
    std::uint32_t original;
    std::uint32_t row;
    friend auto operator<=>(const Copy&, const Copy&) = default;
  };
  /// What walks of such a reach (WalkLimits) were measured to hold of the true nearest ones.
  struct Effort {
    std::uint32_t k = 0;
    float reach = 0;
    float recall = 0;       // 0..1
    float comparisons = 0;  // of a walk, on average
  };

  Frame frame;
  CodeTable codes;  // of rows that are neither in the graph nor copies: undefined
  Edges graph;
  std::uint32_t entry = 0;                // where walks begin
  std::vector<Copy> copies;               // ascending
  std::vector<std::uint32_t> zeros = {};  // rows without direction: cosine cannot place them
  std::vector<Effort> efforts = {};       // by k, then by reach

  /// How many rows there were when frame and efforts were last learnt.
  std::uint32_t learnt_rows = 0;
  /// Of metric inner_product what rows are lifted by (lift.h): none in the graph is longer.
  float norm_bound = 0;

  [[nodiscard]] std::uint32_t rows() const { return codes.rows(); }
  std::vector<std::uint64_t> is_copy = {};  // bit a row; empty: there are none

  /// Fills is_copy.
  void mark_copies();
  /// Where walks begin: the entry, and rows far from it and from one another, so that a walk need
  /// not find its way to what lies apart. Fills them, from the records.
  void find_entries();
  std::vector<std::uint32_t> entries = {};
  /// The rows of equal bytes to a row of the graph, ascending.
  [[nodiscard]] std::span<const Copy> copies_of(std::uint32_t row) const;
  /// The least effort that finds `recall` of the nearest k; where none was measured to, twice the
  /// most that was tried.
  [[nodiscard]] Effort effort(std::size_t k, float recall) const;
  [[nodiscard]] std::uint64_t bytes_in_memory() const;
};

/// Writes it to a file of its own.
Result<Manifest::Derived> write_segment_graph(const SegmentGraph& graph, Storage& storage,
                                              const std::filesystem::path& directory,
                                              const Uuid& index, std::uint64_t file,
                                              std::uint32_t segment);

/// `corruption` when it does not hold together. `dimensions`: lifted_dimensions() of the index.
Result<std::shared_ptr<const SegmentGraph>> read_segment_graph(
    Storage& storage, const std::filesystem::path& directory, const Uuid& index,
    std::uint32_t segment, std::uint32_t dimensions, const Manifest::Derived& record);

}  // namespace similis::engine
