#include "lean_index.h"

#include <algorithm>
#include <utility>

#include "engine/memory_budget.h"

namespace similis::bench {

Rows rows_of(const engine::Table<float>& table) {
  Rows rows;
  for (std::size_t i = 0; i < table.rows; ++i) rows.push_back(table.row(i));
  return rows;
}

Status write_index(const std::string& folder, const Rows& rows,
                   std::span<const std::byte> attributes,
                   std::shared_ptr<const engine::AttributeFormat> format) {
  engine::IndexShape shape;
  shape.dimensions = static_cast<std::uint32_t>(rows.front().size());
  shape.kind = engine::IndexKind::graph;
  engine::IndexOptions options;
  options.graph_rows_min = UINT32_MAX;  // one making at the end
  options.attributes = std::move(format);
  ASSIGN_OR_RETURN(const auto index, engine::Index::create(folder, shape, options));
  constexpr std::size_t kBatch = 1000;
  for (std::size_t at = 0; at < rows.size(); at += kBatch) {
    std::vector<engine::Row> batch;
    for (std::size_t i = at; i < std::min(rows.size(), at + kBatch); ++i)
      batch.push_back({i + 1, rows[i], attributes.empty() ? attributes : attributes.subspan(i, 1)});
    TRY(index->upsert(batch, {}));
  }
  TRY(index->checkpoint());
  return index->close();
}

Result<std::unique_ptr<engine::Index>> open_lean(
    const std::string& folder, std::uint64_t growth,
    std::shared_ptr<const engine::AttributeFormat> format) {
  engine::IndexOptions options;
  options.attributes = std::move(format);
  std::uint64_t tables = 0;
  {
    ASSIGN_OR_RETURN(const auto index, engine::Index::open(folder, options));
    TRY(index->build_graphs({}));
    const engine::IndexStatistics s = index->statistics();
    tables = s.bytes_in_memory - s.vector_bytes_in_memory + s.read_buffer_bytes;
  }
  options.memory = engine::make_memory_budget((1 + growth) * tables + (std::uint64_t{4} << 20));
  // As though another index held vectors there: they yield to tables, and not to vectors.
  options.memory->reserve(growth * tables);
  return engine::Index::open(folder, options);
}

}  // namespace similis::bench
