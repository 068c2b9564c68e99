#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "base/scope_exit.h"
#include "engine/index_impl.h"
#include "engine/storage/part_writer.h"
#include "engine/without_bad_alloc.h"

namespace similis::engine {
namespace {

constexpr std::size_t kPartsMax = 32;
// A segment is rewritten when a quarter of it is dead, but not for a few rows: until then they cost
// a search less than the rewriting's syncs cost the disk.
constexpr std::uint32_t kDeadRowsMin = 1024;
// Of attributes: a record is about 40 bytes.
constexpr std::uint32_t kSupersededMin = 4096;
// What is left of the disk to logs and to others.
constexpr std::uint64_t kLeftFree = 64 << 20;

std::uint32_t live_rows(const Segment& segment) {
  return segment.rows() - segment.dead();
}

enum class Which { all, sealed };

/// The two non-empty segments of `segments` with the fewest live rows, in their order; none when
/// these are more than `rows_max`.
IndexImpl::Inputs two_smallest(const std::vector<std::shared_ptr<Segment>>& segments, Which which,
                               std::uint32_t rows_max) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < segments.size(); ++i)
    if (segments[i]->rows() > 0 && (which == Which::all || segments[i]->sealed()))
      order.push_back(i);
  if (order.size() < 2) return {};
  std::partial_sort(order.begin(), order.begin() + 2, order.end(), [&](auto a, auto b) {
    return live_rows(*segments[a]) < live_rows(*segments[b]);
  });
  const std::uint64_t rows =
      std::uint64_t{live_rows(*segments[order[0]])} + live_rows(*segments[order[1]]);
  if (rows > rows_max) return {};
  std::sort(order.begin(), order.begin() + 2);
  return {segments[order[0]], segments[order[1]]};
}

}  // namespace

IndexImpl::Inputs IndexImpl::choose_due() const {
  return choose_among(segments);
}

IndexImpl::Inputs IndexImpl::choose_rested() const {
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<Segment>> rested;
  for (const auto& segment : segments)
    if (segment->rests_until() <= now) rested.push_back(segment);
  return choose_among(rested);
}

IndexImpl::Inputs IndexImpl::choose_among(const std::vector<std::shared_ptr<Segment>>& some) const {
  std::size_t filled = 0;
  for (const auto& segment : some) {
    if (segment->rows() == 0) continue;
    ++filled;
    if (segment->damaged()) return {segment};
    if (segment->dead() >= kDeadRowsMin && segment->dead() >= segment->rows() / 4) return {segment};
    if (segment->parts()->size() > kPartsMax) return {segment};
    if (segment->columns().superseded() > std::max(kSupersededMin, segment->rows()))
      return {segment};
  }
  if (filled <= kSegmentsMax) return {};
  // Not the open one: sealing it begins another, which the next write would have merged again.
  return two_smallest(some, Which::sealed, segment_rows_max);
}

IndexImpl::Inputs IndexImpl::choose_any() const {
  auto pair = two_smallest(segments, Which::all, std::min(options.segment_rows, segment_rows_max));
  if (!pair.empty()) return pair;
  for (const auto& segment : segments)
    if (segment->rows() > 0 && (segment->dead() > 0 || segment->parts()->size() > 1))
      return {segment};
  return choose_due();
}

