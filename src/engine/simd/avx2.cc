// AVX2, FMA and F16C. Compiled with flags of its own: include nothing here whose inline functions
// other files could share, or the linker may give them code that older CPUs cannot run.
#include "engine/simd/extent.h"
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

/// V vectors, 16 coordinates at a time.
template <int V>
inline void add_rows_to(const std::uint16_t* const* rows, std::size_t row_count,
                        const float* const* weights, std::size_t dimensions, float* const* outs) {
  std::size_t d = 0;
  for (; d + 16 <= dimensions; d += 16) {
    __m256 sum[V][2];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      sum[v][0] = _mm256_loadu_ps(outs[v] + d);
      sum[v][1] = _mm256_loadu_ps(outs[v] + d + 8);
    }
    for (std::size_t r = 0; r < row_count; ++r) {
      const __m256 x0 = load_row(rows[r] + d), x1 = load_row(rows[r] + d + 8);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const __m256 w = _mm256_broadcast_ss(weights[v] + r);
        sum[v][0] = _mm256_fmadd_ps(w, x0, sum[v][0]);
        sum[v][1] = _mm256_fmadd_ps(w, x1, sum[v][1]);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      _mm256_storeu_ps(outs[v] + d, sum[v][0]);
      _mm256_storeu_ps(outs[v] + d + 8, sum[v][1]);
    }
  }
  for (std::size_t r = 0; r < row_count; ++r)
    for (std::size_t i = d; i < dimensions; ++i) {
      const float x = _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(rows[r][i])));
      for (int v = 0; v < V; ++v) outs[v][i] += weights[v][r] * x;
    }
}

void add_rows(const std::uint16_t* const* rows, std::size_t row_count, const float* const* weights,
              std::size_t vector_count, std::size_t dimensions, float* const* outs) {
  std::size_t v = 0;
  for (; v + 4 <= vector_count; v += 4)
    add_rows_to<4>(rows, row_count, weights + v, dimensions, outs + v);
  for (; v < vector_count; ++v) add_rows_to<1>(rows, row_count, weights + v, dimensions, outs + v);
}

/// The three smallest steps, within each run of eight.
inline __m256 hadamard8(__m256 v) {
  const __m256 odd = _mm256_set_ps(-0.0F, 0, -0.0F, 0, -0.0F, 0, -0.0F, 0);
  const __m256 odd2 = _mm256_set_ps(-0.0F, -0.0F, 0, 0, -0.0F, -0.0F, 0, 0);
  const __m256 odd4 = _mm256_set_ps(-0.0F, -0.0F, -0.0F, -0.0F, 0, 0, 0, 0);
  v = _mm256_add_ps(_mm256_permute_ps(v, 0xb1), _mm256_xor_ps(v, odd));
  v = _mm256_add_ps(_mm256_permute_ps(v, 0x4e), _mm256_xor_ps(v, odd2));
  return _mm256_add_ps(_mm256_permute2f128_ps(v, v, 1), _mm256_xor_ps(v, odd4));
}

void hadamard(float* values, std::size_t size) {
  if (size < 8) return kScalarKernels->hadamard(values, size);
  for (std::size_t i = 0; i < size; i += 8)
    _mm256_storeu_ps(values + i, hadamard8(_mm256_loadu_ps(values + i)));
  std::size_t half = 8;
  for (; half * 4 <= size; half *= 4) {  // two steps in one pass
    for (std::size_t at = 0; at < size; at += 4 * half) {
      for (std::size_t i = at; i < at + half; i += 8) {
        const __m256 a = _mm256_loadu_ps(values + i), b = _mm256_loadu_ps(values + i + half);
        const __m256 c = _mm256_loadu_ps(values + i + 2 * half);
        const __m256 d = _mm256_loadu_ps(values + i + 3 * half);
        const __m256 ab = _mm256_add_ps(a, b), a_b = _mm256_sub_ps(a, b);
        const __m256 cd = _mm256_add_ps(c, d), c_d = _mm256_sub_ps(c, d);
        _mm256_storeu_ps(values + i, _mm256_add_ps(ab, cd));
        _mm256_storeu_ps(values + i + half, _mm256_add_ps(a_b, c_d));
        _mm256_storeu_ps(values + i + 2 * half, _mm256_sub_ps(ab, cd));
        _mm256_storeu_ps(values + i + 3 * half, _mm256_sub_ps(a_b, c_d));
      }
    }
  }
  if (half < size) {
    for (std::size_t i = 0; i < half; i += 8) {
      const __m256 a = _mm256_loadu_ps(values + i), b = _mm256_loadu_ps(values + i + half);
      _mm256_storeu_ps(values + i, _mm256_add_ps(a, b));
      _mm256_storeu_ps(values + i + half, _mm256_sub_ps(a, b));
    }
  }
  const __m256 scale =
      _mm256_div_ps(_mm256_set1_ps(1), _mm256_sqrt_ps(_mm256_set1_ps(static_cast<float>(size))));
  for (std::size_t i = 0; i < size; i += 8)
    _mm256_storeu_ps(values + i, _mm256_mul_ps(_mm256_loadu_ps(values + i), scale));
}

