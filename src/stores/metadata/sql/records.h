#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

/// The tables' rows as plain structs, column for column. Each table has one more column at its end,
/// `checksum`, which record_io.h fills and checks. What the columns mean is said here, the schema
/// (schema.cc) only repeats their names and types.
namespace similis::sql {

using Int = std::int64_t;
using Text = std::string;  // bytes: names are compared bytewise
using MaybeInt = std::optional<Int>;
using MaybeText = std::optional<Text>;
using MaybeReal = std::optional<double>;

struct CollectionRecord {
  Int id = 0;
  Text name;
  Text uuid;
  Int active_index = 0;  // 0: none yet
  Int epoch = 0;
  Int created_at = 0;

  static constexpr std::string_view kTable = "collection";
  static constexpr std::size_t kKeys = 1;
  static constexpr std::array<std::string_view, 6> kColumns{"id",           "name",  "uuid",
                                                            "active_index", "epoch", "created_at"};
  auto fields() { return std::tie(id, name, uuid, active_index, epoch, created_at); }
  auto fields() const { return std::tie(id, name, uuid, active_index, epoch, created_at); }
};

struct IndexRecord {
  Int id = 0;
  Int collection_id = 0;
  Int state = 0;  // IndexState
  Text model_name;
  Text model_version;
  Text identity;
  Int dimensions = 0;
  Int token = 0;
  Int created_at = 0;
  // Rows of `embedding` by state, so that a count costs nothing; verify() counts them.
  Int pending_count = 0;
  Int ready_count = 0;
  Int failed_count = 0;
  Int removing_count = 0;

  static constexpr std::string_view kTable = "image_index";
  static constexpr std::size_t kKeys = 1;
  static constexpr std::array<std::string_view, 13> kColumns{
      "id",          "collection_id", "state",         "model_name", "model_version",
      "identity",    "dimensions",    "token",         "created_at", "pending_count",
      "ready_count", "failed_count",  "removing_count"};
  template <typename Self>
  static auto tie(Self& s) {
    return std::tie(s.id, s.collection_id, s.state, s.model_name, s.model_version, s.identity,
                    s.dimensions, s.token, s.created_at, s.pending_count, s.ready_count,
                    s.failed_count, s.removing_count);
  }
  auto fields() { return tie(*this); }
  auto fields() const { return tie(*this); }
};

/// Never changed once written; "/" is the one with parent 0.
struct FolderRecord {
  Int id = 0;
  Int parent_id = 0;
  Text name;
  Text path;  // "/a/b": the parents' names joined, for ranges of whole subtrees

  static constexpr std::string_view kTable = "folder";
  static constexpr std::size_t kKeys = 1;
  static constexpr std::array<std::string_view, 4> kColumns{"id", "parent_id", "name", "path"};
  auto fields() { return std::tie(id, parent_id, name, path); }
  auto fields() const { return std::tie(id, parent_id, name, path); }
};

struct RootRecord {
  Int collection_id = 0;
  Int folder_id = 0;
  Int hidden = 0;
  Int retry_failed = 0;
  Int watch = 0;
  Int scanned_at = 0;
  Text skipped;  // text_codec.h

  static constexpr std::string_view kTable = "root";
  static constexpr std::size_t kKeys = 2;
  static constexpr std::array<std::string_view, 7> kColumns{
      "collection_id", "folder_id", "hidden", "retry_failed", "watch", "scanned_at", "skipped"};
  template <typename Self>
  static auto tie(Self& s) {
    return std::tie(s.collection_id, s.folder_id, s.hidden, s.retry_failed, s.watch, s.scanned_at,
                    s.skipped);
  }
  auto fields() { return tie(*this); }
  auto fields() const { return tie(*this); }
};

struct ImageRecord {
  Int id = 0;
  Int collection_id = 0;
  MaybeInt folder_id;  // NULL: an upload
  Text name;
  MaybeText upload_hash;  // an upload's content hash, once more: its unique place
  Int removing = 0;       // 0, or the row's own id: then it no longer holds its place
  Int mtime_ns = 0;
  Int date_s = 0;  // taken_at, else mtime: what `date` filters and sorts by
  Int size_bytes = 0;
  Text format;
  MaybeText content_hash;   // 64 hex digits; NULL: never read
  Int content_version = 0;  // rises when content_hash changes
  Int perceptual_hash = 0;  // the 64 bits
  Int width = 0;
  Int height = 0;
  MaybeInt taken_at;
  Text camera;
  MaybeReal gps_latitude;
  MaybeReal gps_longitude;
  Text thumbnail_type;
  Int tag_count = 0;
  Int added_at = 0;

