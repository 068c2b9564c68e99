#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vision/sniff.h"

namespace similis {

/// How long the file must at least be by its own account (chunk, box or strip lengths), for the
/// message about a file that ends early. nullopt where the format does not tell (JPEG, GIF, bare
/// JPEG XL) or the structure is broken.
std::optional<std::uint64_t> expected_bytes(PictureFormat format, std::span<const std::byte> bytes);

}  // namespace similis
