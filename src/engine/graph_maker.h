#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "engine/graph/segment_graph.h"
#include "engine/row_source.h"

namespace similis::engine {

/// Makes the graph of these rows: learns the frame, writes every row's record, connects them and
/// calibrates searches. `lsn`: which rows live. `norm_bound`: of metric inner_product no row is
/// longer. Cancelled when the index is being closed.
Result<std::shared_ptr<const SegmentGraph>> make_segment_graph(IndexImpl& index,
                                                               const RowSource& rows,
                                                               std::uint64_t lsn,
                                                               const CodeLayout& layout,
                                                               float norm_bound);

/// Makes a graph that holds the rows behind those of `graph`, too, in its frame and with its
/// calibration. `same_segment`: its rows are the first of these; else they are another segment's,
/// and all of these are new.
Result<std::shared_ptr<const SegmentGraph>> extend_segment_graph(IndexImpl& index,
                                                                 const RowSource& rows,
                                                                 const SegmentGraph& graph,
                                                                 bool same_segment);

}  // namespace similis::engine
