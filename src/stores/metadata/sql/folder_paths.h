#pragma once

#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "core/ids.h"
#include "stores/metadata/sql/record_io.h"
#include "stores/metadata/sql/records.h"

namespace similis::sql {

/// Paths of folders by id. A folder's row never changes and never goes, so what was once read from
/// a committed snapshot stays true. Safe from several threads.
class FolderPaths {
 public:
  std::optional<std::string> find(Connection& c, FolderId folder) {
    {
      const std::shared_lock lock(mutex_);
      const auto it = paths_.find(folder);
      if (it != paths_.end()) return it->second;
    }
    const auto record = load<FolderRecord>(c, folder);
    if (!record) return std::nullopt;
    const std::unique_lock lock(mutex_);
    if (paths_.size() >= kEntriesMax) paths_.clear();
    paths_.emplace(folder, record->path);
    return record->path;
  }

  /// The path of a folder that another row refers to: corruption when it is missing.
  std::string of_row(Connection& c, FolderId folder) {
    auto path = find(c, folder);
    if (!path) {
      fail(ErrorCode::corruption, "the database's folder " + std::to_string(folder) + " is missing",
           "Run `similis verify` to see all damage.");
    }
    return std::move(*path);
  }

  /// The path of a folder that the caller named: not_found when there is none.
  std::string of_caller(Connection& c, FolderId folder) {
    auto path = find(c, folder);
    if (!path) fail(ErrorCode::not_found, "there is no folder with id " + std::to_string(folder));
    return std::move(*path);
  }

 private:
  static constexpr std::size_t kEntriesMax = 200'000;
  std::shared_mutex mutex_;
  std::unordered_map<FolderId, std::string> paths_;
};

}  // namespace similis::sql
