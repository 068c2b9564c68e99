#include "base/log.h"
#include "stores/metadata/sql/collection_change.h"
#include "stores/metadata/sql/sql_metadata_store.h"
#include "stores/metadata/sql/text_codec.h"

namespace similis::sql {
namespace {

constexpr std::int64_t kNoteUseEvery_s = 60;

ApiKey to_key(const KeyRecord& record) {
  return {record.id, record.name, record.prefix, record.created_at, record.last_used_at};
}

std::optional<KeyRecord> find_key(Connection& c, const std::string& hash) {
  static const std::string text =
      "SELECT " + column_list<KeyRecord>() + " FROM api_key WHERE hash = :hash";
  auto& statement = ColumnsOf<KeyRecord>::select(c, text, hash);
  if (!statement.one()) return std::nullopt;
  return unpack<KeyRecord>(statement);
}

}  // namespace

Result<ApiKey> SqlMetadataStore::create_key(const Context& ctx, std::string_view name,
                                            std::string_view prefix, const ContentHash& hash) {
  const auto text = encode_hash(hash);
  if (!text) return Error(ErrorCode::invalid_argument, "an API key needs a hash");
  return db_->write(ctx, [&](Connection& c) {
    if (find_key(c, *text)) fail(ErrorCode::already_exists, "this API key exists");
    KeyRecord record;
    record.id = take_id(c, "api_key");
    record.name = name;
    record.prefix = prefix;
    record.hash = *text;
    record.created_at = now_s();
    insert(c, record);
    return to_key(record);
  });
}

Result<std::vector<ApiKey>> SqlMetadataStore::list_keys(const Context& ctx) {
  return db_->read(ctx, [&](Connection& c) {
    static const std::string text =
        "SELECT " + column_list<KeyRecord>() + " FROM api_key ORDER BY id";
    std::vector<ApiKey> out;
    auto& statement = ColumnsOf<KeyRecord>::select(c, text);
    while (statement.next()) out.push_back(to_key(unpack<KeyRecord>(statement)));
    return out;
  });
}

Status SqlMetadataStore::delete_key(const Context& ctx, std::int64_t id) {
  return db_->write(ctx, [&](Connection& c) {
    if (!load<KeyRecord>(c, Checked::no, id)) {
      fail(ErrorCode::not_found, "there is no API key " + std::to_string(id),
           "List them: similis keys list.");
    }
    erase<KeyRecord>(c, id);
  });
}

Result<ApiKey> SqlMetadataStore::use_key(const Context& ctx, const ContentHash& hash) {
  const auto text = encode_hash(hash);
  ASSIGN_OR_RETURN(auto record, db_->read(ctx, [&](Connection& c) {
    return text ? find_key(c, *text) : std::nullopt;
  }));
  if (!record) {
    return Error(ErrorCode::unauthenticated, "this API key is not known",
                 "Make one: similis keys create NAME.");
  }
  if (now_s() - record->last_used_at < kNoteUseEvery_s) return to_key(*record);
  auto noted = db_->write(ctx, [&](Connection& c) {
    auto current = load<KeyRecord>(c, record->id);
    if (!current) fail(ErrorCode::unauthenticated, "this API key was deleted");
    current->last_used_at = now_s();
    update(c, *current);
    return to_key(*current);
  });
  // A full, failing or busy disk must not lock the key's owner out: only a key that is gone, and a
  // caller that no longer waits.
  if (!noted.ok() && noted.error().code != ErrorCode::unauthenticated &&
      noted.error().code != ErrorCode::cancelled &&
      noted.error().code != ErrorCode::deadline_exceeded) {
    log(LogLevel::warning, "an API key's last use could not be noted: " + noted.error().message);
    return to_key(*record);
  }
  return noted;
}

}  // namespace similis::sql
