#pragma once

#include <cstdint>

namespace similis {

/// Resident memory as the kernel counts it.
struct ProcessMemory {
  std::int64_t own_bytes = 0;
  std::int64_t children_bytes = 0;  // of direct children: the decode workers
};

ProcessMemory process_memory();

}  // namespace similis
