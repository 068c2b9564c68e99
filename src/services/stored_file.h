#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "core/image.h"
#include "services/inside_root.h"
#include "services/ports.h"

namespace similis {

/// A stored picture's file, open for reading.
struct StoredFile {
  File file;
  std::int64_t size_bytes = 0;
  bool as_indexed = true;  // size and time are still the row's
};

/// The file `name` of the folder at `folder_path`, if it lies in a root of the collection.
Result<OpenedFile> open_in_roots(const Context& ctx, const Ports& ports, CollectionId collection,
                                 const std::string& folder_path, std::string_view name);

/// The one way to a stored picture: its file for a folder's row (see open_inside: a regular file in
/// a root of its collection), its checked blob for an upload. not_found says when the file has gone
/// since it was indexed; too_large above limits.file_bytes_max.
Result<StoredFile> open_stored_file(const Context& ctx, const Ports& ports, const ImageRow& row);

/// All bytes of what open_stored_file() gave for the row.
Result<std::vector<std::byte>> read_all(const StoredFile& stored, const ImageRow& row);

/// Both at once.
Result<std::vector<std::byte>> read_stored_file(const Context& ctx, const Ports& ports,
                                                const ImageRow& row);

/// "image/jpeg" of "jpeg".
std::string media_type_of(std::string_view format);

}  // namespace similis
