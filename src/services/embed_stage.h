#pragma once

#include <span>
#include <vector>

#include "core/context.h"
#include "services/index_targets.h"
#include "services/ingest_types.h"

namespace similis {

/// Turns the tensors of `pictures` (all with Step::embed) into embeddings, one a target, and frees
/// them. A picture whose answer is unusable gets Step::fail; all others Step::store.
/// Errors are the embedder's, when they are not one picture's fault.
Status embed_pictures(const Context& ctx, const std::vector<IndexTarget>& targets,
                      std::span<IngestPicture> pictures);

}  // namespace similis
