#include "engine/graph_maker.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/crc32c.h"
#include "engine/calibration.h"
#include "engine/graph/build.h"
#include "engine/graph/lift.h"
#include "engine/index_impl.h"

namespace similis::engine {
namespace {

constexpr std::uint64_t kSeed = 1;

/// Tells rows of equal bytes from all others, but for chances that never come.
struct Fingerprint {
  std::uint64_t mixed = 0;
  std::uint32_t checksum = 0;
  friend auto operator<=>(const Fingerprint&, const Fingerprint&) = default;
};

Fingerprint fingerprint(std::span<const std::byte> bytes) {
  Fingerprint out{0x9e3779b97f4a7c15, crc32c(bytes)};
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
    out.mixed = (std::rotl(out.mixed, 23) ^ word) * 0xd6e8feb86659fd93;
  }
  return out;
}

class GraphMaker {
 public:
  /// New are the rows from `first` on.
  GraphMaker(IndexImpl& index, const RowSource& rows, std::uint32_t first)
      : index_(index),
        rows_(rows),
        first_(first),
        dimensions_(lifted_dimensions(index.shape.metric, index.shape.dimensions)),
        fingerprints_(rows.rows() - first),
        kinds_(rows.rows() - first, Kind::absent) {
    index_.graph_rows_done = first;
    index_.graph_rows_wanted = rows.rows();
  }
  GraphMaker(const GraphMaker&) = delete;
  GraphMaker& operator=(const GraphMaker&) = delete;
  ~GraphMaker() { index_.graph_rows_wanted = 0; }

  Result<std::shared_ptr<const SegmentGraph>> make(std::uint64_t lsn, const CodeLayout& layout,
                                                   float norm_bound) {
    ASSIGN_OR_RETURN(std::vector<float> sample, take_sample(norm_bound));
    if (sample.empty()) sample.resize(dimensions_);  // every row is dead: any frame fits
    Frame frame = Frame::learn(sample, dimensions_, layout.lead, kSeed,
                               [this] { return rows_.check().ok(); });
    TRY(rows_.check());
    sample = {};
    auto out = begin(std::move(frame), layout);
    out->learnt_rows = rows_.rows();
    out->norm_bound = norm_bound;
    TRY(rows_.check());
    TRY(encode(*out));
    find_copies(*out);
    out->mark_copies();
    const std::vector<std::uint32_t> members = place(*out);
    if (members.empty()) return finished(std::move(out), nothing());
    const GraphTrial trial = [&](BuiltGraph tried, std::span<const std::uint32_t> held) -> Status {
      take(*out, std::move(tried));
      TRY(calibrate(index_, rows_, lsn, *out, held));
      out->graph = {};
      return {};
    };
    ASSIGN_OR_RETURN(BuiltGraph built, build_graph(out->codes, members, {}, index_.budget->pool(),
                                                   rows_.threads(), trial, go_on()));
    return finished(std::move(out), std::move(built));
  }

  Result<std::shared_ptr<const SegmentGraph>> extend(const SegmentGraph& from,
                                                     const CodeLayout& layout) {
    auto out = begin(from.frame, layout);
    const bool grows = first_ > 0;
    out->learnt_rows =
        grows ? from.learnt_rows : std::max<std::uint32_t>(1, index_.options.graph_rows_min);
    out->efforts = from.efforts;
    out->doubts = from.doubts;
    out->norm_bound = from.norm_bound;
    static const Edges kNoEdges;
    const Edges& edges = grows ? from.graph : kNoEdges;
    if (grows) {
      const auto records = from.codes.bytes();
      std::copy(records.begin(), records.end(), out->codes.bytes().begin());
      out->copies = from.copies;
      out->zeros = from.zeros;
    }
    TRY(encode(*out));
    find_copies(*out);
    if (grows) TRY(find_copies_of(from, *out));
    std::sort(out->copies.begin(), out->copies.end());
    out->mark_copies();
    const std::vector<std::uint32_t> members = place(*out);
    const std::uint32_t entry = grows ? from.entry : Edges::kNone;
    if (members.empty() && entry == Edges::kNone) return finished(std::move(out), nothing());
    ASSIGN_OR_RETURN(BuiltGraph built,
                     extend_graph(out->codes, edges, entry, members, {}, index_.budget->pool(),
                                  rows_.threads(), go_on()));
    return finished(std::move(out), std::move(built));
  }

