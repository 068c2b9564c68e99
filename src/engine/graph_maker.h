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

/// Makes a graph that holds the rows behind those of `graph`, too, which are the first of these: in
/// its frame, with its layout and its calibration.
Result<std::shared_ptr<const SegmentGraph>> extend_segment_graph(IndexImpl& index,
                                                                 const RowSource& rows,
                                                                 const SegmentGraph& graph);

/// Makes the graph of these rows in the frame and with the calibration of another one.
Result<std::shared_ptr<const SegmentGraph>> begin_segment_graph(IndexImpl& index,
                                                                const RowSource& rows,
                                                                const SegmentGraph& elder,
                                                                const CodeLayout& layout);

}  // namespace similis::engine
