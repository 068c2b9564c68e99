// AVX-512 F, BW and VL. As in avx2.cc: include nothing here whose inline functions other files
// could share.
#include "engine/simd/extent.h"
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

/// V vectors, 32 coordinates at a time.
template <int V>
inline void add_rows_to(const std::uint16_t* const* rows, std::size_t row_count,
                        const float* const* weights, std::size_t dimensions, float* const* outs) {
  for (std::size_t d = 0; d < dimensions; d += 32) {
    const std::size_t rest = dimensions - d;
    const auto low = static_cast<__mmask16>(rest >= 16 ? 0xffffu : (1u << rest) - 1);
    const auto high = static_cast<__mmask16>(rest >= 32   ? 0xffffu
                                             : rest >= 16 ? (1u << (rest - 16)) - 1
                                                          : 0);
    __m512 sum[V][2];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      sum[v][0] = _mm512_maskz_loadu_ps(low, outs[v] + d);
      sum[v][1] = _mm512_maskz_loadu_ps(high, outs[v] + d + 16);
    }
    for (std::size_t r = 0; r < row_count; ++r) {
      const __m512 x0 = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(low, rows[r] + d));
      const __m512 x1 = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(high, rows[r] + d + 16));
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const __m512 w = _mm512_set1_ps(weights[v][r]);
        sum[v][0] = _mm512_fmadd_ps(w, x0, sum[v][0]);
        sum[v][1] = _mm512_fmadd_ps(w, x1, sum[v][1]);
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      _mm512_mask_storeu_ps(outs[v] + d, low, sum[v][0]);
      _mm512_mask_storeu_ps(outs[v] + d + 16, high, sum[v][1]);
    }
  }
}

void add_rows(const std::uint16_t* const* rows, std::size_t row_count, const float* const* weights,
              std::size_t vector_count, std::size_t dimensions, float* const* outs) {
  std::size_t v = 0;
  for (; v + 8 <= vector_count; v += 8)
    add_rows_to<8>(rows, row_count, weights + v, dimensions, outs + v);
  for (; v < vector_count; ++v) add_rows_to<1>(rows, row_count, weights + v, dimensions, outs + v);
}

/// The four smallest steps, within each run of sixteen.
inline __m512 hadamard16(__m512 v) {
  const __m512 zero = _mm512_setzero_ps();
  const auto step = [&](__m512 moved, __mmask16 odd) {
    return _mm512_add_ps(moved, _mm512_mask_sub_ps(v, odd, zero, v));
  };
  v = step(_mm512_permute_ps(v, 0xb1), 0xaaaa);
  v = step(_mm512_permute_ps(v, 0x4e), 0xcccc);
  v = step(_mm512_shuffle_f32x4(v, v, 0xb1), 0xf0f0);
  return step(_mm512_shuffle_f32x4(v, v, 0x4e), 0xff00);
}

void hadamard(float* values, std::size_t size) {
  if (size < 16) return kScalarKernels->hadamard(values, size);
  for (std::size_t i = 0; i < size; i += 16)
    _mm512_storeu_ps(values + i, hadamard16(_mm512_loadu_ps(values + i)));
  for (std::size_t half = 16; half < size; half *= 2) {
    for (std::size_t at = 0; at < size; at += 2 * half) {
      for (std::size_t i = at; i < at + half; i += 16) {
        const __m512 a = _mm512_loadu_ps(values + i), b = _mm512_loadu_ps(values + i + half);
        _mm512_storeu_ps(values + i, _mm512_add_ps(a, b));
        _mm512_storeu_ps(values + i + half, _mm512_sub_ps(a, b));
      }
    }
  }
  const __m512 scale =
      _mm512_div_ps(_mm512_set1_ps(1), _mm512_sqrt_ps(_mm512_set1_ps(static_cast<float>(size))));
  for (std::size_t i = 0; i < size; i += 16)
    _mm512_storeu_ps(values + i, _mm512_mul_ps(_mm512_loadu_ps(values + i), scale));
}

std::int32_t dot_nibbles(const std::uint8_t* codes, const std::int8_t* query,
                         std::size_t dimensions) {
  const __m512i low = _mm512_set1_epi8(15), ones = _mm512_set1_epi16(1);
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t at = 0; at < dimensions; at += 64, codes += 32, query += 64) {
    const __m256i c = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    const __m512i halves = _mm512_and_si512(
        _mm512_inserti64x4(_mm512_castsi256_si512(c), _mm256_srli_epi16(c, 4), 1), low);
    const __m512i products =
        _mm512_maddubs_epi16(halves, _mm512_loadu_si512(static_cast<const void*>(query)));
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(products, ones));
  }
  return _mm512_reduce_add_epi32(sum);
}

