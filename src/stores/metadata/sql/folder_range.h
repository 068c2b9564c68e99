#pragma once

#include <string>
#include <string_view>

namespace similis::sql {

/// The paths for which is_under(path, folder) holds, as byte ranges: `self`, and all from
/// `first_below` up to but not including `end_below` ('0' is the byte after '/').
struct FolderRange {
  std::string self;
  std::string first_below;
  std::string end_below;
};

inline FolderRange folder_range(std::string_view folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.remove_suffix(1);
  const std::string stem(folder == "/" ? std::string_view() : folder);
  return {std::string(folder), stem + "/", stem + "0"};
}

}  // namespace similis::sql
