#include "base/helper_program.h"

#include <unistd.h>

#include <string>
#include <system_error>

namespace similis {

Result<std::filesystem::path> find_helper_program(std::string_view name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error)
    return Error(ErrorCode::internal, "the running program's place is unknown: " + error.message());
  const auto folder = self.parent_path();
  const std::filesystem::path places[] = {folder / name,
                                          folder.parent_path() / "libexec" / "similis" / name};
  for (const auto& place : places) {
    if (::access(place.c_str(), X_OK) == 0) return place;
  }
  return Error(ErrorCode::not_found,
               "the program " + std::string(name) + " is missing: neither " + places[0].native() +
                   " nor " + places[1].native() + " is there",
               "Install similis anew, or build the target " + std::string(name) + ".");
}

}  // namespace similis
