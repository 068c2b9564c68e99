#include "stores/metadata/sql/collection_change.h"

#include <algorithm>
#include <chrono>

namespace similis::sql {

UnixSeconds now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

IdSource::IdSource(Connection& c, std::string_view kind) : c_(c) {
  auto counter = load<CounterRecord>(c, Checked::yes, kind);
  exists_ = counter.has_value();
  counter_ = exists_ ? std::move(*counter) : CounterRecord{std::string(kind), 1};
}

std::int64_t IdSource::next() {
  if (counter_.next_id > kIdMax) {
    fail(ErrorCode::resource_exhausted, "all ids of kind " + counter_.name + " are given");
  }
  changed_ = true;
  return counter_.next_id++;
}

void IdSource::save() {
  if (!changed_) return;
  if (exists_) {
    update(c_, counter_);
  } else {
    insert(c_, counter_);
  }
  exists_ = true;
  changed_ = false;
}

std::int64_t take_id(Connection& c, std::string_view kind) {
  IdSource ids(c, kind);
  const std::int64_t id = ids.next();
  ids.save();
  return id;
}

void raise_counter(Connection& c, std::string_view kind, std::int64_t id) {
  if (id < 0 || id >= kIdMax) {
    fail(ErrorCode::invalid_argument, std::to_string(id) + " is no id",
         "Ids are positive and below 2^53.");
  }
  auto counter = load<CounterRecord>(c, Checked::yes, kind);
  if (!counter) {
    insert(c, CounterRecord{std::string(kind), id + 1});
  } else if (counter->next_id <= id) {
    counter->next_id = id + 1;
    update(c, *counter);
  }
}

CollectionRecord load_collection(Connection& c, CollectionId id) {
  auto record = load<CollectionRecord>(c, id);
  if (!record) {
    fail(ErrorCode::not_found, "there is no collection with id " + std::to_string(id));
  }
  return std::move(*record);
}

IndexRecord load_index(Connection& c, CollectionId collection, IndexId index) {
  auto record = load<IndexRecord>(c, index);
  if (!record || record->collection_id != collection) {
    fail(ErrorCode::not_found, "collection " + std::to_string(collection) +
                                   " has no index with id " + std::to_string(index));
  }
  return std::move(*record);
}

Collection to_collection(Connection& c, const CollectionRecord& record) {
  Collection out;
  out.id = record.id;
  out.name = record.name;
  out.uuid = record.uuid;
  out.active_index = record.active_index;
  out.epoch = record.epoch;
  out.created_at = record.created_at;
  if (record.active_index != 0) out.token = load_index(c, record.id, record.active_index).token;
  return out;
}

CollectionChange::CollectionChange(Connection& c, CollectionId id)
    : c_(c), collection_(load_collection(c, id)) {}

IndexRecord& CollectionChange::index(IndexId id) {
  auto it = indexes_.find(id);
  if (it == indexes_.end()) it = indexes_.emplace(id, load_index(c_, collection_.id, id)).first;
  return it->second;
}

void CollectionChange::count(IndexId id, std::optional<StoredState> from,
                             std::optional<StoredState> to) {
  if (from == to) return;
  IndexRecord& record = index(id);
  const auto column = [&](StoredState state) -> Int& {
    switch (row_state(state)) {
      case RowState::pending:
        return record.pending_count;
      case RowState::ready:
        return record.ready_count;
      case RowState::failed:
        return record.failed_count;
      case RowState::removing:
        break;
    }
    return record.removing_count;
  };
  if (from) --column(*from);
  if (to) ++column(*to);
}

void CollectionChange::raise_token(IndexId id, WriteToken token) {
  if (id == 0) return;
  IndexRecord& record = index(id);
  record.token = std::max(record.token, token);
}

void CollectionChange::save() {
  if (epoch_raised_) ++collection_.epoch;
  update(c_, collection_);
  for (const auto& [id, record] : indexes_) update(c_, record);
  if (image_ids_) image_ids_->save();
}

}  // namespace similis::sql
