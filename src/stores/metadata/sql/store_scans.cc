#include <algorithm>
#include <tuple>

#include "stores/metadata/sql/folder_range.h"
#include "stores/metadata/sql/image_rows.h"
#include "stores/metadata/sql/sql_metadata_store.h"
#include "stores/metadata/sql/text_codec.h"

namespace similis::sql {
namespace {

constexpr std::size_t kChunkRows = 2000;

/// The next files of one folder behind the name `after`, by name. A folder is read in chunks, so
/// that no snapshot and no connection is held while a visitor works.
std::vector<KnownFile> files_after(Connection& c, const CollectionRecord& collection,
                                   FolderId folder, const std::optional<std::string>& after) {
  std::vector<KnownFile> out;
  // removing = 0 completes the unique key's prefix and keeps its order.
  auto& statement = c.run<std::int64_t, std::string, std::int64_t, std::int64_t,
                          std::optional<std::string>, std::optional<std::int64_t>>(
      "SELECT i.id, i.name, i.size_bytes, i.mtime_ns, i.content_hash, e.state FROM image i"
      " LEFT JOIN embedding e ON e.image_id = i.id AND e.index_id = :index"
      " WHERE i.collection_id = :collection AND i.folder_id = :folder AND i.name > :after"
      " AND i.removing = 0 ORDER BY i.name LIMIT :limit",
      collection.active_index, collection.id, folder, after.value_or(""), kChunkRows);
  while (statement.next()) {
    auto [id, name, size_bytes, mtime_ns, hash, state] = statement.row();
    KnownFile file;
    file.id = id;
    file.name = std::move(name);
    file.size_bytes = size_bytes;
    file.mtime_ns = mtime_ns;
    if (hash) {
      const auto decoded = decode_hash(*hash);
      if (!decoded) {
        fail(ErrorCode::corruption,
             "the database's content hash of picture " + std::to_string(id) + " cannot be read",
             "Run `similis verify` to see all damage.");
      }
      file.content_hash = *decoded;
    }
    const auto stored = state ? stored_state(*state) : StoredState::pending;
    file.state = stored == StoredState::replacing ? RowState::pending : row_state(stored);
    out.push_back(std::move(file));
  }
  return out;
}

/// The next ids behind `after` in one state of one index, ascending.
std::vector<ImageId> ids_after(Connection& c, IndexId index, StoredState state, ImageId after,
                               std::size_t limit) {
  std::vector<ImageId> out;
  auto& statement = c.run<std::int64_t>(
      "SELECT image_id FROM embedding WHERE index_id = :index AND state = :state"
      " AND image_id > :after ORDER BY image_id LIMIT :limit",
      index, state, after, limit);
  while (statement.next()) out.push_back(statement.get<0>());
  return out;
}

/// The same in the collection's active index, for what the port calls a state.
std::vector<ImageId> ids_in_state(Connection& c, const CollectionRecord& collection, RowState state,
                                  ImageId after, std::size_t limit) {
  std::vector<ImageId> ids;
  const auto add = [&](IndexId index, StoredState stored) {
    const auto more = ids_after(c, index, stored, after, limit);
    ids.insert(ids.end(), more.begin(), more.end());
  };
  switch (state) {
    case RowState::pending:
      add(collection.active_index, StoredState::pending);
      add(collection.active_index, StoredState::replacing);
      break;
    case RowState::ready:
      add(collection.active_index, StoredState::ready);
      add(collection.active_index, StoredState::replacing);
      break;
    case RowState::failed:
      add(collection.active_index, StoredState::failed);
      break;
    case RowState::removing: {
      // A picture is removed from all indexes, also when it never came to the active one.
      std::vector<IndexId> indexes;
      auto& statement = c.run<std::int64_t>(
          "SELECT id FROM image_index WHERE collection_id = :collection", collection.id);
      while (statement.next()) indexes.push_back(statement.get<0>());
      for (const IndexId index : indexes) add(index, StoredState::removing);
      break;
    }
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.size() > limit) ids.resize(limit);
  return ids;
}

}  // namespace

Result<std::vector<KnownFile>> SqlMetadataStore::files_in_folder(const Context& ctx,
                                                                 CollectionId id, FolderId folder) {
  std::vector<KnownFile> out;
  TRY(visit_folder(ctx, id, folder, [&](KnownFile&& file) {
    out.push_back(std::move(file));
    return true;
  }));
  return out;
}

Result<bool> SqlMetadataStore::visit_folder(const Context& ctx, CollectionId id, FolderId folder,
                                            const std::function<bool(KnownFile&&)>& visit) {
  std::optional<std::string> after;
  while (true) {
    ASSIGN_OR_RETURN(auto files, db_->read(ctx, [&](Connection& c) {
      return files_after(c, load_collection(c, id), folder, after);
    }));
    const bool last = files.size() < kChunkRows;
    if (!last) after = files.back().name;
    for (auto& file : files) {
      if (!visit(std::move(file))) return false;
    }
    if (last) return true;
  }
}

Status SqlMetadataStore::for_each_file_under(
    const Context& ctx, CollectionId id, FolderId root,
    const std::function<bool(FolderId, const KnownFile&)>& visit) {
  ASSIGN_OR_RETURN(const auto folders, db_->read(ctx, [&](Connection& c) {
    const FolderRange range = folder_range(folders_.of_caller(c, root));
    std::vector<FolderId> out;
    auto& statement = c.run<std::int64_t>(
        "SELECT id FROM folder WHERE path = :self OR (path >= :below AND path < :end)"
        " ORDER BY path",
        range.self, range.first_below, range.end_below);
    while (statement.next()) out.push_back(statement.get<0>());
    return out;
  }));
  for (const FolderId folder : folders) {
    ASSIGN_OR_RETURN(const bool go_on, visit_folder(ctx, id, folder, [&](KnownFile&& file) {
                       return visit(folder, file);
                     }));
    if (!go_on) break;
  }
  return {};
}

Result<std::vector<ImageRow>> SqlMetadataStore::find_by_hash(const Context& ctx, CollectionId id,
                                                             const ContentHash& hash,
                                                             std::size_t limit) {
  return db_->read(ctx, [&](Connection& c) {
    const auto collection = load_collection(c, id);
    const auto text = encode_hash(hash);
    if (!text) return std::vector<ImageRow>();
    std::vector<ImageId> ids;
    auto& statement = c.run<std::int64_t>(
        "SELECT i.id FROM image i JOIN embedding e ON e.image_id = i.id AND e.index_id = :index"
        " WHERE i.content_hash = :hash AND i.collection_id = :collection AND e.state = :ready"
        " AND e.content_version = i.content_version ORDER BY i.id LIMIT :limit",
        collection.active_index, *text, id, StoredState::ready, limit);
    while (statement.next()) ids.push_back(statement.get<0>());
    return ImageReader(c, folders_, collection).rows(ids);
  });
}

Result<std::vector<ImageRow>> SqlMetadataStore::scan_images(const Context& ctx, CollectionId id,
                                                            RowState state, ImageId after,
                                                            std::size_t limit) {
  return db_->read(ctx, [&](Connection& c) {
    const auto collection = load_collection(c, id);
    std::vector<ImageRow> out;
    // Damaged rows are left out; an empty page means the end all the same.
    while (out.size() < limit) {
      const auto ids = ids_in_state(c, collection, state, after, limit - out.size());
      if (ids.empty()) break;
      for (ImageRow& row : ImageReader(c, folders_, collection).rows(ids)) {
        out.push_back(std::move(row));
      }
      after = ids.back();
    }
    return out;
  });
}

Result<std::vector<ImageId>> SqlMetadataStore::scan_image_ids(const Context& ctx, CollectionId id,
                                                              RowState state, ImageId after,
                                                              std::size_t limit) {
  return db_->read(ctx, [&](Connection& c) {
    return ids_in_state(c, load_collection(c, id), state, after, limit);
  });
}

Result<bool> SqlMetadataStore::hash_in_use(const Context& ctx, const ContentHash& hash) {
  return db_->read(ctx, [&](Connection& c) {
    const auto text = encode_hash(hash);
    return text && hash_held(c, *text);
  });
}

Result<ImageRow> SqlMetadataStore::get_image(const Context& ctx, CollectionId id, ImageId image) {
  return db_->read(ctx, [&](Connection& c) {
    const auto collection = load_collection(c, id);
    auto row = ImageReader(c, folders_, collection).row(image);
    if (!row) {
      fail(ErrorCode::not_found,
           "there is no picture " + std::to_string(image) + " in collection " + collection.name);
    }
    return std::move(*row);
  });
}

Result<std::vector<ImageRow>> SqlMetadataStore::get_images(const Context& ctx, CollectionId id,
                                                           std::span<const ImageId> ids) {
  return db_->read(ctx, [&](Connection& c) {
    const auto collection = load_collection(c, id);
    return ImageReader(c, folders_, collection).rows(ids);
  });
}

Result<CollectionCounts> SqlMetadataStore::counts(const Context& ctx, CollectionId id) {
  return db_->read(ctx, [&](Connection& c) {
    const auto collection = load_collection(c, id);
    CollectionCounts out;
    if (collection.active_index == 0) return out;
    const auto index = load_index(c, id, collection.active_index);
    out.ready = index.ready_count;
    out.failed = index.failed_count;
    out.pending = index.pending_count;
    out.removing = index.removing_count;
    return out;
  });
}

}  // namespace similis::sql
