#pragma once

#include <cstdint>
#include <memory>

#include "stores/cache/cache.h"

namespace similis {

struct MemoryCacheOptions {
  std::int64_t bytes_max = std::int64_t{64}
                           << 20;  // keys, values and what an entry costs beside them
};

/// A cache in this process: the entry that was used longest ago goes first when it is full.
std::unique_ptr<Cache> make_memory_cache(const MemoryCacheOptions& options);

}  // namespace similis
