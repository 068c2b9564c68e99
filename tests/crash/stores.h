#pragma once

#include <filesystem>
#include <memory>

#include "services/fakes.h"
#include "services/ports.h"
#include "stores/blob/files/file_blob_store.h"
#include "stores/cache/memory/memory_cache.h"
#include "stores/metadata/sql/sqlite.h"
#include "stores/vector/embedded/embedded_vector_store.h"

namespace similis {

/// The real stores of one data directory.
struct Stores {
  std::unique_ptr<MetadataStore> metadata;
  std::unique_ptr<VectorStore> vectors;
  std::unique_ptr<BlobStore> blobs;
};

Result<Stores> open_stores(const std::filesystem::path& data_dir);

/// A small BMP of a colour gradient that depends on `seed`.
std::string bmp_bytes(unsigned seed);

}  // namespace similis