/// Bits set in each byte.
inline __m512i count_bytes(__m512i v) {
  const __m512i counts =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m512i low = _mm512_set1_epi8(15);
  return _mm512_add_epi8(
      _mm512_shuffle_epi8(counts, _mm512_and_si512(v, low)),
      _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi16(v, 4), low)));
}

/// 64 two-bit codes as bytes, in the order of their dimensions.
inline __m512i crumbs(const std::uint8_t* codes) {
  const __m512i shifts = _mm512_inserti64x4(
      _mm512_castsi256_si512(_mm256_setr_m128i(_mm_set1_epi16(0), _mm_set1_epi16(2))),
      _mm256_setr_m128i(_mm_set1_epi16(4), _mm_set1_epi16(6)), 1);
  const __m512i c =
      _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  return _mm512_and_si512(_mm512_srlv_epi16(c, shifts), _mm512_set1_epi8(3));
}

std::int32_t dot_crumbs(const std::uint8_t* codes, const std::int8_t* query,
                        std::size_t dimensions) {
  const __m512i ones = _mm512_set1_epi16(1);
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t at = 0; at < dimensions; at += 64, codes += 16, query += 64) {
    const __m512i products =
        _mm512_maddubs_epi16(crumbs(codes), _mm512_loadu_si512(static_cast<const void*>(query)));
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(products, ones));
  }
  return _mm512_reduce_add_epi32(sum);
}

std::int32_t dot_planes(const std::uint64_t* bits, const std::uint64_t* planes,
                        std::size_t plane_count, std::size_t words, std::size_t stride) {
  __m512i total = _mm512_setzero_si512();
  for (std::size_t p = 0; p < plane_count; ++p, planes += stride) {
    __m512i plane = _mm512_setzero_si512();
    for (std::size_t w = 0; w < words; w += 8) {
      const std::size_t rest = words - w;
      const auto mask = static_cast<__mmask8>(rest >= 8 ? 0xffu : (1u << rest) - 1);
      const __m512i both = _mm512_and_si512(_mm512_maskz_loadu_epi64(mask, bits + w),
                                            _mm512_maskz_loadu_epi64(mask, planes + w));
      plane = _mm512_add_epi64(plane, _mm512_sad_epu8(count_bytes(both), _mm512_setzero_si512()));
    }
    plane = _mm512_sll_epi64(plane, _mm_cvtsi32_si128(static_cast<int>(p)));
    total = p + 1 == plane_count ? _mm512_sub_epi64(total, plane) : _mm512_add_epi64(total, plane);
  }
  return static_cast<std::int32_t>(_mm512_reduce_add_epi64(total));
}

inline std::int32_t sum_of(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
  return _mm_cvtsi128_si32(s);
}

std::int32_t to_bytes(const float* in, std::size_t count, float scale, std::int8_t* out) {
  const __m256 factor = _mm256_set1_ps(scale);
  __m256i sums = _mm256_setzero_si256();
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in + i), factor));
    const __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in + i + 8), factor));
    sums = _mm256_add_epi32(sums, _mm256_add_epi32(a, b));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(out + i),
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
  return sum_of(sums) + kScalarKernels->to_bytes(in + i, count - i, scale, out + i);
}

void to_planes(const std::int8_t* in, std::size_t words, std::size_t plane_count,
               std::uint64_t* out) {
  for (std::size_t w = 0; w < words; ++w, in += 64) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + 32));
    for (std::size_t p = 0; p < plane_count; ++p) {
      const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(7 - p));  // bit p to each byte's top
      const auto low = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_sll_epi16(a, shift)));
      const auto high =
          static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_sll_epi16(b, shift)));
      out[p * words + w] = std::uint64_t{high} << 32 | low;
    }
  }
}

void dot_codes(const std::uint8_t* const* codes, std::size_t count, const std::int8_t* query,
               std::size_t dimensions, const std::uint64_t* planes, std::size_t plane_count,
               std::size_t words, std::int32_t* nibbles, std::int32_t* bits) {
  for (std::size_t i = 0; i < count; ++i) {
    nibbles[i] = dot_nibbles(codes[i], query, dimensions);
    bits[i] = dot_planes(reinterpret_cast<const std::uint64_t*>(codes[i] + dimensions / 2), planes,
                         plane_count, words, words);
  }
}

constexpr Kernels kTable{"avx512", pairs<false>, pairs<true>, extent,      to_half,
                         to_float, add_rows,     hadamard,    dot_nibbles, dot_crumbs,
                         to_bytes, to_planes,    dot_planes,  dot_codes};

}  // namespace

const Kernels* const kAvx512Kernels = &kTable;

}  // namespace similis::engine::simd

#else
namespace similis::engine::simd {
const Kernels* const kAvx512Kernels = nullptr;
}  // namespace similis::engine::simd
#endif
