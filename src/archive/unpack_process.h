#pragma once

#include <filesystem>
#include <memory>

#include "archive/unpacker.h"

namespace similis {

/// An Unpacker that starts `program` (similis-unpack) for each archive: a process without rights to
/// files or network, ended with the call.
std::unique_ptr<Unpacker> make_unpacker(std::filesystem::path program);

/// Where similis-unpack is; as find_helper_program().
Result<std::filesystem::path> find_unpacker();

}  // namespace similis
