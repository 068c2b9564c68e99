#include <array>
#include <random>

#include "base/hex.h"
#include "base/nearest.h"
#include "stores/metadata/sql/collection_change.h"
#include "stores/metadata/sql/sql_metadata_store.h"

namespace similis::sql {
namespace {

/// A random UUID (RFC 9562, version 4).
std::string make_uuid() {
  std::random_device random;
  std::array<std::byte, 16> bytes{};
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x40};
  bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  std::string out = to_hex(bytes);
  for (const std::size_t at : {20, 16, 12, 8}) out.insert(at, 1, '-');
  return out;
}

IndexInfo to_index(const IndexRecord& record) {
  IndexInfo out;
  out.id = record.id;
  out.collection = record.collection_id;
  out.state = to_enum<IndexState>(record.state, 4, "index's state");
  out.model_name = record.model_name;
  out.model_version = record.model_version;
  out.identity = record.identity;
  out.dimensions = static_cast<std::int32_t>(record.dimensions);
  out.token = record.token;
  out.created_at = record.created_at;
  return out;
}

constexpr std::string_view kFindByName =
    "SELECT id, name, uuid, active_index, epoch, created_at, checksum FROM collection"
    " WHERE name = :name";

std::optional<CollectionRecord> find_by_name(Connection& c, std::string_view name) {
  auto& statement = ColumnsOf<CollectionRecord>::select(c, kFindByName, name);
  if (!statement.one()) return std::nullopt;
  return unpack<CollectionRecord>(statement);
}

std::vector<std::string> collection_names(Connection& c) {
  std::vector<std::string> names;
  auto& statement = c.run<std::string>("SELECT name FROM collection ORDER BY name");
  while (statement.next()) names.push_back(statement.get<0>());
  return names;
}

[[noreturn]] void fail_unknown(Connection& c, std::string_view name) {
  const auto names = collection_names(c);
  std::string hint = "Index a folder first: similis index DIR.";
  if (auto near = did_you_mean(name, names); !near.empty()) {
    hint = std::move(near);
  } else if (!names.empty()) {
    constexpr std::size_t kNamesShown = 10;
    hint = "There are:";
    for (std::size_t i = 0; i < names.size() && i < kNamesShown; ++i) hint += " " + names[i];
    if (names.size() > kNamesShown) {
      hint += " and " + std::to_string(names.size() - kNamesShown) + " more";
    }
    hint += ".";
  }
  fail(ErrorCode::not_found, "there is no collection \"" + std::string(name) + "\"",
       std::move(hint));
}

}  // namespace

Result<Collection> SqlMetadataStore::create_collection(const Context& ctx, std::string_view name) {
  TRY(check_collection_name(name));
  return db_->write(ctx, [&](Connection& c) {
    if (find_by_name(c, name)) {
      fail(ErrorCode::already_exists, "there is already a collection \"" + std::string(name) + "\"",
           "Use it, or choose another name.");
    }
    CollectionRecord record;
    record.id = take_id(c, "collection");
    record.name = name;
    record.uuid = make_uuid();
    record.created_at = now_s();
    insert(c, record);
    return to_collection(c, record);
  });
}

Result<std::vector<Collection>> SqlMetadataStore::list_collections(const Context& ctx) {
  return db_->read(ctx, [&](Connection& c) {
    std::vector<CollectionRecord> records;
    auto& statement = ColumnsOf<CollectionRecord>::select(
        c,
        "SELECT id, name, uuid, active_index, epoch, created_at, checksum FROM collection"
        " ORDER BY name");
    while (statement.next()) records.push_back(unpack<CollectionRecord>(statement));
    std::vector<Collection> out;
    for (const auto& record : records) out.push_back(to_collection(c, record));
    return out;
  });
}

Result<Collection> SqlMetadataStore::find_collection(const Context& ctx, std::string_view name) {
  return db_->read(ctx, [&](Connection& c) {
    const auto record = find_by_name(c, name);
    if (!record) fail_unknown(c, name);
    return to_collection(c, *record);
  });
}

