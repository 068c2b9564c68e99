#include "engine/graph/segment_graph.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace similis::engine {
namespace {

constexpr std::size_t kSectionBytes = 16 << 20;

/// The first section; the frame, copies, zeros and efforts follow, then the records, where each
/// row's edges begin, and the edges, each in as many sections as it takes.
struct Head {
  std::uint32_t rows;
  std::uint32_t dimensions;
  std::uint32_t lead;
  std::uint32_t code;  // kCode
  std::uint32_t slots;
  std::uint32_t entry;
  std::uint32_t fine_words;
  std::uint32_t learnt_rows;
  float norm_bound;
  std::uint32_t reserved;
};
static_assert(sizeof(Head) == 40);
// Which codes these are: others are made again.
constexpr std::uint32_t kCode = 20;
// Where nothing could be tried: more than image features take.
constexpr SegmentGraph::Effort kUntried{10, 0.2F, 0, 1500};
constexpr float kReachMargin = 1.8F;
constexpr std::uint32_t kEntrySample = 1024;
constexpr std::size_t kEntries = 16;
enum Section : std::size_t { kHead, kFrame, kCopies, kZeros, kEfforts, kFirstOfRows };

std::size_t sections_for(std::uint64_t bytes) {
  return static_cast<std::size_t>((bytes + kSectionBytes - 1) / kSectionBytes);
}

Status add_in_pieces(DerivedWriter& writer, std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += kSectionBytes)
    TRY(writer.add(bytes.subspan(at, std::min(kSectionBytes, bytes.size() - at))));
  return {};
}

Status read_in_pieces(const DerivedFile& file, std::size_t& section, std::span<std::byte> out) {
  for (std::size_t at = 0; at < out.size(); at += kSectionBytes, ++section)
    TRY(file.read(section, out.subspan(at, std::min(kSectionBytes, out.size() - at))));
  return {};
}

template <typename T>
Result<std::vector<T>> read_values(const DerivedFile& file, std::size_t section) {
  std::vector<T> out(file.section_bytes(section) / sizeof(T));
  TRY(file.read(section, std::as_writable_bytes(std::span(out))));
  return out;
}

}  // namespace

void SegmentGraph::mark_copies() {
  is_copy.assign(copies.empty() ? 0 : (std::size_t{rows()} + 63) / 64, 0);
  for (const Copy& copy : copies) is_copy[copy.row / 64] |= std::uint64_t{1} << (copy.row % 64);
}

// Of a sample each time the row farthest from those that were taken (Gonzalez 1985).
void SegmentGraph::find_entries() {
  entries.clear();
  if (entry == Graph::kNone) return;
  std::vector<std::uint32_t> sample;
  const std::uint32_t step = std::max<std::uint32_t>(1, rows() / kEntrySample);
  for (std::uint32_t row = 0; row < rows(); row += step)
    if (!graph.neighbours(row).empty()) sample.push_back(row);
  std::vector<float> distance(sample.size(), std::numeric_limits<float>::infinity());
  QueryCode query(codes.layout());
  for (std::uint32_t taken = entry;;) {
    entries.push_back(taken);
    if (entries.size() == kEntries || sample.empty()) return;
    query.set_record(codes.record(taken));
    const float half = half_squared_length(codes.record(taken));
    for (std::size_t i = 0; i < sample.size(); ++i) {
      const float nearness = query.refine(codes.record(sample[i])).nearness;
      distance[i] = std::min(distance[i], half - nearness);
    }
    const auto farthest = std::max_element(distance.begin(), distance.end());
    if (*farthest <= 0) return;
    taken = sample[static_cast<std::size_t>(farthest - distance.begin())];
  }
}

std::span<const SegmentGraph::Copy> SegmentGraph::copies_of(std::uint32_t row) const {
  const auto [begin, end] =
      std::equal_range(copies.begin(), copies.end(), Copy{row, 0},
                       [](const Copy& a, const Copy& b) { return a.original < b.original; });
  return {begin, end};
}

