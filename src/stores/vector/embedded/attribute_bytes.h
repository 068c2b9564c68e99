#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"
#include "core/attributes.h"

namespace similis {

/// Attributes as the engine stores them with each row: version, fixed-width numbers, then text
/// (docs/index_format.md).
std::string to_bytes(const Attributes& attributes);

/// corruption when the bytes are not what to_bytes() makes.
Result<Attributes> attributes_from(std::span<const std::byte> bytes);

}  // namespace similis
