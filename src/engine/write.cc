#include <algorithm>
#include <new>

#include "base/log.h"
#include "engine/index_impl.h"
#include "engine/search.h"

namespace similis::engine {
namespace {

// Batches that wait are committed together up to this many bytes.
constexpr std::size_t kGroupBytesMax = 64 << 20;

Status check_id(std::uint64_t id, const std::string& position) {
  if (id >= 1 && id <= kRowIdMax) return {};
  return Error(ErrorCode::invalid_argument,
               position + ": id " + std::to_string(id) + " is not between 1 and 2^53 - 1");
}

Status check_attributes(const AttributeFormat& format, std::span<const std::byte> bytes,
                        const std::string& position) {
  if (bytes.size() > kAttributeBytesMax) {
    return Error(ErrorCode::invalid_argument, position + ": " + std::to_string(bytes.size()) +
                                                  " bytes of attributes, at most " +
                                                  std::to_string(kAttributeBytesMax) + " are kept");
  }
  if (auto status = format.check(bytes); !status.ok()) return status.error().with_context(position);
  return {};
}

}  // namespace

Result<WriteResult> IndexImpl::upsert(std::span<const Row> rows, const CallOptions& call) {
  Batch batch;
  batch.appends = !rows.empty();
  std::size_t bytes = 0;
  for (const Row& row : rows)
    bytes += sizeof(WalRecordHeader) + geometry.row_bytes + row.attributes.size() + 16;
  batch.records.reserve(bytes);
  std::vector<std::uint16_t> half(geometry.dimensions);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const std::string position = "row " + std::to_string(i);
    TRY(check_id(row.id, position));
    TRY(check_attributes(*format, row.attributes, position));
    ASSIGN_OR_RETURN(const float norm,
                     encode_vector(row.vector, shape.metric, geometry.dimensions, half, position));
    batch.norm_max = std::max(batch.norm_max, norm);
    encode_record(batch.records, WalOperation::upsert, row.id, row.attributes,
                  std::as_bytes(std::span(half)));
  }
  return commit(batch, call);
}

Result<WriteResult> IndexImpl::erase(std::span<const std::uint64_t> ids, const CallOptions& call) {
  Batch batch;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    TRY(check_id(ids[i], "row " + std::to_string(i)));
    encode_record(batch.records, WalOperation::erase, ids[i], {}, {});
  }
  return commit(batch, call);
}

Result<WriteResult> IndexImpl::update_attributes(std::span<const AttributeChange> changes,
                                                 const CallOptions& call) {
  Batch batch;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const std::string position = "row " + std::to_string(i);
    TRY(check_id(changes[i].id, position));
    TRY(check_attributes(*format, changes[i].attributes, position));
    encode_record(batch.records, WalOperation::attributes, changes[i].id, changes[i].attributes,
                  {});
  }
  return commit(batch, call);
}

// The first in the queue leads: it writes all that wait behind it as one append and one sync,
// applies them in order, publishes, and wakes the others with their results.
Result<WriteResult> IndexImpl::commit(Batch& batch, const CallOptions& call) {
  TRY(call.check());
  TRY(throttle(call));
  std::unique_lock queue_lock(queue_mutex);
  queue.push_back(&batch);
  batch.wake.wait(queue_lock, [&] { return batch.done || queue.front() == &batch; });
  if (!batch.done) {
    queue_lock.unlock();
    lead(batch);
    if (!batch.out_of_memory) after_commit();
  } else {
    queue_lock.unlock();
  }
  if (batch.out_of_memory) throw std::bad_alloc();
  TRY(std::move(batch.status));
  return batch.result;
}

// However writing ends, those who wait are told, and the next of them leads: the queue holds
// pointers to what lies on their stacks. Once memory has run out midway nobody knows which of the
// steps were done, so no more is written; opening reads from disk what holds.
void IndexImpl::lead(Batch& first) {
  std::size_t count = 1;  // of the queue's front
  bool out_of_memory = false;
  {
    std::lock_guard commit_lock(commit_mutex);
    try {
      std::vector<Batch*> group;
      {
        std::lock_guard queue_lock(queue_mutex);
        std::size_t bytes = 0;
        for (Batch* waiting : queue) {
          if (!group.empty() && bytes + waiting->records.size() > kGroupBytesMax) break;
          bytes += waiting->records.size();
          group.push_back(waiting);
        }
        count = group.size();
      }
      const Status status = write_group(group);
      for (Batch* each : group) each->status = status;
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
      refuse_writes("out of memory");
    }
  }
  std::lock_guard queue_lock(queue_mutex);
  for (; count > 0; --count) {
    Batch* each = queue.front();
    queue.pop_front();
    each->out_of_memory = out_of_memory;
    each->done = true;
    if (each != &first) each->wake.notify_one();
  }
  if (!queue.empty()) queue.front()->wake.notify_one();
}

Status IndexImpl::open_log() {
  if (log) return {};
  const std::uint64_t file = next_file++;
  ASSIGN_OR_RETURN(log,
                   create_wal(storage, directory, uuid, geometry.dimensions, file, last_lsn + 1));
  logs.push_back({file, log->size()});
  return {};
}

