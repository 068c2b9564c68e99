#include "engine/verify.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "engine/index_impl.h"
#include "engine/storage/derived_file.h"
#include "engine/storage/part.h"
#include "engine/storage/wal.h"

namespace similis::engine {
namespace {

/// Damage found is recorded; what stops the check itself is returned.
Status record(const Error& error, const std::string& file, std::uint64_t offset,
              std::vector<DamageReport>& found) {
  switch (error.code) {
    case ErrorCode::cancelled:
    case ErrorCode::deadline_exceeded:
    case ErrorCode::resource_exhausted:
    case ErrorCode::permission_denied:
      return error;
    default:
      found.push_back({file, offset, error.message});
      return {};
  }
}

/// What follows the last write of a log that another one goes on from: its mark, whole, or what an
/// opening that found it torn wrote anew in the next one and could not cut off.
Status verify_mark(WalReader& reader, const std::string& name, std::vector<DamageReport>& found) {
  const std::uint64_t offset = reader.offset();
  if (reader.file_bytes() - offset != sizeof(WalRecordHeader)) return {};
  WalRecord mark;
  auto whole = reader.next(mark);
  if (!whole.ok()) return record(whole.error(), name, offset, found);
  if (!*whole) found.push_back({name, offset, "the mark at the log's end is damaged"});
  return {};
}

/// Reads one log to `end` (UINT64_MAX: the file's) and reports where records stop being whole
/// before it, or before write `end_lsn`, where the next log takes over.
Status verify_log(Storage& storage, const std::filesystem::path& directory, const Uuid& index,
                  std::uint32_t dimensions, std::uint64_t file, std::uint64_t end,
                  std::uint64_t end_lsn, const CallOptions& call,
                  std::vector<DamageReport>& found) {
  const std::string name = wal_name(file);
  auto opened = WalReader::open(storage, directory / name, index, dimensions, file);
  if (!opened.ok()) return record(opened.error(), name, 0, found);
  WalReader& reader = opened.value();
  if (reader.torn_header()) {
    found.push_back({name, 0, "the header is torn or damaged"});
    return {};
  }
  end = std::min(end, reader.file_bytes());
  std::uint64_t lsn = reader.first_lsn();
  std::uint64_t batch_lsn = lsn, batch_begin = reader.offset();
  while (lsn < end_lsn && reader.offset() < end) {
    TRY(call.check());
    const std::uint64_t offset = reader.offset();
    WalRecord log_record;
    auto whole = reader.next(log_record);
    if (!whole.ok()) return record(whole.error(), name, offset, found);
    const bool marker = *whole && log_record.header.operation == WalOperation::closed;
    if (!*whole || log_record.header.lsn != (marker ? lsn - 1 : lsn)) {
      found.push_back({name, offset, "write " + std::to_string(lsn) + " is damaged or torn"});
      return {};
    }
    if (!marker) ++lsn;
    if (log_record.header.flags == kBatchGoesOn) continue;
    batch_lsn = lsn;
    batch_begin = reader.offset();
  }
  if (batch_lsn != lsn) {
    found.push_back(
        {name, batch_begin,
         "the batch that begins with write " + std::to_string(batch_lsn) + " lacks its end"});
    return {};
  }
  if (end_lsn != UINT64_MAX && lsn < end_lsn)
    found.push_back({name, end, "writes from " + std::to_string(lsn) + " on are missing"});
  return end_lsn == UINT64_MAX ? Status() : verify_mark(reader, name, found);
}

}  // namespace

Result<std::vector<DamageReport>> verify_closed(Storage& storage,
                                                const std::filesystem::path& directory,
                                                const CallOptions& call) {
  std::vector<DamageReport> found;
  auto listed = storage.list(directory);
  if (!listed.ok()) return std::move(listed).error();
  ASSIGN_OR_RETURN(const auto lock, storage.lock(directory));
  auto read = read_manifest(storage, directory);
  if (!read.ok()) {
    if (read.error().code == ErrorCode::not_found) return std::move(read).error();
    TRY(record(read.error(), kManifestName, 0, found));
    return found;
  }
  const Manifest& manifest = read.value();
  const Geometry geometry(manifest.dimensions);
  const auto check = [&] { return call.check(); };
  for (const auto& segment : manifest.segments) {
    for (const auto& part : segment.parts) {
      auto opened = Part::open(storage, directory, manifest.index, geometry, segment.number, part);
      if (!opened.ok()) {
        TRY(record(opened.error(), part_name(part.file), 0, found));
        continue;
      }
      TRY((*opened)->verify(found, check));
    }
    for (const auto& derived : segment.derived) {
      auto opened = DerivedFile::open(storage, directory, manifest.index, segment.number, derived);
      if (!opened.ok()) {
        TRY(record(opened.error(), derived_name(derived.file), 0, found));
        continue;
      }
      TRY((*opened)->verify(found, check));
    }
  }
  // Each log's first write says where the one before it ends.
  std::map<std::uint64_t, std::uint64_t> first_lsns;
  for (const std::string& name : *listed) {
    const FileName file = parse_name(name);
    if (file.kind != FileKind::wal || file.file < manifest.first_wal) continue;
    auto opened =
        WalReader::open(storage, directory / name, manifest.index, manifest.dimensions, file.file);
    first_lsns[file.file] =
        opened.ok() && !opened->torn_header() ? opened->first_lsn() : UINT64_MAX;
  }
  if (const auto first = first_lsns.begin();
      first != first_lsns.end() && first->second != UINT64_MAX && first->second > manifest.lsn + 1)
    found.push_back({wal_name(first->first), 0,
                     "writes from " + std::to_string(manifest.lsn + 1) + " to " +
                         std::to_string(first->second - 1) + " are missing, and so is their log"});
  for (auto it = first_lsns.begin(); it != first_lsns.end(); ++it) {
    const auto next = std::next(it);
    TRY(verify_log(storage, directory, manifest.index, manifest.dimensions, it->first, UINT64_MAX,
                   next == first_lsns.end() ? UINT64_MAX : next->second, call, found));
  }
  return found;
}

Result<std::vector<DamageReport>> IndexImpl::verify(const CallOptions& call) {
  std::vector<DamageReport> found;
  std::vector<std::pair<std::uint32_t, std::shared_ptr<const Part>>> parts;  // of segments
  std::vector<std::pair<std::uint32_t, Manifest::Derived>> graphs;
  std::vector<LogFile> log_files;
  {
    std::lock_guard lock(commit_mutex);
    for (const auto& segment : segments)
      for (const auto& part : *segment->parts()) parts.emplace_back(segment->number(), part);
    for (const auto& segment : segments)
      if (segment->stored_graph())
        graphs.emplace_back(segment->number(), segment->stored_graph()->record);
    log_files = logs;
    found = lost_graphs;
  }
  bool mends = false, writes_manifest = false;
  if (auto manifest = read_manifest(storage, directory); !manifest.ok()) {
    TRY(record(manifest.error(), kManifestName, 0, found));
    writes_manifest = true;
  }
  for (const auto& [number, part] : parts) {
    const std::size_t before = found.size();
    TRY(part->verify(found, [&] { return call.check(); }));
    if (found.size() == before) continue;
    std::lock_guard lock(commit_mutex);
    Segment* const segment = find_segment(number);
    if (segment == nullptr) continue;  // compacted away
    segment->set_damaged(true);
    mends = true;
  }
  for (const auto& [segment, derived] : graphs) {
    std::vector<DamageReport> in_graph;
    auto opened = DerivedFile::open(storage, directory, uuid, segment, derived);
    if (opened.ok()) {
      TRY((*opened)->verify(in_graph, [&] { return call.check(); }));
    } else {
      TRY(record(opened.error(), derived_name(derived.file), 0, in_graph));
    }
    if (in_graph.empty()) continue;
    // Another one may have taken its place meanwhile.
    std::lock_guard lock(commit_mutex);
    const auto owner = std::find_if(segments.begin(), segments.end(), [&](const auto& s) {
      return s->stored_graph() && s->stored_graph()->record == derived;
    });
    if (owner == segments.end()) continue;
    found.insert(found.end(), in_graph.begin(), in_graph.end());
    lose_graph(
        derived, (directory / derived_name(derived.file)).native() + ": " + in_graph.front().what,
        (*owner)->graph() ? "it is written again" : "it is made again once there is room for it");
    lost_graphs.back().offset = in_graph.front().offset;
    (*owner)->set_stored_graph({});
    graphs_changed = true;
    mends = true;
  }
  for (std::size_t i = 0; i < log_files.size(); ++i) {
    std::vector<DamageReport> in_log;
    TRY(verify_log(storage, directory, uuid, geometry.dimensions, log_files[i].file,
                   log_files[i].bytes, UINT64_MAX, call, in_log));
    if (in_log.empty()) continue;
    // A checkpoint may have taken the log away meanwhile.
    std::lock_guard lock(commit_mutex);
    const bool still = std::any_of(logs.begin(), logs.end(), [&](const LogFile& file) {
      return file.file == log_files[i].file;
    });
    if (!still) continue;
    found.insert(found.end(), in_log.begin(), in_log.end());
    writes_manifest = true;
  }
  if (mends) wake_maintenance();
  // With the rows in parts no opening needs the log. Where it fails the next one tries again.
  if (writes_manifest) {
    {
      std::lock_guard lock(commit_mutex);
      if (!read_only.empty()) return found;
      graphs_changed = true;
    }
    if (auto written = checkpoint(Seal::when_full, nullptr); !written.ok())
      similis::log(LogLevel::warning,
                   directory.native() + " stays damaged: " + written.error().message);
  }
  return found;
}

}  // namespace similis::engine
