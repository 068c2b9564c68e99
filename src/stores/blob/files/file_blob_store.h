#pragma once

#include <filesystem>
#include <memory>

#include "stores/blob/blob_store.h"

namespace similis {

struct FileBlobOptions {
  std::filesystem::path directory;  // the data directory: blobs/ and thumbs/ are made in it
};

/// Blobs as files: blobs/ab/cd/HASH.EXT and thumbs/ab/cd/HASH.EXT, where HASH is the key in
/// hexadecimal and EXT stands for the media type, so that any program can open them.
Result<std::unique_ptr<BlobStore>> open_file_blobs(const FileBlobOptions& options);

}  // namespace similis
