#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/collection.h"
#include "core/search.h"
#include "services/ports.h"

namespace similis {

/// A query brought to what the vector store takes, and what was learnt of it on the way.
struct QueryVector {
  std::vector<float> vector;  // L2-normalised
  std::vector<ClassScore> classes;
  std::string name;
  std::int32_t width = 0;  // of the query picture; 0 when there is none
  std::int32_t height = 0;
  std::optional<ImageId> self_id;        // the stored picture asked about
  std::optional<ContentHash> self_hash;  // of the uploaded query picture
};

/// Picture, crop, stored id, vector or weighted examples to one vector of `index`. Embeddings of
/// pictures are cached under (content hash, crop, index), which no later write can make stale.
Result<QueryVector> make_query_vector(const Context& ctx, const Ports& ports,
                                      const Collection& collection, const IndexInfo& index,
                                      Embedder& embedder, const SearchRequest& request);

}  // namespace similis
