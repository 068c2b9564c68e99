#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "engine/graph/segment_graph.h"
#include "engine/row_source.h"

namespace similis::engine {

/// Fills graph.efforts and graph.doubts: tries walks of wider and wider reach over a graph that
/// lacks the rows `held` for points between them, and what doubt of the codes keeps of what they
/// come upon, against the truth by comparing all vectors. `lsn`: which rows live.
Status calibrate(IndexImpl& index, const RowSource& rows, std::uint64_t lsn, SegmentGraph& graph,
                 std::span<const std::uint32_t> held);

}  // namespace similis::engine
