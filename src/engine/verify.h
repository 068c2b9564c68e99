#pragma once

#include <filesystem>
#include <vector>

#include "engine/index.h"
#include "engine/storage/storage.h"

namespace similis::engine {

/// Index::verify for an index that is not open.
Result<std::vector<DamageReport>> verify_closed(Storage& storage,
                                                const std::filesystem::path& directory,
                                                const CallOptions& call);

}  // namespace similis::engine
