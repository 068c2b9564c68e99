#pragma once

#include <filesystem>
#include <memory>

#include "stores/blob/blob_store.h"

namespace similis {

struct FileBlobOptions {
  std::filesystem::path directory;  // the data directory: blobs/ and thumbs/ are made in it
};

/// Blobs as files: blobs/ab/cd/HASH.EXT and thumbs/ab/cd/HASH.EXT, where HASH is the key in
/// hexadecimal and EXT stands for the media type, so that any program can open them and a server
/// can send them as they are. The formats similis reads have an extension each; any other type is
/// kept as .bin and read back as application/octet-stream. Folders that new blobs need are made
/// again when they are missing. One process at a time (the data directory's lock).
Result<std::unique_ptr<BlobStore>> open_file_blobs(const FileBlobOptions& options);

}  // namespace similis
