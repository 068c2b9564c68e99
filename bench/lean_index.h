#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/bench_data.h"
#include "engine/index.h"

namespace similis::bench {

/// Vectors that somebody else keeps.
using Rows = std::vector<std::span<const float>>;

Rows rows_of(const engine::Table<float>& table);

/// A new index in this folder, of kind `graph`, with the rows under the ids 1, 2, ...; checkpointed
/// and closed, without a graph as yet. `attributes`: a byte for each row, in `format`; or none.
Status write_index(const std::string& folder, const Rows& rows,
                   std::span<const std::byte> attributes = {},
                   std::shared_ptr<const engine::AttributeFormat> format = {});

/// The index with all rows in graphs and a memory limit that has room for its tables and not for
/// vectors. `growth`: of how many times its tables there is room for further ones, where graphs are
/// to be made while it is open.
Result<std::unique_ptr<engine::Index>> open_lean(
    const std::string& folder, std::uint64_t growth = 0,
    std::shared_ptr<const engine::AttributeFormat> format = {});

}  // namespace similis::bench
