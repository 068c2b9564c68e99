#include "services/stored_file.h"

#include "base/file.h"

namespace similis {

Result<std::vector<std::byte>> read_stored_file(const Context& ctx, const Ports& ports,
                                                const ImageRow& row) {
  if (row.folder == 0) {
    ASSIGN_OR_RETURN(Blob blob, ports.blobs.get(ctx, BlobKind::upload, row.facts.content_hash));
    return std::move(blob.bytes);
  }
  auto bytes = read_file(row.path(), static_cast<std::uint64_t>(ports.limits.file_bytes_max));
  if (!bytes.ok() && bytes.error().code == ErrorCode::not_found) {
    return Error(ErrorCode::not_found, row.path() + " is no longer there",
                 "Index its folder again to bring the collection up to date.");
  }
  return bytes;
}

std::string media_type_of(std::string_view format) {
  return "image/" + std::string(format);
}

}  // namespace similis
