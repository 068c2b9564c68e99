#pragma once

#include <cstddef>
#include <cstdint>

namespace similis::engine::simd {

/// One instruction set's functions. Rows are fp16 (IEEE binary16 bits), queries f32; neither needs
/// alignment. `dot` and `l2` fill out[r * query_count + q] for every pair: the inner product, and
/// the squared Euclidean distance. One pair's result never depends on which rows and queries
/// stand beside it, so equal vectors score equally and ties can be ordered by id.
struct Kernels {
  using Pairs = void (*)(const std::uint16_t* const* rows, std::size_t row_count,
                         const float* const* queries, std::size_t query_count,
                         std::size_t dimensions, float* out);
  const char* name;
  Pairs dot;
  Pairs l2;
  /// Rounds to nearest, ties to even; beyond 65504 becomes infinity.
  void (*to_half)(const float* in, std::size_t count, std::uint16_t* out);
  void (*to_float)(const std::uint16_t* in, std::size_t count, float* out);
};

// Null where this build does not hold the instruction set.
extern const Kernels* const kScalarKernels;
extern const Kernels* const kAvx2Kernels;
extern const Kernels* const kAvx512Kernels;
extern const Kernels* const kNeonKernels;

}  // namespace similis::engine::simd