 private:
  enum class Kind : std::uint8_t { absent, member, copy, zero };

  [[nodiscard]] GoOn go_on() const {
    return [this](std::size_t done) {
      index_.graph_rows_done = done;
      return rows_.check();
    };
  }

  [[nodiscard]] std::shared_ptr<SegmentGraph> begin(Frame frame, const CodeLayout& layout) const {
    return std::make_shared<SegmentGraph>(
        SegmentGraph{std::move(frame), CodeTable(layout, rows_.rows()), Edges(), Graph::kNone, {}});
  }

  /// Where no row is to be connected.
  [[nodiscard]] BuiltGraph nothing() const { return {Edges(Graph(rows_.rows(), 1)), Edges::kNone}; }

  static void take(SegmentGraph& out, BuiltGraph built) {
    out.graph = std::move(built.graph);
    out.entry = built.entry;
    out.find_entries();
  }

  static std::shared_ptr<const SegmentGraph> finished(std::shared_ptr<SegmentGraph> out,
                                                      BuiltGraph built) {
    take(*out, std::move(built));
    return out;
  }

  /// What the row's code is made of. `vector`: its values.
  void lift(std::vector<float>& vector, float norm_bound) const {
    if (vector.size() == dimensions_) return;
    std::vector<float> lifted(dimensions_);
    lift_row(vector, norm_bound, lifted);
    vector = std::move(lifted);
  }

  /// Rows spread evenly over the segment.
  Result<std::vector<float>> take_sample(float norm_bound) const {
    const std::uint64_t rows = rows_.rows(), wanted = index_.build_plan.sample_rows;
    const auto taken = [&](std::uint64_t row) {
      return rows <= wanted || row * wanted / rows != (row + 1) * wanted / rows;
    };
    std::vector<float> sample;
    std::mutex mutex;
    TRY(rows_.for_chunks(0, [&](std::uint32_t first, const VectorBlock& block,
                                std::span<const std::uint32_t> sound) {
      std::vector<float> here, values;
      for (const std::uint32_t at : sound) {
        if (!taken(first + at)) continue;
        rows_.read(block, at, values);
        lift(values, norm_bound);
        here.insert(here.end(), values.begin(), values.end());
      }
      std::lock_guard lock(mutex);
      sample.insert(sample.end(), here.begin(), here.end());
    }));
    return sample;
  }

  /// Writes the records of new rows that live, and notes what they are.
  Status encode(SegmentGraph& out) {
    return rows_.for_chunks(first_, [&](std::uint32_t first, const VectorBlock& block,
                                        std::span<const std::uint32_t> sound) {
      std::vector<float> values, turned(dimensions_);
      for (const std::uint32_t at : sound) {
        const std::uint32_t row = first + at;
        rows_.read(block, at, values);
        const bool zero = std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
        if (zero && index_.shape.metric == Metric::cosine) {
          kind(row) = Kind::zero;
          continue;
        }
        kind(row) = Kind::member;
        fingerprints_[row - first_] =
            fingerprint(std::as_bytes(std::span(rows_.vector(block, at), values.size())));
        lift(values, out.norm_bound);
        out.frame.turn(values, true, turned);
        encode_record(out.codes.layout(), turned, record(out.codes, row));
      }
    });
  }

