#pragma once

#include <filesystem>

namespace similis {

/// The running program's file.
std::filesystem::path program_path();

/// What belongs to the program but is not code (web, models, licenses): SIMILIS_SHARE_DIR, else
/// ../share/similis of the program, installed or in a build tree.
std::filesystem::path share_folder();

}  // namespace similis
