#pragma once

#include <stop_token>

#include "base/result.h"
#include "config/settings.h"
#include "wire/json.h"

namespace similis {

/// Looks at the machine and the installation: {"checks": [{"name", "state", "detail", "advice"}]}.
/// Opens no store that another process holds, changes nothing but a temporary file in the data
/// directory.
Result<Json> examine(const Settings& settings, const std::stop_token& stop);

}  // namespace similis
