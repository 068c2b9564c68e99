#pragma once

#include <memory>

#include "engine/index.h"

namespace similis::engine {

/// Keeps attribute bytes as they are, for an index whose owner gives no format.
std::shared_ptr<const AttributeFormat> raw_attribute_format();

}  // namespace similis::engine