// A turn may take minutes, more than who cancels wants to wait.
Result<IndexImpl::Turn> IndexImpl::take_turn(const CallOptions& call) {
  ++turns_wanted;
  const ScopeExit waits_no_more([this] { --turns_wanted; });
  for (;;) {
    TRY(call.check());
    std::unique_lock turn(compaction_mutex, std::try_to_lock);
    if (turn.owns_lock()) return Turn(std::move(turn), turn_taken);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// After one that failed other upkeep comes first.
void IndexImpl::compact_what_is_due(const CallOptions& call) {
  // A call that waits for its turn does the same, on more threads.
  while (!stopping && turns_wanted == 0) {
    const auto done = compact_once(&IndexImpl::choose_rested, call);
    if (done.ok() && *done) continue;
    if (!done.ok() && done.error().code != ErrorCode::cancelled)
      similis::log(LogLevel::warning,
                   "compacting " + directory.native() + ": " + done.error().message);
    return;
  }
}

// Better not begun than given up with the disk full, when nothing else can be written either. Of
// what parts hold beside vectors the dead rows' share is counted, too.
Status IndexImpl::check_space(const Inputs& inputs) {
  std::uint64_t needed = 0, rows = 0;
  {
    std::lock_guard lock(commit_mutex);
    for (const auto& input : inputs) {
      rows += live_rows(*input);
      needed += geometry.slots(live_rows(*input)) * geometry.slot_bytes;
      for (const auto& part : *input->parts())
        needed += part->bytes() - geometry.slots(part->rows()) * geometry.slot_bytes;
    }
    if (suits_graph(rows) && rows >= options.graph_rows_min)
      needed += graph_size_at_most(rows).bytes_beside_codes +
                rows * layout_of(CodeTier::large, code_dimensions()).record_bytes();
  }
  const std::uint64_t free = storage.free_bytes(directory);
  if (free >= needed && free - needed >= std::min(needed, kLeftFree)) return {};
  return Error(ErrorCode::resource_exhausted,
               directory.native() + ": compacting takes " + std::to_string(needed) +
                   " bytes for a while, " + std::to_string(free) + " are free",
               "Make room on that disk.");
}

Result<bool> IndexImpl::compact_once(Inputs (IndexImpl::*choose)() const, const CallOptions& call) {
  ASSIGN_OR_RETURN(const auto turn, take_turn(call));
  Inputs inputs;
  {
    std::lock_guard lock(commit_mutex);
    TRY(check_writable());
    inputs = (this->*choose)();
    if (inputs.empty()) return false;
  }
  Status status = check_space(inputs);
  if (status.ok()) status = compact(inputs, call);
  if (status.ok()) {
    fit_graphs();
    return true;
  }
  if (status.error().code != ErrorCode::cancelled &&
      status.error().code != ErrorCode::deadline_exceeded) {
    std::lock_guard lock(commit_mutex);
    for (const auto& input : inputs) input->rest();
  }
  return std::move(status).error();
}

Status IndexImpl::compact(const Inputs& inputs, const CallOptions& call) {
  Compaction compaction;
  compaction.inputs = inputs;
  bool seal = false;
  {
    std::lock_guard lock(commit_mutex);
    for (const auto& input : inputs) seal = seal || !input->sealed();
  }
  if (seal) TRY(checkpoint(Seal::now, nullptr));

  std::shared_ptr<const SnapshotState> frozen;
  {
    std::lock_guard lock(commit_mutex);
    for (const auto& input : compaction.inputs) input->start_tracking();
    frozen = snapshot();
    compaction.output = make_segment();
    compaction.part_file = next_file++;
  }
  Status status = without_bad_alloc([&]() -> Status {
    TRY(build(compaction, *frozen, call));
    frozen.reset();
    return checkpoint(Seal::when_full, &compaction);
  });
  frozen.reset();
  if (compaction.installed) return status;
  {
    std::lock_guard lock(commit_mutex);
    for (const auto& input : inputs) input->stop_tracking();
  }
  std::vector<std::string> wrote{part_name(compaction.part_file)};
  if (compaction.output && compaction.output->stored_graph())
    wrote.push_back(derived_name(compaction.output->stored_graph()->record.file));
  compaction.output.reset();
  for (const std::string& name : wrote) {
    const auto removed = storage.remove(directory / name);
    if (!removed.ok() && removed.error().code != ErrorCode::not_found)
      similis::log(LogLevel::warning,
                   "a file stays until the next opening: " + removed.error().message);
  }
  return status;
}

// Writes the rows that live in `snapshot` to a part of their own; writes go on meanwhile, and what
// they change of these rows is tracked.
Status IndexImpl::build(Compaction& compaction, const SnapshotState& snapshot,
                        const CallOptions& call) {
  Segment& output = *compaction.output;
  ASSIGN_OR_RETURN(const auto writer, PartWriter::create(storage, directory, geometry,
                                                         {uuid, compaction.part_file, snapshot.lsn,
                                                          output.number(), 0}));
  ScratchPool::Lease buffer(scratch);
  std::vector<std::uint32_t> damaged;
  for (const auto& input : compaction.inputs) {
    auto& new_ordinals = compaction.new_ordinals.emplace_back();
    const auto view = std::find_if(snapshot.segments.begin(), snapshot.segments.end(),
                                   [&](const auto& v) { return v.segment == input; });
    new_ordinals.resize(view->rows, Compaction::kNone);
    for (std::uint32_t c = 0; c < view->chunks->size(); ++c) {
      TRY(call.check());
      if (stopping) return Error(ErrorCode::cancelled, "the index is being closed");
      const Chunk& chunk = *(*view->chunks)[c];
      const std::uint32_t first = c * geometry.chunk_rows;
      const std::uint32_t rows = std::min(geometry.chunk_rows, view->rows - first);
      damaged.clear();
      auto block = chunk.block();
      if (!block) {
        ASSIGN_OR_RETURN(block, input->read_block(Reserved::of(budget, geometry.chunk_bytes()), c,
                                                  rows, *buffer, damaged));
        if (!damaged.empty()) drop_damaged(*input, damaged);
      }
      for (std::uint32_t i = 0; i < rows; ++i) {
        if (chunk.deaths.of(i) <= snapshot.lsn) continue;
        if (std::find(damaged.begin(), damaged.end(), first + i) != damaged.end()) continue;
        TRY(writer->add_row(
            chunk.ids[i], false,
            {block->data() + std::size_t{i} * geometry.stride_bytes, geometry.row_bytes}));
        new_ordinals[first + i] = output.append_stored(chunk.ids[i], false);
      }
    }
  }
  std::vector<std::byte> attributes;
  for (std::size_t i = 0; i < compaction.inputs.size(); ++i) {
    const auto& columns = compaction.inputs[i]->columns();
    const auto& new_ordinals = compaction.new_ordinals[i];
    for (std::uint32_t row = 0; row < new_ordinals.size(); ++row) {
      if (new_ordinals[row] == Compaction::kNone) continue;
      columns.get(row, attributes);
      TRY(writer->add_attributes(attributes));
      output.columns().set(new_ordinals[row], attributes);
    }
  }
  output.seal();
  if (output.rows() == 0) {
    compaction.output.reset();
    return {};
  }
  ASSIGN_OR_RETURN(const Manifest::Part record, writer->finish());
  auto parts = std::make_shared<PartList>();
  ASSIGN_OR_RETURN(auto part,
                   Part::open(storage, directory, uuid, geometry, output.number(), record));
  parts->push_back(std::move(part));
  output.set_parts(std::move(parts), output.rows());
  {
    std::lock_guard lock(commit_mutex);
    if (output.rows() < options.graph_rows_min ||
        !may_have_graph(graph_size_at_most(output.rows()), compaction.inputs))
      return {};
  }
  // Before anybody searches it: until it has a graph every row would be compared.
  auto made = without_bad_alloc([&] {
    return make_graph(output.view(compaction.output), output.rows(), snapshot.lsn,
                      background_threads(), call);
  });
  if (made.ok()) {
    output.set_graph(std::move(made->graph));
    output.set_stored_graph(made->stored);
    return {};
  }
  if (made.error().code == ErrorCode::cancelled ||
      made.error().code == ErrorCode::deadline_exceeded)
    return std::move(made).error();
  similis::log(LogLevel::warning,
               "a segment stays without a graph for now: " + made.error().message);
  return {};
}

void IndexImpl::install(Compaction& compaction) {
  compaction.installed = true;
  Segment* output = compaction.output.get();
  for (std::size_t i = 0; i < compaction.inputs.size(); ++i) {
    Segment& input = *compaction.inputs[i];
    std::vector<std::byte> attributes;
    for (const std::uint32_t ordinal : input.stop_tracking()) {
      if (ordinal >= compaction.new_ordinals[i].size()) continue;
      const std::uint32_t now = compaction.new_ordinals[i][ordinal];
      if (now == Compaction::kNone) continue;
      if (!input.alive(ordinal)) {
        output->kill(now, last_lsn);  // no snapshot older than this sees the output
      } else {
        input.columns().get(ordinal, attributes);
        output->columns().set(now, attributes);
      }
      output->mark_changed(now);
    }
    for (const auto& part : *input.parts())
      obsolete_files.push_back(part_name(part->record().file));
    if (input.stored_graph())
      obsolete_files.push_back(derived_name(input.stored_graph()->record.file));
  }
  std::vector<std::shared_ptr<Segment>> kept;
  for (const auto& segment : segments) {
    const bool replaced = std::find(compaction.inputs.begin(), compaction.inputs.end(), segment) !=
                          compaction.inputs.end();
    if (!replaced) kept.push_back(segment);
    if (segment == compaction.inputs.front() && compaction.output)
      kept.push_back(compaction.output);
  }
  std::unique_lock map_lock(map_mutex);
  if (output != nullptr) {
    for (std::uint32_t i = 0; i < output->rows(); ++i)
      if (output->alive(i)) map.put(output->id(i), {output->number(), i});
  }
  segments = std::move(kept);
  publish();
}

}  // namespace similis::engine
