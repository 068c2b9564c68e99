// AVX2, FMA and F16C. Compiled with flags of its own: include nothing here whose inline functions
// other files could share, or the linker may give them code that older CPUs cannot run.
#include "engine/simd/kernel_table.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>

namespace similis::engine::simd {
namespace {

inline __m256 load_row(const std::uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

inline float sum_of(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  s = _mm_add_ss(s, _mm_shuffle_ps(s, s, 1));
  return _mm_cvtss_f32(s);
}

template <bool kL2>
inline __m256 step(__m256 row, __m256 query, __m256 sum) {
  if constexpr (kL2) {
    const __m256 d = _mm256_sub_ps(row, query);
    return _mm256_fmadd_ps(d, d, sum);
  } else {
    return _mm256_fmadd_ps(row, query, sum);
  }
}

/// R rows against Q queries, one accumulator a pair, so that a row is converted once for Q queries.
template <bool kL2, int R, int Q>
inline void tile(const std::uint16_t* const* rows, const float* const* queries,
                 std::size_t dimensions, float* out, std::size_t out_stride) {
  __m256 sum[R][Q];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) sum[r][q] = _mm256_setzero_ps();
  std::size_t i = 0;
  for (; i + 8 <= dimensions; i += 8) {
    __m256 x[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) x[r] = load_row(rows[r] + i);
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) {
      const __m256 y = _mm256_loadu_ps(queries[q] + i);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) sum[r][q] = step<kL2>(x[r], y, sum[r][q]);
    }
  }
  if (i < dimensions) {  // the rest, padded with zeros, which add nothing
    const std::size_t rest = dimensions - i;
    float y[Q][8] = {};
    for (int q = 0; q < Q; ++q)
      for (std::size_t j = 0; j < rest; ++j) y[q][j] = queries[q][i + j];
    for (int r = 0; r < R; ++r) {
      std::uint16_t x[8] = {};
      for (std::size_t j = 0; j < rest; ++j) x[j] = rows[r][i + j];
      const __m256 row = load_row(x);
      for (int q = 0; q < Q; ++q) sum[r][q] = step<kL2>(row, _mm256_loadu_ps(y[q]), sum[r][q]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q)
      out[static_cast<std::size_t>(r) * out_stride + static_cast<std::size_t>(q)] =
          sum_of(sum[r][q]);
}

/// All rows against Q queries; R * Q accumulators of the 16 registers.
template <bool kL2, int R, int Q>
void rows_by(const std::uint16_t* const* rows, std::size_t row_count, const float* const* queries,
             std::size_t dimensions, float* out, std::size_t out_stride) {
  std::size_t r = 0;
  for (; r + R <= row_count; r += R)
    tile<kL2, R, Q>(rows + r, queries, dimensions, out + r * out_stride, out_stride);
  for (; r < row_count; ++r)
    tile<kL2, 1, Q>(rows + r, queries, dimensions, out + r * out_stride, out_stride);
}

template <bool kL2>
void pairs(const std::uint16_t* const* rows, std::size_t row_count, const float* const* queries,
           std::size_t query_count, std::size_t dimensions, float* out) {
  std::size_t q = 0;
  for (; q + 4 <= query_count; q += 4)
    rows_by<kL2, 2, 4>(rows, row_count, queries + q, dimensions, out + q, query_count);
  switch (query_count - q) {
    case 3:
      return rows_by<kL2, 2, 3>(rows, row_count, queries + q, dimensions, out + q, query_count);
    case 2:
      return rows_by<kL2, 4, 2>(rows, row_count, queries + q, dimensions, out + q, query_count);
    case 1:
      return rows_by<kL2, 4, 1>(rows, row_count, queries + q, dimensions, out + q, query_count);
    default:
      return;
  }
}

void to_half(const float* in, std::size_t count, std::uint16_t* out) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  for (; i < count; ++i)
    out[i] = static_cast<std::uint16_t>(
        _mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(in[i]), _MM_FROUND_TO_NEAREST_INT), 0));
}

void to_float(const std::uint16_t* in, std::size_t count, float* out) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) _mm256_storeu_ps(out + i, load_row(in + i));
  for (; i < count; ++i) out[i] = _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(in[i])));
}

constexpr Kernels kTable{"avx2", pairs<false>, pairs<true>, to_half, to_float};

}  // namespace

const Kernels* const kAvx2Kernels = &kTable;

}  // namespace similis::engine::simd

#else
namespace similis::engine::simd {
const Kernels* const kAvx2Kernels = nullptr;
}  // namespace similis::engine::simd
#endif
