#include <algorithm>
#include <deque>
#include <random>
#include <system_error>

#include "base/log.h"
#include "engine/index_impl.h"
#include "engine/raw_columns.h"

namespace similis::engine {
namespace {

Storage& storage_of(const IndexOptions& options) {
  return options.storage != nullptr ? *options.storage : posix_storage();
}

Error impossible(const std::string& what) {
  return {ErrorCode::corruption, what,
          "Run verify; the index has to be built again, or restored from a copy."};
}

Status check_shape(const IndexShape& shape) {
  if (shape.dimensions < 1 || shape.dimensions > kDimensionsMax) {
    return Error(ErrorCode::invalid_argument, "an index of " + std::to_string(shape.dimensions) +
                                                  " dimensions; between 1 and " +
                                                  std::to_string(kDimensionsMax) + " are possible");
  }
  return {};
}

}  // namespace

IndexImpl::IndexImpl(Storage& storage_, std::filesystem::path directory_, IndexOptions options_,
                     const Manifest& manifest)
    : storage(storage_),
      directory(std::move(directory_)),
      options(std::move(options_)),
      shape{manifest.dimensions, static_cast<Metric>(manifest.metric),
            static_cast<IndexKind>(manifest.kind)},
      geometry(manifest.dimensions),
      uuid(manifest.index),
      format(options.attributes ? options.attributes : raw_attribute_format()),
      budget(options.memory ? options.memory : make_memory_budget(UINT64_MAX)),
      threads(options.threads != 0 ? options.threads
                                   : std::max(1U, std::thread::hardware_concurrency())),
      scratch(budget->scratch()),
      build_plan(plan_building(options.build_memory, code_dimensions())),
      segment_rows_max(largest_segment()),
      graph_workers(storage) {
  budget->join_searches(this, threads, geometry.chunk_bytes());
}

IndexImpl::~IndexImpl() {
  budget->leave(this);
  if (auto status = close(); !status.ok())
    similis::log(LogLevel::error, "closing " + directory.native() + ": " + status.error().message);
  budget->replace_tables(budgeted_tables, 0);
  budget->leave_searches(this);
}

Status IndexImpl::create_files(const std::filesystem::path& directory, const IndexShape& shape,
                               const IndexOptions& options) {
  TRY(check_shape(shape));
  Storage& storage = storage_of(options);
  TRY(storage.make_directory(directory));
  ASSIGN_OR_RETURN(const auto lock, storage.lock(directory));
  const auto existing = read_manifest(storage, directory);
  if (existing.ok())
    return Error(ErrorCode::already_exists, directory.native() + ": holds an index already");
  if (existing.error().code != ErrorCode::not_found) return existing.error();
  Manifest manifest;
  std::random_device random;
  for (auto& byte : manifest.index) byte = static_cast<std::byte>(random() & 0xff);
  manifest.kind = static_cast<std::uint32_t>(shape.kind);
  manifest.metric = static_cast<std::uint32_t>(shape.metric);
  manifest.dimensions = shape.dimensions;
  PublishOutcome outcome{};
  return publish_manifest(storage, directory, manifest, outcome);
}

Result<std::unique_ptr<IndexImpl>> IndexImpl::open(const std::filesystem::path& directory,
                                                   const IndexOptions& options) {
  Storage& storage = storage_of(options);
  if (auto listed = storage.list(directory); !listed.ok()) {
    if (listed.error().code != ErrorCode::not_found) return std::move(listed).error();
    return Error(ErrorCode::not_found, directory.native() + ": there is no index here");
  }
  ASSIGN_OR_RETURN(auto lock, storage.lock(directory));
  ASSIGN_OR_RETURN(const Manifest manifest, read_manifest(storage, directory));
  if (manifest.kind < static_cast<std::uint32_t>(IndexKind::flat) ||
      manifest.kind > static_cast<std::uint32_t>(IndexKind::graph) || manifest.metric < 1 ||
      manifest.metric > static_cast<std::uint32_t>(Metric::l2))
    return impossible(directory.native() + ": an index of unknown kind or metric");
  auto impl = std::make_unique<IndexImpl>(storage, directory, options, manifest);
  impl->directory_lock = std::move(lock);
  TRY(impl->recover(manifest));
  if (impl->shape.kind == IndexKind::graph &&
      impl->build_plan.rows_max < impl->options.graph_rows_min)
    similis::log(LogLevel::warning,
                 directory.native() + ": " + std::to_string(options.build_memory) +
                     " bytes are too few to make a graph of " +
                     std::to_string(options.graph_rows_min) + " vectors of " +
                     std::to_string(impl->shape.dimensions) +
                     " dimensions: every vector is compared (index.build_memory_max)");
  if (options.background) {
    try {
      impl->maintenance = std::thread([p = impl.get()] { p->run_maintenance(); });
    } catch (const std::system_error& error) {
      return Error(ErrorCode::resource_exhausted,
                   directory.native() + ": no thread for its maintenance: " + error.what(),
                   "Raise the limit of threads (ulimit -u, or the container's pids.max).");
    }
  }
  impl->after_commit();  // a log that has grown too long is due at once
  return impl;
}

// Nobody else knows this index yet: no lock is needed but for those that callees insist on.
Status IndexImpl::recover(const Manifest& manifest) {
  last_lsn = manifest_lsn = manifest.lsn;
  next_file = manifest.next_file;
  next_segment = manifest.next_segment;
  norm_max = manifest.norm_max;
  max_id = manifest.max_id;
  manifest_bytes = encode_manifest(manifest).size();

  // What a crash left: files of no manifest, and logs that one made superfluous. The manifest may
  // have been read from the page cache, its rename not yet on the medium: were the power to go
  // after what follows, the one before it would come back and miss its files.
  TRY(storage.sync_directory(directory));
  ASSIGN_OR_RETURN(const auto names, storage.list(directory));
  std::vector<std::uint64_t> log_files;
  for (const std::string& name : names) {
    const FileName file = parse_name(name);
    next_file = std::max(next_file, file.file + 1);
    bool needed = file.kind == FileKind::other;
    if (file.kind == FileKind::wal && file.file >= manifest.first_wal) {
      needed = true;
      log_files.push_back(file.file);
    }
    for (const auto& segment : manifest.segments) {
      for (const auto& part : segment.parts)
        needed = needed || (file.kind == FileKind::part && file.file == part.file);
      for (const auto& derived : segment.derived)
        needed = needed || (file.kind == FileKind::derived && file.file == derived.file);
    }
    if (needed) continue;
    if (auto removed = storage.remove(directory / name); !removed.ok())
      similis::log(LogLevel::warning, "a left-over file stays: " + removed.error().message);
  }
  std::sort(log_files.begin(), log_files.end());

  std::uint64_t rows = 0;
  for (const auto& segment : manifest.segments) rows += segment.rows;
  map.reserve(rows, max_id);
  for (const auto& segment : manifest.segments) TRY(load_segment(segment));
  if (segments.empty() || segments.back()->sealed()) segments.push_back(make_segment());
  TRY(replay_logs(log_files));

  budget_tables();
  if (budget->tables() > budget->limit()) budget->make_room(this);
  if (budget->tables() > budget->limit()) {
    return Error(ErrorCode::resource_exhausted,
                 directory.native() + ": with this index " + std::to_string(budget->tables()) +
                     " bytes of memory are needed for ids, tables and attributes; the limit is " +
                     std::to_string(budget->limit()),
                 "Raise index.memory_max to that at least.");
  }
  load_graphs(manifest);
  budget_tables();
  publish();
  if (budget->passed()) budget->make_room(this);
  // Vectors that a graph leads to are not waited for: searches read a few of them from disk, until
  // they are loaded behind.
  TRY(settle_memory(options.background ? Load::what_is_scanned : Load::everything));
  return_free_memory();
  budget->join(this, [this] {
    // While a graph is made nothing is shortened: its end does that.
    if (std::unique_lock lock(compaction_mutex, std::try_to_lock);
        lock && budget->tables() > budget->limit())
      fit_graphs();
    if (auto settled = settle_memory(Load::what_is_scanned); !settled.ok())
      similis::log(LogLevel::warning,
                   "making room in " + directory.native() + ": " + settled.error().message);
  });
  return {};
}

Status IndexImpl::load_segment(const Manifest::Segment& record) {
  auto segment = std::make_shared<Segment>(record.number, geometry, format->make_columns(), budget);
  auto parts = std::make_shared<PartList>();
  for (const auto& part_record : record.parts) {
    ASSIGN_OR_RETURN(auto part,
                     Part::open(storage, directory, uuid, geometry, record.number, part_record));
    ASSIGN_OR_RETURN(const Part::Tables tables, part->read_tables());
    const std::string name = part_name(part_record.file);
    for (std::uint32_t i = 0; i < part_record.rows; ++i) {
      if (tables.ids[i] < 1 || tables.ids[i] > kRowIdMax)
        return impossible(name + ": a row's id is " + std::to_string(tables.ids[i]));
      const bool dead = (tables.dead[i / 64] >> (i % 64) & 1U) != 0;
      segment->append_stored(tables.ids[i], dead);
    }
    for (const ChangeRecord& change : tables.changes) {
      if (change.ordinal >= segment->rows())
        return impossible(name + ": changes a row that does not exist");
      if (change.kind == ChangeKind::dead) segment->kill(change.ordinal, 0);
    }
    auto set = [&](std::uint32_t i, std::span<const std::byte> bytes) -> Status {
      std::uint32_t ordinal = part_record.first_ordinal + i;
      if (i >= part_record.rows) {
        const ChangeRecord& change = tables.changes[i - part_record.rows];
        if (change.kind != ChangeKind::attributes) return {};
        ordinal = change.ordinal;
      }
      if (!segment->alive(ordinal)) return {};
      TRY(format->check(bytes));
      segment->columns().set(ordinal, bytes);
      return {};
    };
    if (auto status = part->read_attributes(tables, set); !status.ok())
      return status.error().with_context(name);
    parts->push_back(std::move(part));
  }
  if (segment->rows() != record.rows) return impossible("a segment's rows do not add up");
  for (std::uint32_t i = 0; i < record.rows; ++i) {
    if (!segment->alive(i)) continue;
    if (map.put(segment->id(i), {record.number, i})) {
      return impossible(directory.native() + ": id " + std::to_string(segment->id(i)) +
                        " is there twice");
    }
  }
  if (record.sealed) segment->seal();
  segment->set_parts(std::move(parts), record.rows);
  segments.push_back(std::move(segment));
  return {};
}

Result<std::uint64_t> IndexImpl::largest_id(Storage& storage,
                                            const std::filesystem::path& directory) {
  ASSIGN_OR_RETURN(const Manifest manifest, read_manifest(storage, directory));
  std::uint64_t largest = manifest.max_id;
  ASSIGN_OR_RETURN(const auto names, storage.list(directory));
  for (const std::string& name : names) {
    const FileName file = parse_name(name);
    if (file.kind != FileKind::wal || file.file < manifest.first_wal) continue;
    ASSIGN_OR_RETURN(auto reader, WalReader::open(storage, directory / name, manifest.index,
                                                  manifest.dimensions, file.file));
    std::uint64_t in_batch = 0;
    for (WalRecord record;;) {
      ASSIGN_OR_RETURN(const bool whole, reader.next(record));
      if (!whole) break;
      if (record.header.operation == WalOperation::upsert)
        in_batch = std::max(in_batch, record.header.id);
      if (record.header.flags != kBatchGoesOn) largest = std::max(largest, in_batch);
    }
  }
  return largest;
}

Status IndexImpl::replay_logs(const std::vector<std::uint64_t>& files) {
  std::vector<WalReader> readers;
  for (const std::uint64_t file : files) {
    ASSIGN_OR_RETURN(auto reader, WalReader::open(storage, directory / wal_name(file), uuid,
                                                  geometry.dimensions, file));
    if (reader.torn_header()) {
      // Its making was interrupted; no record was ever in it.
      if (auto removed = storage.remove(directory / wal_name(file)); !removed.ok())
        similis::log(LogLevel::warning, "an empty log stays: " + removed.error().message);
      continue;
    }
    logs.push_back({file, reader.file_bytes()});
    readers.push_back(std::move(reader));
  }

  // Of the last log: where batches begin of which it is not known that they were synced.
  struct Place {
    std::uint64_t lsn, offset;
  };
  std::deque<Place> uncertain;
  for (std::size_t i = 0; i < readers.size(); ++i) {
    WalReader& reader = readers[i];
    const bool last = i + 1 == readers.size();
    // The next log begins where this one was durable; what lies behind was written again there.
    const std::uint64_t end_lsn = last ? UINT64_MAX : readers[i + 1].first_lsn();
    std::uint64_t lsn = reader.first_lsn();
    if (lsn > last_lsn + 1) {
      return impossible(reader.name() + ": begins with write " + std::to_string(lsn) +
                        ", the one before ends with " + std::to_string(last_lsn) +
                        ": a log is missing");
    }
    // `lsn` and `end` stand behind the last whole batch.
    std::uint64_t durable_lsn = lsn - 1, end = reader.offset();
    std::vector<std::byte> batch;  // whose last record did not come yet
    std::unique_lock map_lock(map_mutex);
    for (std::uint64_t next = lsn; next < end_lsn;) {
      WalRecord record;
      ASSIGN_OR_RETURN(const bool whole, reader.next(record));
      const bool marker = whole && record.header.operation == WalOperation::closed;
      if (!whole || record.header.lsn != (marker ? next - 1 : next) || (marker && next != lsn))
        break;
      durable_lsn = std::max(durable_lsn, record.header.durable_lsn);
      while (!uncertain.empty() && uncertain.front().lsn <= durable_lsn) uncertain.pop_front();
      if (marker) {
        end = reader.offset();
        continue;
      }
      ++next;
      if (record.header.flags == kBatchGoesOn) {
        batch.insert(batch.end(), record.raw.begin(), record.raw.end());
        continue;
      }
      if (last) uncertain.push_back({lsn, end});
      for (std::span<const std::byte> rest = batch; !rest.empty();) {
        // It was parsed when it was put there.
        const auto earlier = split_record(rest, geometry.dimensions);
        TRY(replay(*earlier));
        rest = rest.subspan(earlier->header.bytes);
      }
      batch.clear();
      TRY(replay(record));
      lsn = next;
      end = reader.offset();
    }
    map_lock.unlock();
    if (!last && lsn < end_lsn) {
      return impossible(reader.name() + " at byte " + std::to_string(end) +
                        ": what was written there (" + std::to_string(lsn) + ") is damaged");
    }
    if (last && end < reader.file_bytes()) {
      ASSIGN_OR_RETURN(const bool damaged, reader.written_after(lsn));
      if (damaged) {
        return impossible(reader.name() + " at byte " + std::to_string(end) +
                          ": what was written there (" + std::to_string(lsn) +
                          ") is damaged, what came later is whole");
      }
      similis::log(LogLevel::info, reader.name() +
                                       ": writes that were never acknowledged are cut off, " +
                                       std::to_string(reader.file_bytes() - end) + " bytes");
    }
    std::uint64_t keep = end;
    if (!uncertain.empty()) {
      keep = uncertain.front().offset;
      if (auto saved = rescue_tail(reader.name(), keep, end, uncertain.front().lsn); !saved.ok()) {
        // The rows are there to be searched; what is not known to be durable must not be built on.
        logs[i].bytes = end;
        refuse_writes(saved.error().message);
        return {};
      }
    }
    logs[i].bytes = keep;
    if (keep < reader.file_bytes()) {
      if (auto cut = storage.truncate(reader.name(), keep); !cut.ok())
        similis::log(LogLevel::warning, "a log's torn end stays: " + cut.error().message);
    }
  }
  return {};
}

// What parts hold already is passed over.
Status IndexImpl::replay(const WalRecord& record) {
  if (record.header.lsn <= last_lsn) return {};
  if (record.header.operation != WalOperation::erase) TRY(format->check(record.attributes));
  last_lsn = record.header.lsn;
  if (record.header.operation == WalOperation::upsert && shape.metric != Metric::cosine) {
    const auto* halves = reinterpret_cast<const std::uint16_t*>(record.vector.data());
    norm_max = std::max(norm_max, stored_norm({halves, shape.dimensions}));
  }
  if (record.header.operation == WalOperation::upsert) TRY(make_room_at_tail());
  apply(record);
  log_bytes.fetch_add(record.header.bytes, std::memory_order_relaxed);
  return {};
}

// After a crash or a failed sync, the page cache may show records that the medium lacks. They are
// written again, to a log of their own, before anything is built on them.
Status IndexImpl::rescue_tail(const std::string& name, std::uint64_t offset, std::uint64_t end,
                              std::uint64_t first_lsn) {
  const std::uint64_t file = next_file++;
  ASSIGN_OR_RETURN(const auto source, storage.open(name));
  ASSIGN_OR_RETURN(const auto out, copy_wal(storage, directory, uuid, geometry.dimensions, file,
                                            first_lsn, *source, offset, end - offset));
  logs.push_back({file, out->size()});
  return {};
}

Status IndexImpl::close() {
  {
    std::lock_guard lock(wake_mutex);
    stopping = true;
  }
  closing.request_stop();
  wake.notify_all();
  relaxed.notify_all();
  if (maintenance.joinable()) maintenance.join();
  std::lock_guard lock(commit_mutex);
  if (!log || !read_only.empty()) return {};
  // The mark lets the next opening tell damage from a torn end.
  std::vector<std::byte> mark;
  encode_record(mark, WalOperation::closed, 0, {}, {});
  stamp_record(mark, last_lsn, last_lsn);
  Status status = log->append(mark);
  if (status.ok()) status = log->sync();
  log.reset();
  return status;
}

}  // namespace similis::engine
