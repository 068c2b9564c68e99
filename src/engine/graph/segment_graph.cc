#include "engine/graph/segment_graph.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "engine/graph/build.h"

namespace similis::engine {
namespace {

constexpr std::size_t kSectionBytes = 16 << 20;

// Which codes these are: others are made again.
constexpr std::uint32_t kCode = 24;
// Where nothing could be tried: more than image features take.
constexpr SegmentGraph::Effort kUntried{10, 0.2F, 0, 1500};
// What is searched for may be harder to find than what was tried: as measured on image features and
// generated vectors (docs/decisions/codes-and-graph.md).
constexpr float kReachMore = 0.015F, kComparisonsTimes = 1.3F;
constexpr std::uint32_t kEntrySample = 1024;
constexpr std::size_t kEntries = 16;
enum Section : std::size_t { kHead, kFrame, kCopies, kZeros, kEfforts, kDoubts, kFirstOfRows };

std::size_t sections_for(std::uint64_t bytes) {
  return static_cast<std::size_t>((bytes + kSectionBytes - 1) / kSectionBytes);
}

Status add_in_pieces(DerivedWriter& writer, std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += kSectionBytes)
    TRY(writer.add(bytes.subspan(at, std::min(kSectionBytes, bytes.size() - at))));
  return {};
}

template <typename T>
Result<std::vector<T>> read_values(const DerivedFile& file, std::size_t section) {
  std::vector<T> out(file.section_bytes(section) / sizeof(T));
  TRY(file.read(section, std::as_writable_bytes(std::span(out))));
  return out;
}

// What a search looks up must be in its order, and numbers.
bool are_sound(const std::vector<SegmentGraph::Effort>& efforts) {
  const auto is_sound = [](const SegmentGraph::Effort& effort) {
    return effort.k > 0 && effort.reach > 0 && std::isfinite(effort.reach) && effort.recall >= 0 &&
           effort.recall <= 1 && effort.comparisons > 0 && std::isfinite(effort.comparisons);
  };
  return std::ranges::all_of(efforts, is_sound) &&
         std::ranges::is_sorted(efforts, {}, [](const SegmentGraph::Effort& effort) {
           return std::pair(effort.k, effort.reach);
         });
}

bool are_sound(const std::vector<SegmentGraph::Doubt>& doubts) {
  const auto is_share = [](float value) { return value >= 0 && value <= 1; };
  const auto is_sound = [&](const SegmentGraph::Doubt& doubt) {
    return doubt.k > 0 && doubt.doubt > 0 && std::isfinite(doubt.doubt) && is_share(doubt.exact) &&
           is_share(doubt.bounded);
  };
  return std::ranges::all_of(doubts, is_sound) &&
         std::ranges::is_sorted(doubts, {}, [](const SegmentGraph::Doubt& doubt) {
           return std::tuple(~doubt.record_bytes, doubt.k, doubt.doubt);
         });
}

/// `value` where `by` comes to `least`: between the first effort, by reach, that holds it and the
/// one before. None where no effort does.
std::optional<float> value_at(std::span<const SegmentGraph::Effort> tried,
                              float SegmentGraph::Effort::* by, float least,
                              float SegmentGraph::Effort::* value) {
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (tried[i].*by < least) continue;
    if (i == 0) return tried[i].*value;
    const SegmentGraph::Effort& before = tried[i - 1];
    const float share = (least - before.*by) / (tried[i].*by - before.*by);
    return std::lerp(before.*value, tried[i].*value, share);
  }
  return std::nullopt;
}

