#pragma once

#include <cstdint>
#include <string>

namespace similis {

/// "97 MB", "1.4 GB", "812 B": decimal units, at most three digits.
std::string bytes_text(std::int64_t bytes);

}  // namespace similis
