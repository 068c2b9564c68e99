#pragma once

#include <cstddef>
#include <cstdint>

namespace similis::engine::simd {

/// Of a vector.
struct Extent {
  float squares = 0;  // the sum of them; not a number where a value is none
  float largest = 0;  // magnitude, of the values that are numbers
};

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
  Extent (*extent)(const float* values, std::size_t count);
  /// Rounds to nearest, ties to even; beyond 65504 becomes infinity.
  void (*to_half)(const float* in, std::size_t count, std::uint16_t* out);
  void (*to_float)(const std::uint16_t* in, std::size_t count, float* out);
  /// outs[v][d] += sum over r of weights[v][r] * rows[r][d], in the order of r whatever stands
  /// beside it.
  void (*add_rows)(const std::uint16_t* const* rows, std::size_t row_count,
                   const float* const* weights, std::size_t vector_count, std::size_t dimensions,
                   float* const* outs);
  /// The Walsh-Hadamard transform in place, lengths kept. `size`: a power of two.
  void (*hadamard)(float* values, std::size_t size);
  /// The inner product of 4-bit unsigned codes and signed bytes. `dimensions`: a multiple of 64.
  /// Byte 32 b + j of `codes` holds dimension 64 b + j in its low half, 64 b + 32 + j in its high.
  /// Query values lie in [-127, 127].
  std::int32_t (*dot_nibbles)(const std::uint8_t* codes, const std::int8_t* query,
                              std::size_t dimensions);
  /// The same of 2-bit codes: byte 16 b + j holds dimensions 64 b + j, 64 b + 16 + j, 64 b + 32 + j
  /// and 64 b + 48 + j, from its lowest bits up.
  std::int32_t (*dot_crumbs)(const std::uint8_t* codes, const std::int8_t* query,
                             std::size_t dimensions);
  /// out[i] = in[i] * scale, rounded to nearest, ties to even; the products must lie in [-127,
  /// 127]. Returns the sum of out.
  std::int32_t (*to_bytes)(const float* in, std::size_t count, float scale, std::int8_t* out);
  /// Bit i of plane p is bit p of in[i], for the `plane_count` (at most 8) lowest bits. `in` holds
  /// 64 * words values; a plane is `words` words.
  void (*to_planes)(const std::int8_t* in, std::size_t words, std::size_t plane_count,
                    std::uint64_t* out);
  /// Sum over p of 2^p * popcount(bits & planes[p]), the last plane counted negative: the inner
  /// product of bits and signed integers in two's complement, a plane of `words` words each,
  /// `stride` words from one to the next.
  std::int32_t (*dot_planes)(const std::uint64_t* bits, const std::uint64_t* planes,
                             std::size_t plane_count, std::size_t words, std::size_t stride);
  /// Both of them for many rows at once: at codes[i] lie the nibbles, and the bits behind them.
  /// nibbles[i] and bits[i] are what dot_nibbles and dot_planes say of them.
  void (*dot_codes)(const std::uint8_t* const* codes, std::size_t count, const std::int8_t* query,
                    std::size_t dimensions, const std::uint64_t* planes, std::size_t plane_count,
                    std::size_t words, std::int32_t* nibbles, std::int32_t* bits);
};

// Null where this build does not hold the instruction set.
extern const Kernels* const kScalarKernels;
extern const Kernels* const kAvx2Kernels;
extern const Kernels* const kAvx512Kernels;
extern const Kernels* const kNeonKernels;
/// Made at the first call, from kAvx512Kernels.
const Kernels* avx512_vnni_kernels();

}  // namespace similis::engine::simd
