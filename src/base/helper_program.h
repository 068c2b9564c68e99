#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"

namespace similis {

/// A program that this one starts: beside it (in the build tree) or in ../libexec/similis (when
/// installed). not_found says where it was looked for.
Result<std::filesystem::path> find_helper_program(std::string_view name);

}  // namespace similis
