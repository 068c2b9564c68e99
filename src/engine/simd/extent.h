#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "engine/simd/kernel_table.h"

namespace similis::engine::simd {

/// Kernels::extent as plain loops that each instruction set's file compiles for itself: a function
/// of its own in every one of them.
[[maybe_unused]] static Extent extent(const float* values, std::size_t count) {
  constexpr std::size_t kLanes = 16;
  float squares[kLanes] = {}, largest[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      const float value = values[i + l];
      squares[l] += value * value;
      largest[l] = std::max(largest[l], std::abs(value));
    }
  }
  for (std::size_t l = 0; i < count; ++i, ++l) {
    squares[l] += values[i] * values[i];
    largest[l] = std::max(largest[l], std::abs(values[i]));
  }
  Extent out;
  for (std::size_t l = 0; l < kLanes; ++l) {
    out.squares += squares[l];
    out.largest = std::max(out.largest, largest[l]);
  }
  return out;
}

}  // namespace similis::engine::simd
