#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
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

  /// What searches that doubt estimates so many times their errors keep of the nearest ones that
  /// walks come upon.
  struct Doubt {
    std::uint32_t record_bytes = 0;  // of the codes (CodeLayout)
    std::uint32_t k = 0;
    float doubt = 0;
    float exact = 0;    // 0..1, every score read
    float bounded = 0;  // 0..1, what is certain not read
  };

  Frame frame;
  CodeTable codes;  // of rows that are neither in the graph nor copies: undefined
  Edges graph;
  std::uint32_t entry = 0;                // where walks begin
  std::vector<Copy> copies;               // ascending
  std::vector<std::uint32_t> zeros = {};  // rows without direction: cosine cannot place them
  std::vector<Effort> efforts = {};       // by k, then by reach
  std::vector<Doubt> doubts = {};         // by codes, the longest first, by k, then by doubt

  /// How many rows there were when frame, efforts and doubts were last learnt.
  std::uint32_t learnt_rows = 0;
  /// Of metric inner_product what rows are lifted by (lift.h): none in the graph is longer, but for
  /// rounding.
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
  /// What finds `recall` of the nearest k with some to spare; where nothing that was tried did, by
  /// twice the most.
  [[nodiscard]] Effort effort(std::size_t k, float recall) const;
  [[nodiscard]] std::uint64_t bytes_in_memory() const {
    return codes.bytes().size() + bytes_beside_codes();
  }
  [[nodiscard]] std::uint64_t bytes_beside_codes() const;
};

/// The same graph with shorter codes: its own hold `layout`.
std::shared_ptr<const SegmentGraph> shortened(const SegmentGraph& graph, const CodeLayout& layout);

/// Writes it to a file of its own. Its codes are as they were made: with every bit.
Result<Manifest::Derived> write_segment_graph(const SegmentGraph& graph, Storage& storage,
                                              const std::filesystem::path& directory,
                                              const Uuid& index, std::uint64_t file,
                                              std::uint32_t segment);

/// One in its file, which holds its codes in full, whatever part of them there is room for.
class GraphFile {
 public:
  /// `corruption` when it does not hold together. `dimensions`: lifted_dimensions() of the index.
  static Result<GraphFile> open(Storage& storage, const std::filesystem::path& directory,
                                const Uuid& index, std::uint32_t segment, std::uint32_t dimensions,
                                const Manifest::Derived& record);

  [[nodiscard]] std::uint32_t rows() const { return head_.rows; }
  /// Of the codes in the file.
  [[nodiscard]] const CodeLayout& layout() const { return layout_; }
  /// What read() will take in memory besides the codes.
  [[nodiscard]] std::uint64_t bytes_beside_codes() const;
  /// The graph with codes of `layout`, which layout() holds, shortened as they are read.
  /// `corruption` when the file does not hold together.
  [[nodiscard]] Result<std::shared_ptr<const SegmentGraph>> read(const CodeLayout& layout) const;

 private:
  /// The first section; the frame, copies, zeros, efforts and doubts follow, then the records,
  /// where each row's edges begin, and the edges, each in as many sections as it takes.
  struct Head {
    std::uint32_t rows;
    std::uint32_t dimensions;
    std::uint32_t lead;
    std::uint32_t code;  // kCode
    std::uint32_t slots;
    std::uint32_t entry;
    std::uint32_t second_words;
    std::uint32_t third_words;
    std::uint64_t edges;
    std::uint32_t learnt_rows;
    float norm_bound;
  };
  static_assert(sizeof(Head) == 48);

  GraphFile(std::unique_ptr<DerivedFile> file, std::string name)
      : file_(std::move(file)), name_(std::move(name)) {}
  [[nodiscard]] Error bad() const;
  Status read_rows(std::size_t& section, std::span<std::byte> to) const;
  Status read_codes(std::size_t& section, CodeTable& to) const;

  friend Result<Manifest::Derived> write_segment_graph(const SegmentGraph& graph, Storage& storage,
                                                       const std::filesystem::path& directory,
                                                       const Uuid& index, std::uint64_t file,
                                                       std::uint32_t segment);

  std::unique_ptr<DerivedFile> file_;
  std::string name_;
  Head head_{};
  CodeLayout layout_;
};

}  // namespace similis::engine
