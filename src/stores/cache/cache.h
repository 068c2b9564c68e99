#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/context.h"

namespace similis {

struct CacheStats {
  std::int64_t entries = 0;
  std::int64_t bytes = 0;
  std::int64_t bytes_max = 0;
  std::int64_t hits = 0;
  std::int64_t misses = 0;
};

/// Bytes under keys, bounded, forgetful: anything may be gone at any time, nothing may be wrong.
/// Implementations: in process (LRU), later Redis. A cache that fails answers like one that has
/// nothing. Safe from several threads.
class Cache {
 public:
  virtual ~Cache() = default;

  virtual std::optional<std::string> get(const Context& ctx, std::string_view key) = 0;
  /// `ttl` zero: until evicted. An entry larger than the whole cache is not kept.
  virtual void put(const Context& ctx, std::string_view key, std::string value,
                   std::chrono::seconds ttl) = 0;
  virtual void erase(const Context& ctx, std::string_view key) = 0;
  [[nodiscard]] virtual CacheStats stats() const = 0;
};

}  // namespace similis
