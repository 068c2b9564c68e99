#include "engine/graph/lift.h"

#include <algorithm>
#include <cmath>

namespace similis::engine {
namespace {

double squared_length(std::span<const float> vector) {
  double sum = 0;
  for (const float v : vector) sum += static_cast<double>(v) * v;
  return sum;
}

void scale(std::span<const float> from, double by, std::span<float> to) {
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = static_cast<float>(by * from[i]);
}

}  // namespace

void lift_row(std::span<const float> row, float norm_bound, std::span<float> out) {
  const double squared = squared_length(row);
  const double bound = std::max(static_cast<double>(norm_bound), std::sqrt(squared));
  if (bound > 0) {
    scale(row, 1 / bound, out);
  } else {
    std::fill(out.begin(), out.end(), 0.0F);
  }
  out[row.size()] =
      bound > 0 ? static_cast<float>(std::sqrt(std::max(0.0, 1 - squared / (bound * bound))))
                : 1.0F;
}

float lift_query(std::span<const float> query, std::span<float> out) {
  const double length = std::sqrt(squared_length(query));
  scale(query, length > 0 ? 1 / length : 0, out);
  out[query.size()] = 0;
  return static_cast<float>(length);
}

}  // namespace similis::engine
