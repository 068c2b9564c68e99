#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/collection.h"
#include "core/context.h"
#include "services/ingest_counters.h"
#include "services/ports.h"

namespace similis {

/// An index that takes new pictures, and the model that makes its vectors.
struct IndexTarget {
  IndexInfo index;
  std::shared_ptr<Embedder> embedder;
};

/// Every index of the collection that is not retired, the active one first; made now from `model`
/// ("" is the default) when the collection has none. `model` counts only then.
/// Errors: not_found (the model of an index is missing, no such model), those of the stores.
Result<std::vector<IndexTarget>> ensure_indexes(const Context& ctx, const Ports& ports,
                                                CollectionId collection, std::string_view model);

/// After many pictures were added: has searches of the collection's indexes made as quick as they
/// get, `counters` saying so meanwhile. That one could not be is logged; an error is cancelling, or
/// that of the metadata store.
Status optimize_indexes(const Context& ctx, const Ports& ports, CollectionId collection,
                        IngestCounters& counters);

}  // namespace similis
