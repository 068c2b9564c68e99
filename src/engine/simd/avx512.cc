// AVX-512 F, BW and VL. As in avx2.cc: include nothing here whose inline functions other files
// could share.
#include "engine/simd/kernel_table.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>

namespace similis::engine::simd {
namespace {

template <bool kL2>
inline __m512 step(__m512 row, __m512 query, __m512 sum) {
  if constexpr (kL2) {
    const __m512 d = _mm512_sub_ps(row, query);
    return _mm512_fmadd_ps(d, d, sum);
  } else {
    return _mm512_fmadd_ps(row, query, sum);
  }
}

/// R rows against Q queries, one accumulator a pair; the rest of a vector through masked loads.
template <bool kL2, int R, int Q>
inline void tile(const std::uint16_t* const* rows, const float* const* queries,
                 std::size_t dimensions, float* out, std::size_t out_stride) {
  __m512 sum[R][Q];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) sum[r][q] = _mm512_setzero_ps();
  std::size_t i = 0;
  for (; i + 16 <= dimensions; i += 16) {
    __m512 x[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      x[r] = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[r] + i)));
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) {
      const __m512 y = _mm512_loadu_ps(queries[q] + i);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) sum[r][q] = step<kL2>(x[r], y, sum[r][q]);
    }
  }
  if (i < dimensions) {
    const auto mask = static_cast<__mmask16>((1u << (dimensions - i)) - 1);
    __m512 x[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) x[r] = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, rows[r] + i));
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) {
      const __m512 y = _mm512_maskz_loadu_ps(mask, queries[q] + i);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) sum[r][q] = step<kL2>(x[r], y, sum[r][q]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q)
      out[static_cast<std::size_t>(r) * out_stride + static_cast<std::size_t>(q)] =
          _mm512_reduce_add_ps(sum[r][q]);
}

/// All rows against Q queries; R * Q accumulators of the 32 registers.
template <bool kL2, int Q>
void rows_by(const std::uint16_t* const* rows, std::size_t row_count, const float* const* queries,
             std::size_t dimensions, float* out, std::size_t out_stride) {
  std::size_t r = 0;
  for (; r + 4 <= row_count; r += 4)
    tile<kL2, 4, Q>(rows + r, queries, dimensions, out + r * out_stride, out_stride);
  for (; r < row_count; ++r)
    tile<kL2, 1, Q>(rows + r, queries, dimensions, out + r * out_stride, out_stride);
}

template <bool kL2>
void pairs(const std::uint16_t* const* rows, std::size_t row_count, const float* const* queries,
           std::size_t query_count, std::size_t dimensions, float* out) {
  std::size_t q = 0;
  for (; q + 4 <= query_count; q += 4)
    rows_by<kL2, 4>(rows, row_count, queries + q, dimensions, out + q, query_count);
  switch (query_count - q) {
    case 3:
      return rows_by<kL2, 3>(rows, row_count, queries + q, dimensions, out + q, query_count);
    case 2:
      return rows_by<kL2, 2>(rows, row_count, queries + q, dimensions, out + q, query_count);
    case 1:
      return rows_by<kL2, 1>(rows, row_count, queries + q, dimensions, out + q, query_count);
    default:
      return;
  }
}

void to_half(const float* in, std::size_t count, std::uint16_t* out) {
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t rest = count - i;
    const auto mask = static_cast<__mmask16>(rest >= 16 ? 0xffffu : (1u << rest) - 1);
    _mm256_mask_storeu_epi16(out + i, mask,
                             _mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, in + i),
                                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
}

void to_float(const std::uint16_t* in, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t rest = count - i;
    const auto mask = static_cast<__mmask16>(rest >= 16 ? 0xffffu : (1u << rest) - 1);
    _mm512_mask_storeu_ps(out + i, mask, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, in + i)));
  }
}

constexpr Kernels kTable{"avx512", pairs<false>, pairs<true>, to_half, to_float};

}  // namespace

const Kernels* const kAvx512Kernels = &kTable;

}  // namespace similis::engine::simd

#else
namespace similis::engine::simd {
const Kernels* const kAvx512Kernels = nullptr;
}  // namespace similis::engine::simd
#endif
