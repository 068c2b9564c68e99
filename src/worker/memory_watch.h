#pragma once

#include <sys/types.h>

#include <cstdint>

namespace similis {

/// Resident anonymous memory of a process, from /proc/PID/statm: its own pages, without files and
/// shared memory. 0 when unknown.
std::uint64_t anonymous_bytes(pid_t pid);

}  // namespace similis
