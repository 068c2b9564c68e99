#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "stores/vector/vector_store.h"

namespace similis {

struct EmbeddedVectorOptions {
  /// The data directory: indexes lie in collections/ID/indexes/INDEX_ID/.
  std::filesystem::path directory;
  std::uint64_t memory_max = UINT64_MAX;        // bytes, of all open indexes together
  std::uint64_t build_memory_max = UINT64_MAX;  // bytes, of making one graph, for a while beside it
  unsigned threads = 0;                         // of one search; 0: one a core
  std::uint32_t graph_rows_min = 8192;          // vectors from which on there is a graph
};

/// Vectors in this process's own disk index (engine/index.h). An index is opened when it is first
/// asked for and stays open.
Result<std::unique_ptr<VectorStore>> open_embedded_vectors(const EmbeddedVectorOptions& options);

}  // namespace similis
