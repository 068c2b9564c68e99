#include "config/machine.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace similis {
namespace {

// A container on a 4 KiB-page machine without a limit states a number near 2^63.
constexpr std::int64_t kNoLimit = std::int64_t{1} << 60;

std::optional<std::string> first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [rest, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || rest == text.data()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> number_in(const std::filesystem::path& path) {
  const auto line = first_line(path);
  return line ? number(*line) : std::nullopt;
}

std::int64_t total_memory(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("MemTotal:")) continue;
    const std::size_t digit = line.find_first_of("0123456789");
    if (digit == std::string::npos) return 0;
    return number(std::string_view(line).substr(digit)).value_or(0) * 1024;
  }
  return 0;
}

/// The folders of this process's control group and all above it, for a controller ("" is version
/// 2).
std::vector<std::filesystem::path> group_folders(const std::filesystem::path& root,
                                                 std::string_view controller) {
  const std::filesystem::path base =
      controller.empty() ? root / "sys/fs/cgroup" : root / "sys/fs/cgroup" / controller;
  std::vector<std::filesystem::path> folders = {base};
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // number:controllers:/path; in a container the path may be the host's, which is not there: then
    // `base` is all there is.
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool mine = controller.empty() ? controllers == ",,"
                                         : controllers.find("," + std::string(controller) + ",") !=
                                               std::string::npos;
    if (!mine) continue;
    std::filesystem::path folder = base;
    for (const auto& part : std::filesystem::path(line.substr(second + 1)).relative_path()) {
      folder /= part;
      folders.push_back(folder);
    }
  }
  return folders;
}

void lower(std::int64_t& value, std::optional<std::int64_t> limit) {
  if (limit && *limit > 0 && *limit < kNoLimit)
    value = value == 0 ? *limit : std::min(value, *limit);
}

std::optional<std::int64_t> cpus_of(std::int64_t quota, std::int64_t period) {
  if (quota <= 0 || period <= 0) return std::nullopt;
  return (quota + period - 1) / period;
}

}  // namespace

MachineFacts machine_facts(const std::filesystem::path& root, std::int64_t affinity_cpus) {
  MachineFacts out;
  out.cpus = std::max<std::int64_t>(1, affinity_cpus);
  out.memory_bytes = total_memory(root);
  for (const auto& folder : group_folders(root, "")) {
    lower(out.memory_bytes, number_in(folder / "memory.max"));  // "max" is no number: no limit
    if (const auto line = first_line(folder / "cpu.max")) {
      const std::size_t space = line->find(' ');
      const auto quota = number(*line);
      const auto period = space == std::string::npos
                              ? std::nullopt
                              : number(std::string_view(*line).substr(space + 1));
      if (quota && period) lower(out.cpus, cpus_of(*quota, *period));
    }
  }
  for (const auto& folder : group_folders(root, "memory")) {
    lower(out.memory_bytes, number_in(folder / "memory.limit_in_bytes"));
  }
  for (const auto& folder : group_folders(root, "cpu")) {
    const auto quota = number_in(folder / "cpu.cfs_quota_us"),
               period = number_in(folder / "cpu.cfs_period_us");
    if (quota && period) lower(out.cpus, cpus_of(*quota, *period));
  }
  return out;
}

MachineFacts machine_facts() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
  const auto cpus = known ? static_cast<std::int64_t>(CPU_COUNT(&set))
                          : static_cast<std::int64_t>(std::thread::hardware_concurrency());
  return machine_facts("/", cpus);
}

}  // namespace similis
