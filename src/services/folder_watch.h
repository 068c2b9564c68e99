#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "services/folder_walk.h"

namespace similis {

/// What the kernel says has happened below a watched root.
struct FolderChange {
  enum class Kind : std::uint8_t {
    file,             // made, written, touched, moved or deleted: look at it
    folder_appeared,  // made or moved here: it and all below it is not watched yet
    folder_gone,      // deleted or moved away: it and all below it is no longer watched
    lost,             // changes were lost: everything has to be looked at
    root_gone,        // the root was deleted, moved or unmounted
  };
  Kind kind = Kind::file;
  std::string folder;  // absolute; of file: the folder it lies in
  std::string name;    // of file
};

/// Folders watched through inotify. Not safe from several threads.
class FolderWatch {
 public:
  /// resource_exhausted when the user has no inotify instance left.
  static Result<std::unique_ptr<FolderWatch>> open(std::string root, WalkOptions options);

  /// Watches one folder (not those below it). Again: nothing changes. A folder that is not there
  /// (any more) is no error. resource_exhausted, with the setting to raise, when the kernel's limit
  /// is reached.
  Status add(const std::string& folder);

  /// What has happened since; waits at most `timeout` for the first. Hidden entries are left out as
  /// the options say.
  Result<std::vector<FolderChange>> read(std::chrono::milliseconds timeout);

  [[nodiscard]] std::size_t folders() const { return paths_.size(); }

 private:
  FolderWatch(File inotify, std::string root, WalkOptions options)
      : inotify_(std::move(inotify)), root_(std::move(root)), options_(std::move(options)) {}
  void forget_below(const std::string& folder);
  void take(int watch, std::uint32_t mask, std::string_view name,
            std::vector<FolderChange>& changes);

  File inotify_;
  const std::string root_;
  const WalkOptions options_;
  std::unordered_map<int, std::string> paths_;    // by watch descriptor
  std::unordered_map<std::string, int> watches_;  // by path
};

}  // namespace similis