  /// Of new rows of equal bytes the first stays a member.
  void find_copies(SegmentGraph& out) {
    std::vector<std::uint32_t> order;
    for (std::uint32_t row = first_; row < rows_.rows(); ++row)
      if (kind(row) == Kind::member) order.push_back(row);
    const auto print = [&](std::uint32_t row) { return fingerprints_[row - first_]; };
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::make_tuple(print(a), a) < std::make_tuple(print(b), b);
    });
    std::uint32_t original = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::uint32_t row = order[i];
      const bool same = i > 0 && print(row) == print(original) &&
                        std::ranges::equal(record(out.codes, row), record(out.codes, original));
      if (!same) {
        original = row;
        continue;
      }
      kind(row) = Kind::copy;
      out.copies.push_back({original, row});
    }
    std::sort(out.copies.begin(), out.copies.end());
    fingerprints_ = {};
  }

  /// New rows of equal bytes to those of the graph that is there go with them, and so do the copies
  /// of such a row.
  Status find_copies_of(const SegmentGraph& from, SegmentGraph& out) {
    // Equal bytes have equal records: those are looked for first.
    std::unordered_multimap<std::uint64_t, std::uint32_t> fresh;
    for (std::uint32_t row = first_; row < rows_.rows(); ++row)
      if (kind(row) == Kind::member) fresh.emplace(key_of(out.codes.record(row)), row);
    if (fresh.empty()) return {};
    std::unordered_map<std::uint32_t, std::uint32_t> moved;  // a copy's original, to one before it
    std::vector<std::byte> bytes, others;
    ScratchPool::Lease buffer(index_.scratch);
    const auto read = [&](std::uint32_t row, std::vector<std::byte>& to) {
      return rows_.view().segment->read_row(*rows_.view().chunks, row, *buffer, to, nullptr);
    };
    for (std::uint32_t row = 0; row < first_; ++row) {
      if (row != from.entry && from.graph.degree(row) == 0) continue;
      const auto [begin, end] = fresh.equal_range(key_of(out.codes.record(row)));
      for (auto at = begin; at != end; ++at) {
        if (!std::ranges::equal(record(out.codes, row), record(out.codes, at->second))) continue;
        TRY(read(row, bytes));
        TRY(read(at->second, others));
        if (bytes.empty() || bytes != others) continue;
        kind(at->second) = Kind::copy;
        moved.emplace(at->second, row);
      }
    }
    for (SegmentGraph::Copy& copy : out.copies)
      if (const auto to = moved.find(copy.original); to != moved.end()) copy.original = to->second;
    for (const auto& [row, original] : moved) out.copies.push_back({original, row});
    return {};
  }

  /// The new rows that are to be connected; zeros are put down.
  std::vector<std::uint32_t> place(SegmentGraph& out) const {
    std::vector<std::uint32_t> members;
    for (std::uint32_t row = first_; row < rows_.rows(); ++row) {
      const Kind is = kinds_[row - first_];
      if (is == Kind::member) members.push_back(row);
      if (is == Kind::zero) out.zeros.push_back(row);
    }
    return members;
  }

  [[nodiscard]] Kind& kind(std::uint32_t row) { return kinds_[row - first_]; }
  static std::span<std::byte> record(CodeTable& codes, std::uint32_t row) {
    return {codes.record(row), codes.layout().record_bytes()};
  }
  /// Of the factors and lengths that a record begins with.
  static std::uint64_t key_of(const std::byte* record) {
    std::uint64_t words[2];
    std::memcpy(words, record, sizeof words);
    return words[0] * 0x9e3779b97f4a7c15 ^ words[1];
  }

  IndexImpl& index_;
  const RowSource& rows_;
  const std::uint32_t first_;
  const std::uint32_t dimensions_;         // of what codes are made of
  std::vector<Fingerprint> fingerprints_;  // of new rows
  std::vector<Kind> kinds_;                // of new rows
};

}  // namespace

Result<std::shared_ptr<const SegmentGraph>> make_segment_graph(IndexImpl& index,
                                                               const RowSource& rows,
                                                               std::uint64_t lsn,
                                                               const CodeLayout& layout,
                                                               float norm_bound) {
  return GraphMaker(index, rows, 0).make(lsn, layout, norm_bound);
}

Result<std::shared_ptr<const SegmentGraph>> extend_segment_graph(IndexImpl& index,
                                                                 const RowSource& rows,
                                                                 const SegmentGraph& graph) {
  return GraphMaker(index, rows, graph.rows()).extend(graph, graph.codes.layout());
}

Result<std::shared_ptr<const SegmentGraph>> begin_segment_graph(IndexImpl& index,
                                                                const RowSource& rows,
                                                                const SegmentGraph& elder,
                                                                const CodeLayout& layout) {
  return GraphMaker(index, rows, 0).extend(elder, layout);
}

}  // namespace similis::engine
