#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace similis {

/// SHA-256 of a text, as 64 lower-case hexadecimal digits.
Result<std::string> sha256_hex(std::string_view bytes);

/// SHA-256 of a file, read once through a small buffer (models reach hundreds of megabytes). Errors
/// as File::open.
Result<std::string> sha256_hex_of_file(const std::filesystem::path& path);

}  // namespace similis
