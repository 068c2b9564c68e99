#include "app/places.h"

#include <cstdlib>

namespace similis {

std::filesystem::path program_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error);
}

std::filesystem::path share_folder() {
  if (const char* stated = std::getenv("SIMILIS_SHARE_DIR"); stated != nullptr && *stated != '\0')
    return stated;
  return program_path().parent_path().parent_path() / "share" / "similis";
}

}  // namespace similis