SegmentGraph::Effort SegmentGraph::effort(std::size_t k, float recall) const {
  // Of those that were tried for the nearest `of_k`.
  const auto least = [&](std::uint32_t of_k) {
    Effort out = kUntried;
    for (const Effort& effort : efforts) {
      if (effort.k != of_k) continue;
      out = effort;
      if (effort.recall >= recall) return out;
    }
    out.reach *= 2;
    out.comparisons *= 2;
    return out;
  };
  // Measured for a small and a large k: between them by proportion of their logarithms.
  const std::uint32_t small = efforts.empty() ? kUntried.k : efforts.front().k;
  const std::uint32_t large = efforts.empty() ? kUntried.k : efforts.back().k;
  Effort out = least(k <= small ? small : large);
  if (k > small && k < large) {
    const auto share = static_cast<float>(std::log(static_cast<double>(k) / small) /
                                          std::log(static_cast<double>(large) / small));
    const Effort low = least(small);
    const auto between = [&](float a, float b) { return a * std::pow(b / a, share); };
    out.reach = between(low.reach, out.reach);
    out.comparisons = between(low.comparisons, out.comparisons);
    out.recall = std::min(low.recall, out.recall);
  } else if (k > large) {
    out.comparisons *= static_cast<float>(k) / static_cast<float>(large);
  }
  out.k = static_cast<std::uint32_t>(k);
  // What is searched for may be harder to find than what was tried.
  out.reach *= kReachMargin;
  out.comparisons *= kReachMargin;
  return out;
}

std::uint64_t SegmentGraph::bytes_in_memory() const {
  return frame.bytes_in_memory() + codes.bytes().size() + graph.bytes_in_memory() +
         copies.size() * sizeof(Copy) + zeros.size() * sizeof(std::uint32_t) +
         is_copy.size() * sizeof(std::uint64_t);
}

Result<Manifest::Derived> write_segment_graph(const SegmentGraph& graph, Storage& storage,
                                              const std::filesystem::path& directory,
                                              const Uuid& index, std::uint64_t file,
                                              std::uint32_t segment) {
  ASSIGN_OR_RETURN(const auto writer, DerivedWriter::create(storage, directory, index, file,
                                                            DerivedKind::graph, segment));
  const CodeLayout& layout = graph.codes.layout();
  Head head{};
  head.rows = graph.rows();
  head.dimensions = layout.lead + layout.tail;
  head.lead = layout.lead;
  head.code = kCode;
  head.slots = graph.graph.slots();
  head.entry = graph.entry;
  head.fine_words = layout.fine_words;
  head.learnt_rows = graph.learnt_rows;
  head.norm_bound = graph.norm_bound;
  const std::string frame = graph.frame.encode();
  TRY(writer->add(bytes_of(head)));
  TRY(writer->add(std::as_bytes(std::span(frame))));
  TRY(writer->add(std::as_bytes(std::span(graph.copies))));
  TRY(writer->add(std::as_bytes(std::span(graph.zeros))));
  TRY(writer->add(std::as_bytes(std::span(graph.efforts))));
  TRY(add_in_pieces(*writer, graph.codes.bytes()));
  TRY(add_in_pieces(*writer, std::as_bytes(graph.graph.begins())));
  TRY(add_in_pieces(*writer, std::as_bytes(graph.graph.all())));
  return writer->finish();
}

