#include "app/places.h"

namespace similis {

std::filesystem::path program_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error);
}

std::filesystem::path share_folder() {
  return program_path().parent_path().parent_path() / "share" / "similis";
}

}  // namespace similis
