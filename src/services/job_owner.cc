#include "services/job_owner.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <iterator>

namespace similis {

namespace {

/// A file of /proc, which has no size to go by. "" when it is not there.
std::string read_proc(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Field 22 of /proc/PID/stat, "" when there is no such process. The name in field 2 may hold
/// anything, so fields are counted from its closing parenthesis.
std::string start_ticks(long pid) {
  const std::string stat = read_proc("/proc/" + std::to_string(pid) + "/stat");
  std::size_t at = stat.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  if (at == std::string::npos) return "";
  return stat.substr(at + 1, stat.find(' ', at + 1) - at - 1);
}

std::string boot() {
  return read_proc("/proc/sys/kernel/random/boot_id").substr(0, 8);
}

std::string host() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

std::string owner_of(long pid) {
  return host() + ":" + std::to_string(pid) + ":" + start_ticks(pid) + "-" + boot();
}

}  // namespace

std::string own_job_owner() {
  return owner_of(getpid());
}

bool job_owner_is_dead(std::string_view owner) {
  const std::string prefix = host() + ":";
  if (!owner.starts_with(prefix)) return false;
  const std::string_view rest = owner.substr(prefix.size());
  const std::size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return false;
  long pid = 0;
  const auto parsed = std::from_chars(rest.data(), rest.data() + colon, pid);
  if (parsed.ec != std::errc() || parsed.ptr != rest.data() + colon) return false;
  return owner_of(pid) != owner;
}

}  // namespace similis