Status IndexImpl::write_group(std::span<Batch* const> group) {
  TRY(check_writable());
  const std::uint64_t begin_lsn = last_lsn;
  std::uint64_t lsn = begin_lsn, bytes = 0;
  for (Batch* batch : group) {
    for (std::size_t at = 0; at < batch->records.size();)
      at += stamp_record(std::span(batch->records).subspan(at), ++lsn, begin_lsn);
    bytes += batch->records.size();
  }
  if (bytes > 0) {
    const bool appends =
        std::any_of(group.begin(), group.end(), [](auto* b) { return b->appends; });
    if (appends && segments.back()->tail_is_absent()) {
      std::unique_lock map_lock(map_mutex);
      TRY(make_room_at_tail());
    }
    TRY(open_log());
    const std::uint64_t log_begin = log->size();
    Status written;
    for (Batch* batch : group)
      if (written.ok()) written = log->append(batch->records);
    if (!written.ok()) {
      // Nothing was acknowledged: without the half-written records all is as before, also after a
      // crash once that is synced.
      Status cut = log->truncate(log_begin);
      if (cut.ok()) cut = log->sync();
      if (!cut.ok()) refuse_writes(cut.error().message);
      return written;
    }
    if (auto synced = log->sync(); !synced.ok()) {
      // What the medium holds is unknown, and a second sync would report success without having
      // written. Opening reads the log anew and writes its uncertain end again.
      refuse_writes(synced.error().message);
      return synced;
    }
    logs.back().bytes = log->size();
    log_bytes.fetch_add(bytes, std::memory_order_relaxed);
    last_lsn = lsn;
  }

  std::unique_lock map_lock(map_mutex);
  for (Batch* batch : group) {
    for (std::size_t at = 0; at < batch->records.size();) {
      // The checksum was just computed, so parsing cannot fail.
      const auto record = split_record(std::span(batch->records).subspan(at), geometry.dimensions);
      if (apply(*record)) ++batch->result.rows;
      batch->result.lsn = record->header.lsn;
      at += record->header.bytes;
    }
    if (batch->records.empty()) batch->result.lsn = begin_lsn;
    norm_max = std::max(norm_max, batch->norm_max);
  }
  publish();
  return {};
}

bool IndexImpl::apply(const WalRecord& record) {
  const std::uint64_t id = record.header.id, lsn = record.header.lsn;
  switch (record.header.operation) {
    case WalOperation::upsert: {
      if (segments.back()->rows() >= segment_rows_max) begin_segment();
      Segment& open = *segments.back();
      const std::uint32_t ordinal = open.append(id, record.vector);
      open.columns().set(ordinal, record.attributes);
      if (const auto before = map.put(id, {open.number(), ordinal})) kill(*before, lsn);
      if (id > max_id.load(std::memory_order_relaxed)) max_id.store(id, std::memory_order_relaxed);
      return true;
    }
    case WalOperation::erase: {
      const auto before = map.remove(id);
      return before && kill(*before, lsn);
    }
    case WalOperation::attributes: {
      const auto at = map.find(id);
      if (!at) return false;
      Segment& segment = *find_segment(at->segment);
      // What a part or an earlier change says already is not written down again.
      if (segment.columns().set(at->ordinal, record.attributes)) segment.mark_changed(at->ordinal);
      return true;
    }
    case WalOperation::closed:
      return false;
  }
  return false;
}

bool IndexImpl::kill(const Location& location, std::uint64_t lsn) {
  Segment& segment = *find_segment(location.segment);
  if (!segment.kill(location.ordinal, lsn)) return false;
  segment.mark_changed(location.ordinal);
  return true;
}

Segment* IndexImpl::find_segment(std::uint32_t number) const {
  for (const auto& segment : segments)
    if (segment->number() == number) return segment.get();
  return nullptr;
}

std::shared_ptr<Segment> IndexImpl::make_segment() {
  return std::make_shared<Segment>(next_segment++, geometry, format->make_columns(), budget);
}

Status IndexImpl::make_room_at_tail() {
  if (!segments.back()->tail_is_absent()) return {};
  return load_tail(Reserved::of(budget, geometry.chunk_bytes()));
}

// Rows to come are appended in memory behind these.
Status IndexImpl::load_tail(Reserved memory) {
  const std::shared_ptr<Segment> open = segments.back();
  const std::uint32_t chunk = open->rows() / geometry.chunk_rows;
  AlignedBuffer buffer;  // of its own: who has one of the shared may wait for this lock
  std::vector<std::uint32_t> damaged;
  ASSIGN_OR_RETURN(auto block,
                   open->read_block(std::move(memory), chunk, open->rows() % geometry.chunk_rows,
                                    buffer, damaged));
  bury(*open, damaged);  // before the block can be searched
  (*open->view(open).chunks)[chunk]->set_block(std::move(block));
  return {};
}

void IndexImpl::begin_segment() {
  segments.back()->seal();
  segments.push_back(make_segment());
}

void IndexImpl::publish() {
  auto state = std::make_shared<SnapshotState>();
  state->lsn = last_lsn;
  for (const auto& segment : segments)
    if (segment->rows() > 0) state->segments.push_back(segment->view(segment));
  std::shared_ptr<const SnapshotState> next = std::move(state);
  {
    std::lock_guard lock(snapshot_mutex);
    published.swap(next);
  }
  // `next`, the one before, may free segments here, outside the lock.
}

void IndexImpl::refuse_writes(std::string why) {
  if (!read_only.empty()) return;
  read_only = std::move(why);
  try {
    similis::log(LogLevel::error, directory.native() + " takes no more writes: " + read_only);
  } catch (const std::bad_alloc&) {
    // It may be for lack of memory that writes are refused: each of them says so.
  }
}

Status IndexImpl::check_writable() const {
  if (read_only.empty()) return {};
  return Error(ErrorCode::unavailable,
               directory.native() + " takes no more writes since an error (" + read_only + ")",
               "Look after the disk or memory, then start the program again.");
}

}  // namespace similis::engine
