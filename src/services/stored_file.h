#pragma once

#include <cstddef>
#include <vector>

#include "core/context.h"
#include "core/image.h"
#include "services/ports.h"

namespace similis {

/// The bytes of a stored picture: of its file for a folder's row, of the blob store for an upload.
/// not_found says when the file has gone since it was indexed; too_large above
/// limits.file_bytes_max.
Result<std::vector<std::byte>> read_stored_file(const Context& ctx, const Ports& ports,
                                                const ImageRow& row);

/// "image/jpeg" of "jpeg".
std::string media_type_of(std::string_view format);

}  // namespace similis
