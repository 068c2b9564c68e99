#include <algorithm>

#include "stores/metadata/sql/collection_change.h"
#include "stores/metadata/sql/folder_range.h"
#include "stores/metadata/sql/sql_metadata_store.h"
#include "stores/metadata/sql/text_codec.h"

namespace similis::sql {
namespace {

Status check_folder_path(std::string_view path) {
  bool ok = path.starts_with('/') && (path.size() == 1 || path.back() != '/') &&
            path.find('\0') == std::string_view::npos;
  for (std::size_t begin = 1; ok && begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const auto part = path.substr(begin, end - begin);
    ok = !part.empty() && part != "." && part != "..";
    begin = end + 1;
  }
  if (ok) return {};
  return Error(ErrorCode::invalid_argument,
               "\"" + std::string(path) + "\" is not an absolute, normalised path");
}

std::optional<FolderId> find(Connection& c, std::string_view path) {
  auto& statement = c.run<std::int64_t>("SELECT id FROM folder WHERE path = :path", path);
  if (!statement.one()) return std::nullopt;
  return statement.get<0>();
}

/// Its id, made with its parents when new.
FolderId intern(Connection& c, std::string_view path) {
  if (const auto id = find(c, path)) return *id;
  FolderRecord record;
  record.path = path;
  if (path != "/") {
    const std::size_t slash = path.rfind('/');
    record.parent_id = intern(c, slash == 0 ? "/" : path.substr(0, slash));
    record.name = path.substr(slash + 1);
  }
  record.id = take_id(c, "folder");
  insert(c, record);
  return record.id;
}

}  // namespace

Result<FolderId> SqlMetadataStore::intern_folder(const Context& ctx,
                                                 std::string_view absolute_path) {
  ASSIGN_OR_RETURN(const FolderId known, find_folder(ctx, absolute_path));
  if (known != 0) return known;
  return db_->write(ctx, [&](Connection& c) { return intern(c, absolute_path); });
}

Result<std::vector<FolderId>> SqlMetadataStore::intern_folders(
    const Context& ctx, std::span<const std::string> absolute_paths) {
  for (const std::string& path : absolute_paths) TRY(check_folder_path(path));
  return db_->write(ctx, [&](Connection& c) {
    std::vector<FolderId> ids;
    for (const std::string& path : absolute_paths) ids.push_back(intern(c, path));
    return ids;
  });
}

Result<FolderId> SqlMetadataStore::find_folder(const Context& ctx, std::string_view absolute_path) {
  TRY(check_folder_path(absolute_path));
  return db_->read(ctx,
                   [&](Connection& c) { return find(c, absolute_path).value_or(FolderId{0}); });
}

Result<std::string> SqlMetadataStore::folder_path(const Context& ctx, FolderId folder) {
  return db_->read(ctx, [&](Connection& c) { return folders_.of_caller(c, folder); });
}

Status SqlMetadataStore::put_root(const Context& ctx, CollectionId id, FolderId folder,
                                  const BuildOptions& options) {
  return db_->write(ctx, [&](Connection& c) {
    load_collection(c, id);
    folders_.of_caller(c, folder);
    auto record = load<RootRecord>(c, Checked::yes, id, folder);
    const bool exists = record.has_value();
    if (!exists) record = RootRecord{id, folder, 0, 0, 0, 0, {}};
    record->hidden = options.hidden;
    record->retry_failed = options.retry_failed;
    record->watch = options.watch;
    if (exists) {
      update(c, *record);
    } else {
      insert(c, *record);
    }
  });
}

Result<std::vector<Root>> SqlMetadataStore::list_roots(const Context& ctx, CollectionId id) {
  return db_->read(ctx, [&](Connection& c) {
    const auto collection = load_collection(c, id);
    static const std::string text = "SELECT " + column_list<RootRecord>() +
                                    " FROM root WHERE collection_id = :id ORDER BY folder_id";
    std::vector<RootRecord> records;
    auto& statement = ColumnsOf<RootRecord>::select(c, text, id);
    while (statement.next()) records.push_back(unpack<RootRecord>(statement));

    std::vector<Root> out;
    for (const auto& record : records) {
      Root root;
      root.collection = id;
      root.folder = record.folder_id;
      root.path = folders_.of_row(c, record.folder_id);
      root.options = {record.hidden != 0, record.retry_failed != 0, record.watch != 0};
      root.scanned_at = record.scanned_at;
      root.pictures = pictures_under(c, collection, record.folder_id);
      auto skipped = decode_counts(record.skipped);
      if (!skipped) {
        fail(ErrorCode::corruption,
             "the database's counts of folder " + root.path + " cannot be read",
             "Index the folder again.");
      }
      root.skipped = std::move(*skipped);
      out.push_back(std::move(root));
    }
    return out;
  });
}

std::int64_t SqlMetadataStore::pictures_under(Connection& c, const CollectionRecord& collection,
                                              FolderId folder) {
  const auto key = std::pair(collection.id, folder);
  {
    const std::lock_guard lock(root_counts_mutex_);
    const auto it = root_counts_.find(key);
    if (it != root_counts_.end() && it->second.epoch == collection.epoch &&
        it->second.index == collection.active_index) {
      return it->second.pictures;
    }
  }
  const FolderRange range = folder_range(folders_.of_row(c, folder));
  auto& statement = c.run<std::int64_t>(
      "SELECT COUNT(*) FROM image i JOIN embedding e ON e.image_id = i.id AND e.index_id = :index"
      " WHERE i.collection_id = :collection AND e.state IN (:ready, :replacing) AND i.folder_id IN"
      " (SELECT id FROM folder WHERE path = :self OR (path >= :below AND path < :end))",
      collection.active_index, collection.id, StoredState::ready, StoredState::replacing,
      range.self, range.first_below, range.end_below);
  const std::int64_t pictures = statement.one() ? statement.get<0>() : 0;
  const std::lock_guard lock(root_counts_mutex_);
  root_counts_[key] = {collection.epoch, collection.active_index, pictures};
  return pictures;
}

Status SqlMetadataStore::finish_scan(
    const Context& ctx, CollectionId id, FolderId folder, UnixSeconds at,
    std::span<const std::pair<std::string, std::int64_t>> skipped) {
  return db_->write(ctx, [&](Connection& c) {
    auto record = load<RootRecord>(c, Checked::yes, id, folder);
    if (!record) {
      fail(ErrorCode::not_found, "folder " + std::to_string(folder) +
                                     " is not a root of collection " + std::to_string(id));
    }
    record->scanned_at = at;
    record->skipped = encode_counts({skipped.begin(), skipped.end()});
    update(c, *record);
  });
}

}  // namespace similis::sql
