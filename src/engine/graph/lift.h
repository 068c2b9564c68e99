#pragma once

#include <cstdint>
#include <span>

#include "engine/index.h"

namespace similis::engine {

/// Largest inner products as smallest angles (Bachrach et al., "Speeding up the Xbox recommender
/// system using a euclidean transformation for inner-product spaces", 2014): rows are divided by a
/// bound of their lengths and made unit vectors by a coordinate more, queries are made unit vectors
/// and get a zero. The cosine of the two, times the bound and the query's length, is the product.

/// Coordinates that codes are made of.
constexpr std::uint32_t lifted_dimensions(Metric metric, std::uint32_t dimensions) {
  return dimensions + (metric == Metric::inner_product ? 1 : 0);
}

/// `out`: one value more than `row`. One that is longer than the bound is cut to it.
void lift_row(std::span<const float> row, float norm_bound, std::span<float> out);
/// The same of a query; its length.
float lift_query(std::span<const float> query, std::span<float> out);

}  // namespace similis::engine
