#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace similis::http {

/// The folder as it is indexed: absolute, without links. With `any_folder` every readable folder
/// will do; else it must lie in one of `roots` once all links are followed: permission_denied,
/// which then does not say whether it exists. not_found, invalid_argument (relative, a file).
Result<std::string> indexable_folder(const std::string& path,
                                     const std::vector<std::filesystem::path>& roots,
                                     bool any_folder);

}  // namespace similis::http