Result<std::shared_ptr<const SegmentGraph>> read_segment_graph(
    Storage& storage, const std::filesystem::path& directory, const Uuid& index,
    std::uint32_t segment, std::uint32_t dimensions, const Manifest::Derived& record) {
  const std::string name = (directory / derived_name(record.file)).native();
  const Error bad(ErrorCode::corruption, name + ": the graph does not hold together",
                  "It is made again from the vectors.");
  ASSIGN_OR_RETURN(const auto file, DerivedFile::open(storage, directory, index, segment, record));
  if (record.kind != static_cast<std::uint32_t>(DerivedKind::graph) ||
      file->sections() < kFirstOfRows || file->section_bytes(kHead) != sizeof(Head))
    return bad;
  Head head{};
  TRY(file->read(kHead, std::as_writable_bytes(std::span(&head, 1))));
  if (head.code != kCode) {
    return Error(ErrorCode::corruption, name + ": its codes are of another version",
                 "It is made again from the vectors.");
  }
  std::string frame_bytes(file->section_bytes(kFrame), '\0');
  TRY(file->read(kFrame, std::as_writable_bytes(std::span(frame_bytes))));
  ASSIGN_OR_RETURN(Frame frame, Frame::decode(frame_bytes, name));
  if (head.rows == 0 || head.dimensions != dimensions || frame.dimensions() != dimensions ||
      frame.lead() != head.lead || head.lead % 64 != 0 || head.lead > dimensions ||
      head.slots > 1024 || (head.entry >= head.rows && head.entry != Edges::kNone))
    return bad;
  const CodeLayout layout{head.lead, dimensions - head.lead, head.fine_words};
  if (head.fine_words > layout.tail_words() || head.learnt_rows == 0 || !(head.norm_bound >= 0))
    return bad;
  const std::uint64_t code_bytes = std::uint64_t{head.rows} * layout.record_bytes();
  const std::uint64_t begin_bytes = (std::uint64_t{head.rows} + 1) * sizeof(std::uint32_t);
  if (file->sections() < kFirstOfRows + sections_for(code_bytes) + sections_for(begin_bytes))
    return bad;
  std::size_t section = kFirstOfRows;
  // Reads what is `bytes` long from the next sections.
  const auto read_rows = [&](std::span<std::byte> to) -> Status {
    for (std::size_t at = 0, s = section; at < to.size(); at += kSectionBytes, ++s)
      if (s >= file->sections() ||
          file->section_bytes(s) != std::min(kSectionBytes, to.size() - at))
        return bad;
    return read_in_pieces(*file, section, to);
  };
  auto out = std::make_shared<SegmentGraph>(SegmentGraph{
      std::move(frame), CodeTable(layout, head.rows), Edges(), head.entry, {}, {}, {}});
  out->learnt_rows = head.learnt_rows;
  out->norm_bound = head.norm_bound;
  ASSIGN_OR_RETURN(out->copies, read_values<SegmentGraph::Copy>(*file, kCopies));
  ASSIGN_OR_RETURN(out->zeros, read_values<std::uint32_t>(*file, kZeros));
  ASSIGN_OR_RETURN(out->efforts, read_values<SegmentGraph::Effort>(*file, kEfforts));
  TRY(read_rows(out->codes.bytes()));
  std::vector<std::uint32_t> begins(begin_bytes / sizeof(std::uint32_t));
  TRY(read_rows(std::as_writable_bytes(std::span(begins))));
  if (begins.front() != 0 || !std::is_sorted(begins.begin(), begins.end()) ||
      begins.back() > std::uint64_t{head.rows} * head.slots)
    return bad;
  std::span<std::byte> edge_bytes;
  out->graph = Edges(std::move(begins), edge_bytes);
  TRY(read_rows(edge_bytes));
  if (file->sections() != section || out->graph.slots() > head.slots) return bad;
  // What a walk follows without looking leads to rows that there are.
  const auto outside = [&](std::uint32_t row) { return row >= head.rows; };
  const auto edges = out->graph.all();
  const bool sound = std::none_of(edges.begin(), edges.end(), outside) &&
                     std::none_of(out->zeros.begin(), out->zeros.end(), outside) &&
                     std::none_of(out->copies.begin(), out->copies.end(), [&](const auto& copy) {
                       return outside(copy.original) || outside(copy.row);
                     });
  const bool tried = std::all_of(out->efforts.begin(), out->efforts.end(), [](const auto& effort) {
    return effort.k > 0 && effort.reach > 0 && effort.comparisons > 0;
  });
  if (!sound || !tried || !std::is_sorted(out->copies.begin(), out->copies.end())) return bad;
  out->mark_copies();
  out->find_entries();
  return std::shared_ptr<const SegmentGraph>(std::move(out));
}

}  // namespace similis::engine
