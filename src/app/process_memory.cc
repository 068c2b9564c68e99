#include "app/process_memory.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace similis {
namespace {

std::int64_t resident_bytes(const std::string& pid) {
  std::ifstream in("/proc/" + pid + "/statm");
  std::int64_t size = 0, resident = 0;
  in >> size >> resident;
  return in ? resident * ::sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace

ProcessMemory process_memory() {
  ProcessMemory out;
  out.own_bytes = resident_bytes("self");
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::ifstream in(task.path() / "children");
    for (std::string pid; in >> pid;) out.children_bytes += resident_bytes(pid);
  }
  return out;
}

}  // namespace similis
