#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace similis::http {

/// What a build may read: a folder, or the archive of a data set.
struct BuildSource {
  std::string path;  // absolute, without links
  bool is_folder = true;
};

/// With `any_folder` everything readable will do; else it must lie in one of `roots` once all links
/// are followed: permission_denied, which then does not say whether it exists. not_found,
/// invalid_argument (a relative path, or neither a folder nor a file).
Result<BuildSource> build_source(const std::string& path,
                                 const std::vector<std::filesystem::path>& roots, bool any_folder);

}  // namespace similis::http
