#pragma once

#include <cstdint>
#include <filesystem>

namespace similis {

/// What this process may use of the machine: its CPU affinity and memory, cut down to the limits of
/// its control groups (version 2 and 1), so that a container is taken for what it is.
struct MachineFacts {
  std::int64_t cpus = 1;          // >= 1; a CPU quota is rounded up
  std::int64_t memory_bytes = 0;  // 0: unknown
};

MachineFacts machine_facts();

/// The same read from another root (with proc/ and sys/fs/cgroup/ below it), for tests.
/// `affinity_cpus` is taken as given.
MachineFacts machine_facts(const std::filesystem::path& root, std::int64_t affinity_cpus);

}  // namespace similis
