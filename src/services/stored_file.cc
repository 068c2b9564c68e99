#include "services/stored_file.h"

#include "services/folder_walk.h"

namespace similis {

namespace {

Error gone(const std::string& message) {
  return {ErrorCode::not_found, message,
          "Index its folder again to bring the collection up to date."};
}

}  // namespace

/// Roots may lie in one another: a link may be good in the outer one only.
Result<OpenedFile> open_in_roots(const Context& ctx, const Ports& ports, CollectionId collection,
                                 const std::string& folder_path, std::string_view name) {
  const std::string path = join_path(folder_path, name);
  ASSIGN_OR_RETURN(const auto roots, ports.metadata.list_roots(ctx, collection));
  Error error = gone(path + " lies in no folder of its collection any more");
  for (const Root& root : roots) {
    if (!lies_within(folder_path, root.path)) continue;
    auto opened = open_inside(path, root.path);
    if (opened.ok()) return opened;
    error = std::move(opened).error();
  }
  return error;
}

Result<StoredFile> open_stored_file(const Context& ctx, const Ports& ports, const ImageRow& row) {
  StoredFile out;
  if (row.folder == 0) {
    ASSIGN_OR_RETURN(out.file, ports.blobs.open(ctx, BlobKind::upload, row.facts.content_hash));
    out.size_bytes = row.facts.size_bytes;
    return out;
  }
  auto opened = open_in_roots(ctx, ports, row.collection, row.folder_path, row.name);
  if (!opened.ok()) {
    Error error = std::move(opened).error();
    if (error.code == ErrorCode::not_found && error.hint.empty()) {
      return gone(row.path() + " is no longer there");
    }
    return error;
  }
  if (opened->size_bytes > ports.limits.file_bytes_max) {
    return Error(ErrorCode::too_large,
                 row.path() + ": " + std::to_string(opened->size_bytes) + " bytes, at most " +
                     std::to_string(ports.limits.file_bytes_max) + " are read",
                 "Raise limits.file_bytes_max.");
  }
  out.file = std::move(opened->file);
  out.size_bytes = opened->size_bytes;
  out.as_indexed = opened->size_bytes == row.facts.size_bytes && opened->mtime_ns == row.mtime_ns;
  return out;
}

Result<std::vector<std::byte>> read_all(const StoredFile& stored, const ImageRow& row) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(stored.size_bytes));
  TRY(pread_exact(stored.file.fd(), bytes, 0, row.path()));
  return bytes;
}

Result<std::vector<std::byte>> read_stored_file(const Context& ctx, const Ports& ports,
                                                const ImageRow& row) {
  ASSIGN_OR_RETURN(const StoredFile stored, open_stored_file(ctx, ports, row));
  return read_all(stored, row);
}

std::string media_type_of(std::string_view format) {
  return "image/" + std::string(format);
}

}  // namespace similis