inline std::int32_t sum_of(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
  return _mm_cvtsi128_si32(s);
}

std::int32_t dot_nibbles(const std::uint8_t* codes, const std::int8_t* query,
                         std::size_t dimensions) {
  const __m256i low = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
  for (std::size_t at = 0; at < dimensions; at += 64, codes += 32, query += 64) {
    const __m256i c = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    const __m256i q0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query));
    const __m256i q1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + 32));
    // At most 4 * 15 * 127 in 16 bits.
    const __m256i products =
        _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_and_si256(c, low), q0),
                         _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(c, 4), low), q1));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(products, ones));
  }
  return sum_of(sum);
}

std::int32_t dot_crumbs(const std::uint8_t* codes, const std::int8_t* query,
                        std::size_t dimensions) {
  const __m256i low = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
  for (std::size_t at = 0; at < dimensions; at += 64, codes += 16, query += 64) {
    const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    const __m256i near =
        _mm256_inserti128_si256(_mm256_castsi128_si256(c), _mm_srli_epi16(c, 2), 1);
    const __m256i q0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query));
    const __m256i q1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + 32));
    const __m256i products = _mm256_add_epi16(
        _mm256_maddubs_epi16(_mm256_and_si256(near, low), q0),
        _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(near, 4), low), q1));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(products, ones));
  }
  return sum_of(sum);
}

/// Bits set in each byte.
inline __m256i count_bytes(__m256i v) {
  const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                          2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(15);
  return _mm256_add_epi8(
      _mm256_shuffle_epi8(counts, _mm256_and_si256(v, low)),
      _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
}

/// Bits may lie at any address.
inline std::uint64_t word_at(const void* from) {
  std::uint64_t word = 0;
  __builtin_memcpy(&word, from, sizeof word);
  return word;
}

std::int32_t dot_planes(const std::uint64_t* bits, const std::uint64_t* planes,
                        std::size_t plane_count, std::size_t words, std::size_t stride) {
  constexpr std::size_t kWordsABlock = 16;  // 4 vectors: byte counts stay below 256
  __m256i total = _mm256_setzero_si256();   // four sums of 64 bits
  std::int32_t rest = 0;
  for (std::size_t p = 0; p < plane_count; ++p, planes += stride) {
    __m256i plane = _mm256_setzero_si256();
    std::size_t w = 0;
    while (w + 4 <= words) {
      __m256i bytes = _mm256_setzero_si256();
      for (const std::size_t end = w + kWordsABlock; w + 4 <= words && w < end; w += 4) {
        const __m256i both =
            _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits + w)),
                             _mm256_loadu_si256(reinterpret_cast<const __m256i*>(planes + w)));
        bytes = _mm256_add_epi8(bytes, count_bytes(both));
      }
      plane = _mm256_add_epi64(plane, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
    }
    std::int32_t count = 0;
    for (; w < words; ++w) count += __builtin_popcountll(word_at(bits + w) & planes[w]);
    const bool negative = p + 1 == plane_count;
    rest += (negative ? -count : count) * (1 << p);
    plane = _mm256_sll_epi64(plane, _mm_cvtsi32_si128(static_cast<int>(p)));
    total = negative ? _mm256_sub_epi64(total, plane) : _mm256_add_epi64(total, plane);
  }
  __m128i s = _mm_add_epi64(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
  s = _mm_add_epi64(s, _mm_unpackhi_epi64(s, s));
  return static_cast<std::int32_t>(_mm_cvtsi128_si64(s)) + rest;
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

constexpr Kernels kTable{"avx2",   pairs<false>, pairs<true>, extent,      to_half,
                         to_float, add_rows,     hadamard,    dot_nibbles, dot_crumbs,
                         to_bytes, to_planes,    dot_planes,  dot_codes};

}  // namespace

const Kernels* const kAvx2Kernels = &kTable;

}  // namespace similis::engine::simd

#else
namespace similis::engine::simd {
const Kernels* const kAvx2Kernels = nullptr;
}  // namespace similis::engine::simd
#endif