/// Of what was tried for the nearest `k`. Where nothing held the recall, twice the widest reach;
/// what walks beyond that compare is in proportion to it.
SegmentGraph::Effort effort_for(std::span<const SegmentGraph::Effort> efforts, std::uint32_t k,
                                float recall) {
  const auto of_k = std::ranges::equal_range(efforts, k, {}, &SegmentGraph::Effort::k);
  const std::span<const SegmentGraph::Effort> tried(of_k.begin(), of_k.end());
  using Effort = SegmentGraph::Effort;
  const Effort& widest = tried.back();
  const float reach =
      value_at(tried, &Effort::recall, recall, &Effort::reach).value_or(2 * widest.reach) +
      kReachMore;
  const float comparisons = value_at(tried, &Effort::reach, reach, &Effort::comparisons)
                                .value_or(widest.comparisons * reach / widest.reach);
  return {k, reach, recall, kComparisonsTimes * comparisons};
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
    if (graph.begins()[row] != graph.begins()[row + 1]) sample.push_back(row);
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
  const std::span<const Effort> tried = efforts.empty() ? std::span(&kUntried, 1) : efforts;
  // For a small and a large k: between them by proportion of their logarithms.
  const std::uint32_t small = tried.front().k, large = tried.back().k;
  Effort out = effort_for(tried, k <= small ? small : large, recall);
  if (k > small && k < large) {
    const auto share = static_cast<float>(std::log(static_cast<double>(k) / small) /
                                          std::log(static_cast<double>(large) / small));
    const Effort low = effort_for(tried, small, recall);
    const auto between = [&](float a, float b) { return a * std::pow(b / a, share); };
    out.reach = between(low.reach, out.reach);
    out.comparisons = between(low.comparisons, out.comparisons);
  } else if (k > large) {
    out.comparisons *= static_cast<float>(k) / static_cast<float>(large);
  }
  out.k = static_cast<std::uint32_t>(k);
  return out;
}

std::uint64_t SegmentGraph::bytes_beside_codes() const {
  return frame.bytes_in_memory() + graph.bytes_in_memory() + copies.size() * sizeof(Copy) +
         zeros.size() * sizeof(std::uint32_t) + is_copy.size() * sizeof(std::uint64_t);
}

std::shared_ptr<const SegmentGraph> shortened(const SegmentGraph& graph, const CodeLayout& layout) {
  auto out = std::make_shared<SegmentGraph>(SegmentGraph{
      graph.frame, CodeTable(layout, graph.rows()), graph.graph.copy(), graph.entry, graph.copies});
  out->zeros = graph.zeros;
  out->efforts = graph.efforts;
  out->doubts = graph.doubts;
  out->learnt_rows = graph.learnt_rows;
  out->norm_bound = graph.norm_bound;
  out->is_copy = graph.is_copy;
  out->entries = graph.entries;
  for (std::uint32_t row = 0; row < graph.rows(); ++row)
    shorten_record(graph.codes.layout(), graph.codes.record(row), layout, out->codes.record(row));
  return out;
}

Result<Manifest::Derived> write_segment_graph(const SegmentGraph& graph, Storage& storage,
                                              const std::filesystem::path& directory,
                                              const Uuid& index, std::uint64_t file,
                                              std::uint32_t segment) {
  ASSIGN_OR_RETURN(const auto writer, DerivedWriter::create(storage, directory, index, file,
                                                            DerivedKind::graph, segment));
  const CodeLayout& layout = graph.codes.layout();
  GraphFile::Head head{};
  head.rows = graph.rows();
  head.dimensions = layout.lead + layout.tail;
  head.lead = layout.lead;
  head.code = kCode;
  head.slots = graph.graph.slots();
  head.entry = graph.entry;
  head.second_words = layout.second_words;
  head.third_words = layout.third_words;
  head.edges = graph.graph.begins().back();
  head.learnt_rows = graph.learnt_rows;
  head.norm_bound = graph.norm_bound;
  const std::string frame = graph.frame.encode();
  TRY(writer->add(bytes_of(head)));
  TRY(writer->add(std::as_bytes(std::span(frame))));
  TRY(writer->add(std::as_bytes(std::span(graph.copies))));
  TRY(writer->add(std::as_bytes(std::span(graph.zeros))));
  TRY(writer->add(std::as_bytes(std::span(graph.efforts))));
  TRY(writer->add(std::as_bytes(std::span(graph.doubts))));
  TRY(add_in_pieces(*writer, graph.codes.bytes()));
  TRY(add_in_pieces(*writer, std::as_bytes(graph.graph.begins())));
  TRY(add_in_pieces(*writer, graph.graph.bytes()));
  return writer->finish();
}

