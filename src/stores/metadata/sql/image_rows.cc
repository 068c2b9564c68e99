#include "stores/metadata/sql/image_rows.h"

#include <bit>

#include "base/log.h"
#include "stores/metadata/sql/failure.h"
#include "stores/metadata/sql/text_codec.h"

namespace similis::sql {
namespace {

template <typename T>
T decoded(std::optional<T> value, std::string_view what, ImageId id) {
  if (!value) {
    fail(ErrorCode::corruption,
         "the database's " + std::string(what) + " of picture " + std::to_string(id) +
             " cannot be read",
         "Run `similis verify` to see all damage.");
  }
  return std::move(*value);
}

PictureFacts to_facts(ImageRecord& record) {
  PictureFacts out;
  out.format = std::move(record.format);
  if (record.content_hash) {
    out.content_hash = decoded(decode_hash(*record.content_hash), "content hash", record.id);
  }
  out.perceptual_hash = std::bit_cast<std::uint64_t>(record.perceptual_hash);
  out.size_bytes = record.size_bytes;
  out.width = static_cast<std::int32_t>(record.width);
  out.height = static_cast<std::int32_t>(record.height);
  out.taken_at = record.taken_at;
  out.camera = std::move(record.camera);
  if (record.gps_latitude && record.gps_longitude) {
    out.gps = GpsPosition{*record.gps_latitude, *record.gps_longitude};
  }
  out.thumbnail_type = std::move(record.thumbnail_type);
  return out;
}

}  // namespace

bool hash_held(Connection& c, const std::string& hash) {
  return c.run<std::int64_t>("SELECT id FROM image WHERE content_hash = :hash LIMIT 1", hash).one();
}

std::vector<std::string> load_tags(Connection& c, ImageId id) {
  std::vector<std::string> out;
  auto& statement = ColumnsOf<TagRecord>::select(
      c, "SELECT image_id, tag, checksum FROM tag WHERE image_id = :id ORDER BY tag", id);
  while (statement.next()) out.push_back(unpack<TagRecord>(statement).tag);
  return out;
}

std::optional<ImageRow> ImageReader::row(ImageId id) {
  auto record = load<ImageRecord>(c_, id);
  if (!record || record->collection_id != collection_.id) return std::nullopt;

  ImageRow out;
  out.id = record->id;
  out.collection = record->collection_id;
  out.folder = record->folder_id.value_or(0);
  if (record->folder_id) out.folder_path = folders_.of_row(c_, *record->folder_id);
  out.name = std::move(record->name);
  out.mtime_ns = record->mtime_ns;
  out.added_at = record->added_at;
  if (record->tag_count > 0) out.tags = load_tags(c_, id);
  out.facts = to_facts(*record);

  auto embedding = load<EmbeddingRecord>(c_, Checked::yes, id, collection_.active_index);
  if (embedding) {
    out.state = row_state(stored_state(embedding->state));
    out.classes = decoded(decode_classes(embedding->classes), "classes", id);
    out.attempts = static_cast<std::int32_t>(embedding->attempts);
    out.error_code = std::move(embedding->error_code);
    out.error = std::move(embedding->error);
    out.error_hint = std::move(embedding->error_hint);
  }
  if (record->removing != 0) out.state = RowState::removing;
  return out;
}

std::vector<ImageRow> ImageReader::rows(std::span<const ImageId> ids) {
  std::vector<ImageRow> out;
  out.reserve(ids.size());
  for (const ImageId id : ids) {
    try {
      if (auto found = row(id)) out.push_back(std::move(*found));
    } catch (const Failure& failure) {
      // One damaged row must not hide those around it.
      if (failure.error().code != ErrorCode::corruption) throw;
      log(LogLevel::error,
          "picture " + std::to_string(id) + " is left out: " + failure.error().message);
    }
  }
  return out;
}

void refresh_date(ImageRecord& record) {
  // As attributes_of() does it.
  record.date_s = record.taken_at ? *record.taken_at : record.mtime_ns / 1'000'000'000;
}

void apply_facts(ImageRecord& record, const PictureFacts& facts, std::int64_t mtime_ns) {
  record.mtime_ns = mtime_ns;
  record.size_bytes = facts.size_bytes;
  record.format = facts.format;
  auto hash = record.upload_hash ? record.upload_hash : encode_hash(facts.content_hash);
  if (record.content_version == 0 || hash != record.content_hash) ++record.content_version;
  record.content_hash = std::move(hash);
  record.perceptual_hash = std::bit_cast<std::int64_t>(facts.perceptual_hash);
  record.width = facts.width;
  record.height = facts.height;
  record.taken_at = facts.taken_at;
  record.camera = facts.camera;
  record.gps_latitude = facts.gps ? std::optional(facts.gps->latitude) : std::nullopt;
  record.gps_longitude = facts.gps ? std::optional(facts.gps->longitude) : std::nullopt;
  record.thumbnail_type = facts.thumbnail_type;
  refresh_date(record);
}

void apply_classes(EmbeddingRecord& record, const std::vector<ClassScore>& classes) {
  record.classes = encode_classes(classes);
  ImageRow row;
  row.classes = classes;
  record.class_key = ascii_lower(attributes_of(row).class_name);
}

}  // namespace similis::sql