  static constexpr std::string_view kTable = "image";
  static constexpr std::size_t kKeys = 1;
  static constexpr std::array<std::string_view, 22> kColumns{
      "id",           "collection_id",   "folder_id",       "name",          "upload_hash",
      "removing",     "mtime_ns",        "date_s",          "size_bytes",    "format",
      "content_hash", "content_version", "perceptual_hash", "width",         "height",
      "taken_at",     "camera",          "gps_latitude",    "gps_longitude", "thumbnail_type",
      "tag_count",    "added_at"};
  template <typename Self>
  static auto tie(Self& s) {
    return std::tie(s.id, s.collection_id, s.folder_id, s.name, s.upload_hash, s.removing,
                    s.mtime_ns, s.date_s, s.size_bytes, s.format, s.content_hash, s.content_version,
                    s.perceptual_hash, s.width, s.height, s.taken_at, s.camera, s.gps_latitude,
                    s.gps_longitude, s.thumbnail_type, s.tag_count, s.added_at);
  }
  auto fields() { return tie(*this); }
  auto fields() const { return tie(*this); }
};

/// A picture's state in one index.
struct EmbeddingRecord {
  Int image_id = 0;
  Int index_id = 0;
  Int state = 0;            // StoredState (collection_change.h)
  Int content_version = 0;  // image.content_version whose vector is in the index; 0: none
  Int attempts = 0;
  Text error_code;
  Text error;
  Text error_hint;
  Text class_key;  // the clear class in ASCII lower case, "" when none is: what `class` filters by
  Text classes;    // text_codec.h

  static constexpr std::string_view kTable = "embedding";
  static constexpr std::size_t kKeys = 2;
  static constexpr std::array<std::string_view, 10> kColumns{
      "image_id",   "index_id", "state",      "content_version", "attempts",
      "error_code", "error",    "error_hint", "class_key",       "classes"};
  template <typename Self>
  static auto tie(Self& s) {
    return std::tie(s.image_id, s.index_id, s.state, s.content_version, s.attempts, s.error_code,
                    s.error, s.error_hint, s.class_key, s.classes);
  }
  auto fields() { return tie(*this); }
  auto fields() const { return tie(*this); }
};

struct TagRecord {
  Int image_id = 0;
  Text tag;

  static constexpr std::string_view kTable = "tag";
  static constexpr std::size_t kKeys = 2;
  static constexpr std::array<std::string_view, 2> kColumns{"image_id", "tag"};
  auto fields() { return std::tie(image_id, tag); }
  auto fields() const { return std::tie(image_id, tag); }
};

struct JobRecord {
  Int id = 0;
  Int kind = 0;  // JobKind
  Int collection_id = 0;
  Text root;
  Int hidden = 0;
  Int retry_failed = 0;
  Int watch = 0;
  Int state = 0;  // JobState
  Int found = 0;
  Int scanning = 0;
  Int unchanged = 0;
  Int ready = 0;
  Int moved = 0;
  Int removed = 0;
  Int failed = 0;
  Int skipped = 0;
  Int version = 0;
  Text owner;
  Int lease_until = 0;
  Int created_at = 0;
  Int started_at = 0;
  Int finished_at = 0;
  double worked_s = 0;
  Text error_code;
  Text error;
  Text error_hint;

  static constexpr std::string_view kTable = "job";
  static constexpr std::size_t kKeys = 1;
  static constexpr std::array<std::string_view, 26> kColumns{
      "id",          "kind",       "collection_id", "root",        "hidden",    "retry_failed",
      "watch",       "state",      "found",         "scanning",    "unchanged", "ready",
      "moved",       "removed",    "failed",        "skipped",     "version",   "owner",
      "lease_until", "created_at", "started_at",    "finished_at", "worked_s",  "error_code",
      "error",       "error_hint"};
  template <typename Self>
  static auto tie(Self& s) {
    return std::tie(s.id, s.kind, s.collection_id, s.root, s.hidden, s.retry_failed, s.watch,
                    s.state, s.found, s.scanning, s.unchanged, s.ready, s.moved, s.removed,
                    s.failed, s.skipped, s.version, s.owner, s.lease_until, s.created_at,
                    s.started_at, s.finished_at, s.worked_s, s.error_code, s.error, s.error_hint);
  }
  auto fields() { return tie(*this); }
  auto fields() const { return tie(*this); }
};

struct KeyRecord {
  Int id = 0;
  Text name;
  Text prefix;
  Text hash;  // 64 hex digits
  Int created_at = 0;
  Int last_used_at = 0;

  static constexpr std::string_view kTable = "api_key";
  static constexpr std::size_t kKeys = 1;
  static constexpr std::array<std::string_view, 6> kColumns{"id",   "name",       "prefix",
                                                            "hash", "created_at", "last_used_at"};
  auto fields() { return std::tie(id, name, prefix, hash, created_at, last_used_at); }
  auto fields() const { return std::tie(id, name, prefix, hash, created_at, last_used_at); }
};

/// The next id of a kind of row. Only ever raised, so that no id comes twice.
struct CounterRecord {
  Text name;
  Int next_id = 1;

  static constexpr std::string_view kTable = "counter";
  static constexpr std::size_t kKeys = 1;
  static constexpr std::array<std::string_view, 2> kColumns{"name", "next_id"};
  auto fields() { return std::tie(name, next_id); }
  auto fields() const { return std::tie(name, next_id); }
};

/// Every table, for verify().
using AllRecords = std::tuple<CollectionRecord, IndexRecord, FolderRecord, RootRecord, ImageRecord,
                              EmbeddingRecord, TagRecord, JobRecord, KeyRecord, CounterRecord>;

}  // namespace similis::sql