Error GraphFile::bad() const {
  return {ErrorCode::corruption, name_ + ": the graph does not hold together",
          "It is made again from the vectors."};
}

Result<GraphFile> GraphFile::open(Storage& storage, const std::filesystem::path& directory,
                                  const Uuid& index, std::uint32_t segment,
                                  std::uint32_t dimensions, const Manifest::Derived& record) {
  ASSIGN_OR_RETURN(auto file, DerivedFile::open(storage, directory, index, segment, record));
  GraphFile out(std::move(file), (directory / derived_name(record.file)).native());
  if (record.kind != static_cast<std::uint32_t>(DerivedKind::graph) ||
      out.file_->sections() < kFirstOfRows)
    return out.bad();
  Head& head = out.head_;
  const std::uint64_t head_bytes = out.file_->section_bytes(kHead);
  if (head_bytes > sizeof(Head)) return out.bad();
  TRY(out.file_->read(kHead, std::as_writable_bytes(std::span(&head, 1)).first(head_bytes)));
  if (head.code != kCode) {
    return Error(ErrorCode::corruption, out.name_ + ": its codes are of another version",
                 "It is made again from the vectors.");
  }
  if (head_bytes != sizeof(Head) || head.rows == 0 || head.dimensions != dimensions ||
      head.lead % 64 != 0 || head.lead > dimensions || head.slots > GraphOptions().degree ||
      (head.entry >= head.rows && head.entry != Edges::kNone) || head.learnt_rows == 0 ||
      !(head.norm_bound >= 0) || head.edges > std::uint64_t{head.rows} * head.slots ||
      head.edges > UINT32_MAX)
    return out.bad();
  out.layout_ = {head.lead, dimensions - head.lead, head.second_words, head.third_words, true};
  if (head.second_words > out.layout_.tail_words() || head.third_words > head.second_words)
    return out.bad();
  return out;
}

std::uint64_t GraphFile::bytes_beside_codes() const {
  const std::uint64_t copies = file_->section_bytes(kCopies), zeros = file_->section_bytes(kZeros);
  const std::uint64_t marks = copies == 0 ? 0 : (std::uint64_t{head_.rows} + 63) / 64 * 8;
  return Frame::bytes_in_memory(head_.dimensions, head_.lead) +
         Edges::bytes_in_memory(head_.rows, head_.edges) + copies + zeros + marks;
}

/// Reads what is `bytes` long from the next sections.
Status GraphFile::read_rows(std::size_t& section, std::span<std::byte> to) const {
  for (std::size_t at = 0; at < to.size(); at += kSectionBytes, ++section) {
    const auto piece = to.subspan(at, std::min(kSectionBytes, to.size() - at));
    if (section >= file_->sections() || file_->section_bytes(section) != piece.size()) return bad();
    TRY(file_->read(section, piece));
  }
  return {};
}

/// Reads the records, and leaves out what `to` has no room for.
Status GraphFile::read_codes(std::size_t& section, CodeTable& to) const {
  if (to.layout() == layout_) return read_rows(section, to.bytes());
  // A record may begin in one section and end in the next: what is left of one stays in front.
  const std::size_t stride = layout_.record_bytes();
  AlignedBuffer buffer(kBlockBytes * (stride / kBlockBytes + 1) + kSectionBytes);
  std::byte* const piece = buffer.data() + (buffer.size() - kSectionBytes);
  std::size_t left = 0;
  std::uint32_t row = 0;
  for (std::uint64_t at = 0, all = stride * std::uint64_t{head_.rows}; at < all;) {
    const std::size_t bytes = std::min<std::uint64_t>(kSectionBytes, all - at);
    TRY(read_rows(section, {piece, bytes}));
    at += bytes;
    const std::byte* from = piece - left;
    for (left += bytes; left >= stride; left -= stride, from += stride)
      shorten_record(layout_, from, to.layout(), to.record(row++));
    std::memmove(piece - left, from, left);
  }
  return {};
}

