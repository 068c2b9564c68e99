#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace similis {

/// Lower-case hexadecimal of the bytes.
std::string to_hex(std::span<const std::byte> bytes);
/// Fills `out` from exactly 2 * out.size() hexadecimal digits; false on anything else.
bool from_hex(std::string_view digits, std::span<std::byte> out);

}  // namespace similis