Result<Collection> SqlMetadataStore::get_collection(const Context& ctx, CollectionId id) {
  return db_->read(ctx, [&](Connection& c) { return to_collection(c, load_collection(c, id)); });
}

Status SqlMetadataStore::delete_collection(const Context& ctx, CollectionId id) {
  return db_->write(ctx, [&](Connection& c) {
    load_collection(c, id);
    for (const auto statement :
         {"DELETE FROM tag WHERE image_id IN (SELECT id FROM image WHERE collection_id = :id)",
          "DELETE FROM embedding WHERE image_id IN"
          " (SELECT id FROM image WHERE collection_id = :id)",
          "DELETE FROM image WHERE collection_id = :id",
          "DELETE FROM root WHERE collection_id = :id", "DELETE FROM job WHERE collection_id = :id",
          "DELETE FROM image_index WHERE collection_id = :id",
          "DELETE FROM collection WHERE id = :id"}) {
      c.run<>(statement, id);
    }
  });
}

Result<IndexInfo> SqlMetadataStore::create_index(const Context& ctx, const IndexInfo& index) {
  if (index.dimensions <= 0 || index.identity.empty()) {
    return Error(ErrorCode::invalid_argument, "an index needs dimensions and an identity");
  }
  return db_->write(ctx, [&](Connection& c) {
    auto collection = load_collection(c, index.collection);
    IndexRecord record;
    record.id = take_id(c, "image_index");
    record.collection_id = collection.id;
    record.state =
        static_cast<Int>(collection.active_index == 0 ? IndexState::active : IndexState::building);
    record.model_name = index.model_name;
    record.model_version = index.model_version;
    record.identity = index.identity;
    record.dimensions = index.dimensions;
    record.created_at = now_s();
    insert(c, record);
    if (collection.active_index == 0) {
      collection.active_index = record.id;
      ++collection.epoch;
      update(c, collection);
    }
    return to_index(record);
  });
}

Result<std::vector<IndexInfo>> SqlMetadataStore::list_indexes(const Context& ctx, CollectionId id) {
  return db_->read(ctx, [&](Connection& c) {
    load_collection(c, id);
    std::vector<IndexInfo> out;
    static const std::string text = "SELECT " + column_list<IndexRecord>() +
                                    " FROM image_index WHERE collection_id = :id ORDER BY id";
    auto& statement = ColumnsOf<IndexRecord>::select(c, text, id);
    while (statement.next()) out.push_back(to_index(unpack<IndexRecord>(statement)));
    return out;
  });
}

Status SqlMetadataStore::activate_index(const Context& ctx, CollectionId id, IndexId index) {
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    const IndexId before = change.record().active_index;
    IndexRecord& next = change.index(index);
    if (to_enum<IndexState>(next.state, 4, "index's state") == IndexState::retired) {
      fail(ErrorCode::conflict, "index " + std::to_string(index) + " is retired",
           "Build a new index with its model.");
    }
    if (before == index) return;
    if (before != 0) change.index(before).state = static_cast<Int>(IndexState::standby);
    next.state = static_cast<Int>(IndexState::active);
    change.record().active_index = index;
    change.raise_epoch();
    change.save();
  });
}

Status SqlMetadataStore::set_index_state(const Context& ctx, IndexId index, IndexState state) {
  return db_->write(ctx, [&](Connection& c) {
    auto record = load<IndexRecord>(c, index);
    if (!record) {
      fail(ErrorCode::not_found, "there is no index with id " + std::to_string(index));
    }
    const bool is_active = load_collection(c, record->collection_id).active_index == index;
    if (is_active != (state == IndexState::active)) {
      fail(ErrorCode::conflict,
           is_active ? "the active index cannot leave its state"
                     : "an index becomes active by being activated",
           "Activate another index, which sets both.");
    }
    record->state = static_cast<Int>(state);
    update(c, *record);
  });
}

Status SqlMetadataStore::reset_token(const Context& ctx, CollectionId id, IndexId index,
                                     WriteToken token) {
  return db_->write(ctx, [&](Connection& c) {
    CollectionChange change(c, id);
    change.index(index).token = token;
    change.raise_epoch();
    change.save();
  });
}

}  // namespace similis::sql