Result<std::shared_ptr<const SegmentGraph>> GraphFile::read(const CodeLayout& layout) const {
  if (!layout_.holds(layout)) {
    return Error(ErrorCode::corruption, name_ + ": its codes are shorter than the ones wanted",
                 "It is made again from the vectors.");
  }
  std::string frame_bytes(file_->section_bytes(kFrame), '\0');
  TRY(file_->read(kFrame, std::as_writable_bytes(std::span(frame_bytes))));
  ASSIGN_OR_RETURN(Frame frame, Frame::decode(frame_bytes, name_));
  if (frame.dimensions() != head_.dimensions || frame.lead() != head_.lead) return bad();
  const std::uint64_t begins_count = std::uint64_t{head_.rows} + 1;
  const std::size_t sections = kFirstOfRows +
                               sections_for(std::uint64_t{head_.rows} * layout_.record_bytes()) +
                               sections_for(begins_count * sizeof(std::uint32_t)) +
                               sections_for(Edges::bytes_for(head_.rows, head_.edges));
  if (file_->sections() != sections) return bad();
  auto out = std::make_shared<SegmentGraph>(SegmentGraph{
      std::move(frame), CodeTable(layout, head_.rows), Edges(), head_.entry, {}, {}, {}});
  out->learnt_rows = head_.learnt_rows;
  out->norm_bound = head_.norm_bound;
  ASSIGN_OR_RETURN(out->copies, read_values<SegmentGraph::Copy>(*file_, kCopies));
  ASSIGN_OR_RETURN(out->zeros, read_values<std::uint32_t>(*file_, kZeros));
  ASSIGN_OR_RETURN(out->efforts, read_values<SegmentGraph::Effort>(*file_, kEfforts));
  ASSIGN_OR_RETURN(out->doubts, read_values<SegmentGraph::Doubt>(*file_, kDoubts));
  std::size_t section = kFirstOfRows;
  TRY(read_codes(section, out->codes));
  std::vector<std::uint32_t> begins(begins_count);
  TRY(read_rows(section, std::as_writable_bytes(std::span(begins))));
  if (begins.front() != 0 || !std::is_sorted(begins.begin(), begins.end()) ||
      begins.back() != head_.edges)
    return bad();
  std::span<std::byte> edge_bytes;
  out->graph = Edges(std::move(begins), edge_bytes);
  TRY(read_rows(section, edge_bytes));
  if (out->graph.slots() > head_.slots) return bad();
  // What a walk follows without looking leads to rows that there are.
  const auto outside = [&](std::uint32_t row) { return row >= head_.rows; };
  bool sound = std::none_of(out->zeros.begin(), out->zeros.end(), outside) &&
               std::none_of(out->copies.begin(), out->copies.end(), [&](const auto& copy) {
                 return outside(copy.original) || outside(copy.row);
               });
  for (std::uint32_t row = 0; row < head_.rows; ++row)
    out->graph.for_neighbours(row, [&](std::uint32_t to) { sound = sound && !outside(to); });
  if (!are_sound(out->efforts) || !are_sound(out->doubts)) return bad();
  const auto rises = [](const auto& values) {
    return std::adjacent_find(values.begin(), values.end(), std::greater_equal<>()) == values.end();
  };
  if (!sound || !rises(out->copies) || !rises(out->zeros)) return bad();
  out->mark_copies();
  out->find_entries();
  return std::shared_ptr<const SegmentGraph>(std::move(out));
}

}  // namespace similis::engine
