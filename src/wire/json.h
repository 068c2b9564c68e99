#pragma once

// The one place that names the JSON library: rooms that speak JSON include this.
#include <nlohmann/json.hpp>

namespace similis {

/// Keeps members in the order they were written, which is the order people read.
using Json = nlohmann::ordered_json;

}  // namespace similis
