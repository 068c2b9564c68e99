#pragma once

#include <cstddef>

namespace similis::engine {

/// Asks for the cache lines of a stretch of memory that will be read soon. The empty statement
/// stands for an effect: GCC 12 takes what only prefetches for a function without one, and drops
/// its calls (docs/engine.md).
inline void prefetch(const void* from, std::size_t bytes) {
  const auto* at = static_cast<const char*>(from);
  for (std::size_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(at + i);
    asm volatile("" ::"r"(at + i));
  }
}

}  // namespace similis::engine
