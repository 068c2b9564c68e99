#include <algorithm>

#include "base/log.h"
#include "engine/index_impl.h"
#include "engine/storage/part_writer.h"

namespace similis::engine {
namespace {

// A segment with this many parts that hold changes alone has them joined at the next checkpoint.
constexpr std::size_t kChangePartsMax = 8;

/// What one segment contributes to a checkpoint.
struct Work {
  std::shared_ptr<Segment> segment;
  SegmentView view;  // the rows that there are
  std::uint32_t persisted_rows = 0;
  bool sealed = false;
  std::vector<std::uint32_t> changed;
  std::shared_ptr<const PartList> parts;  // grows by the part to be written
  std::vector<std::string> dropped;       // files of parts joined into the new one
  std::vector<Manifest::Derived> derived;
};

/// Takes parts that hold changes alone out of the list, when they are many, and their rows into
/// `changed`.
void join_changes(Work& work) {
  const auto& parts = *work.parts;
  const auto alone = [](const auto& part) { return part->rows() == 0; };
  if (static_cast<std::size_t>(std::count_if(parts.begin(), parts.end(), alone)) < kChangePartsMax)
    return;
  auto kept = std::make_shared<PartList>();
  for (const auto& part : parts) {
    if (!alone(part)) {
      kept->push_back(part);
      continue;
    }
    work.changed.insert(work.changed.end(), part->changed().begin(), part->changed().end());
    work.dropped.push_back(part_name(part->record().file));
  }
  std::sort(work.changed.begin(), work.changed.end());
  work.changed.erase(std::unique(work.changed.begin(), work.changed.end()), work.changed.end());
  work.parts = std::move(kept);
}

Status write_rows(PartWriter& writer, const Work& work, std::uint64_t lsn) {
  const Geometry& geometry = work.segment->geometry();
  const auto& columns = work.segment->columns();
  std::vector<std::byte> attributes;
  for (std::uint32_t i = work.persisted_rows; i < work.view.rows; ++i) {
    const Chunk& chunk = *(*work.view.chunks)[i / geometry.chunk_rows];
    const std::uint32_t at = i % geometry.chunk_rows;
    const auto block = chunk.block();  // rows that no part holds are in memory always
    TRY(writer.add_row(
        chunk.ids[at], chunk.deaths.of(at) <= lsn,
        {block->data() + std::size_t{at} * geometry.stride_bytes, geometry.row_bytes}));
  }
  for (std::uint32_t i = work.persisted_rows; i < work.view.rows; ++i) {
    const Chunk& chunk = *(*work.view.chunks)[i / geometry.chunk_rows];
    attributes.clear();
    if (chunk.deaths.of(i % geometry.chunk_rows) > lsn) columns.get(i, attributes);
    TRY(writer.add_attributes(attributes));
  }
  for (const std::uint32_t i : work.changed) {
    const Chunk& chunk = *(*work.view.chunks)[i / geometry.chunk_rows];
    if (chunk.deaths.of(i % geometry.chunk_rows) <= lsn) {
      TRY(writer.add_change(i, ChangeKind::dead, {}));
    } else {
      columns.get(i, attributes);
      TRY(writer.add_change(i, ChangeKind::attributes, attributes));
    }
  }
  return {};
}

}  // namespace

Status IndexImpl::checkpoint(Seal seal, Compaction* compaction) {
  std::lock_guard lock(maintenance_mutex);
  try {
    TRY(checkpoint_locked(seal, compaction));
  } catch (const std::bad_alloc&) {
    // Which rows have changed since the last one is forgotten: only opening finds out again.
    std::lock_guard commit_lock(commit_mutex);
    refuse_writes("out of memory");
    throw;
  }
  if (auto settled = settle_memory_locked(Load::everything); !settled.ok())
    similis::log(LogLevel::warning,
                 "loading vectors of " + directory.native() + ": " + settled.error().message);
  return {};
}

// Three steps: freeze the state as of one write under the commit lock, a matter of microseconds;
// write its files while writes and searches go on; publish them.
Status IndexImpl::checkpoint_locked(Seal seal, Compaction* compaction) {
  std::vector<Work> works;
  Manifest manifest;
  std::vector<LogFile> covered;
  std::vector<std::string> obsolete;
  std::uint64_t frozen_log_bytes = 0;
  {
    std::lock_guard lock(commit_mutex);
    TRY(check_writable());
    const bool structure = compaction != nullptr || !obsolete_files.empty() || graphs_changed;
    if (compaction != nullptr) install(*compaction);
    Segment& open = *segments.back();
    const bool full = open.rows() >= options.segment_rows && segments.size() < kSegmentsMax;
    const bool sealing = open.rows() > 0 && (seal == Seal::now || full);
    if (last_lsn == manifest_lsn && !structure && !sealing) return {};
    if (sealing) {
      begin_segment();
      publish();
    }
    for (const auto& segment : segments) {
      if (segment->rows() == 0) continue;
      works.push_back({segment,
                       segment->view(segment),
                       segment->persisted_rows(),
                       segment->sealed(),
                       segment->take_changed(),
                       segment->parts(),
                       {},
                       {}});
      if (segment->stored_graph()) works.back().derived.push_back(segment->stored_graph()->record);
    }
    log.reset();
    covered = logs;
    frozen_log_bytes = log_bytes.load(std::memory_order_relaxed);
    manifest.index = uuid;
    manifest.kind = static_cast<std::uint32_t>(shape.kind);
    manifest.metric = static_cast<std::uint32_t>(shape.metric);
    manifest.dimensions = shape.dimensions;
    manifest.lsn = last_lsn;
    manifest.max_id = max_id;
    manifest.norm_max = norm_max;
    manifest.first_wal = next_file++;
    manifest.next_segment = next_segment;
    obsolete = obsolete_files;
    graphs_changed = false;
  }

  std::vector<std::string> written;
  PublishOutcome outcome = PublishOutcome::unchanged;
  auto write = [&]() -> Status {
    for (Work& work : works) {
      join_changes(work);
      if (work.view.rows > work.persisted_rows || !work.changed.empty()) {
        PartWriter::Identity identity{uuid, 0, manifest.lsn, work.segment->number(),
                                      work.persisted_rows};
        {
          std::lock_guard lock(commit_mutex);
          identity.file = next_file++;
        }
        ASSIGN_OR_RETURN(const auto writer,
                         PartWriter::create(storage, directory, geometry, identity));
        TRY(write_rows(*writer, work, manifest.lsn));
        ASSIGN_OR_RETURN(const Manifest::Part record, writer->finish());
        written.push_back(part_name(record.file));
        auto parts = std::make_shared<PartList>(*work.parts);
        ASSIGN_OR_RETURN(auto part, Part::open(storage, directory, uuid, geometry,
                                               work.segment->number(), record));
        parts->push_back(std::move(part));
        work.parts = std::move(parts);
      }
      auto& segment = manifest.segments.emplace_back();
      segment.number = work.segment->number();
      segment.sealed = work.sealed;
      segment.rows = work.view.rows;
      for (const auto& part : *work.parts) segment.parts.push_back(part->record());
      segment.derived = work.derived;
    }
    {
      std::lock_guard lock(commit_mutex);
      manifest.next_file = next_file;
    }
    return publish_manifest(storage, directory, manifest, outcome);
  };
  Status status = write();

  std::vector<std::string> garbage;
  {
    std::lock_guard lock(commit_mutex);
    if (!status.ok()) {
      graphs_changed = true;  // perhaps: then the next one is as good
      for (const Work& work : works)
        for (const std::uint32_t ordinal : work.changed) work.segment->mark_changed(ordinal);
      if (outcome == PublishOutcome::unknown) {
        // Either manifest may be the one on the medium: neither's files may go.
        refuse_writes(status.error().message);
      } else {
        garbage = std::move(written);
      }
    } else {
      for (Work& work : works) {
        work.segment->set_parts(work.parts, work.view.rows);
        for (auto& name : work.dropped) garbage.push_back(std::move(name));
      }
      for (const LogFile& file : covered) garbage.push_back(wal_name(file.file));
      logs.erase(logs.begin(), logs.begin() + static_cast<std::ptrdiff_t>(covered.size()));
      // Others may have come behind them meanwhile.
      obsolete_files.erase(obsolete_files.begin(),
                           obsolete_files.begin() + static_cast<std::ptrdiff_t>(obsolete.size()));
      std::erase_if(lost_graphs, [&](const DamageReport& lost) {
        return std::find(obsolete.begin(), obsolete.end(), lost.file) != obsolete.end();
      });
      for (auto& name : obsolete) garbage.push_back(std::move(name));
      log_bytes.fetch_sub(frozen_log_bytes, std::memory_order_relaxed);
      manifest_lsn = manifest.lsn;
      manifest_bytes = encode_manifest(manifest).size();
    }
  }
  for (const std::string& name : garbage) {
    // Snapshots that see these files hold them open; the space comes back with the last one.
    if (auto removed = storage.remove(directory / name); !removed.ok())
      similis::log(LogLevel::warning,
                   "a file stays until the next opening: " + removed.error().message);
  }
  return status;
}

}  // namespace similis::engine
