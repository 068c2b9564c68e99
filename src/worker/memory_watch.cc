#include "worker/memory_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "base/file.h"

namespace similis {

std::uint64_t anonymous_bytes(pid_t pid) {
  char path[48];
  std::snprintf(path, sizeof path, "/proc/%d/statm", static_cast<int>(pid));
  auto file = File::open(path, O_RDONLY);
  if (!file.ok()) return 0;
  char text[128] = "";
  if (::read(file->fd(), text, sizeof text - 1) <= 0) return 0;
  unsigned long long size = 0, resident = 0, shared = 0;
  if (std::sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3 || shared > resident)
    return 0;
  return (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace similis
