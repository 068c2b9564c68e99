#include "engine/simd/extent.h"
#include "engine/simd/kernel_table.h"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace similis::engine::simd {
namespace {

inline float32x4_t load_row(const std::uint16_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

template <bool kL2>
inline float32x4_t step(float32x4_t row, float32x4_t query, float32x4_t sum) {
  if constexpr (kL2) {
    const float32x4_t d = vsubq_f32(row, query);
    return vfmaq_f32(sum, d, d);
  } else {
    return vfmaq_f32(sum, row, query);
  }
}

/// R rows against Q queries; two accumulators a pair (even and odd quads) hide the latency.
template <bool kL2, int R, int Q>
inline void tile(const std::uint16_t* const* rows, const float* const* queries,
                 std::size_t dimensions, float* out, std::size_t out_stride) {
  float32x4_t sum[R][Q][2];
  for (int r = 0; r < R; ++r)
    for (int q = 0; q < Q; ++q) sum[r][q][0] = sum[r][q][1] = vdupq_n_f32(0);
  std::size_t i = 0;
  for (; i + 8 <= dimensions; i += 8) {
    for (int half = 0; half < 2; ++half) {
      const std::size_t at = i + static_cast<std::size_t>(half) * 4;
      float32x4_t x[R];
      for (int r = 0; r < R; ++r) x[r] = load_row(rows[r] + at);
      for (int q = 0; q < Q; ++q) {
        const float32x4_t y = vld1q_f32(queries[q] + at);
        for (int r = 0; r < R; ++r) sum[r][q][half] = step<kL2>(x[r], y, sum[r][q][half]);
      }
    }
  }
  for (; i < dimensions; i += 4) {
    const std::size_t rest = dimensions - i < 4 ? dimensions - i : 4;
    float y[Q][4] = {};
    for (int q = 0; q < Q; ++q)
      for (std::size_t j = 0; j < rest; ++j) y[q][j] = queries[q][i + j];
    for (int r = 0; r < R; ++r) {
      std::uint16_t x[4] = {};
      for (std::size_t j = 0; j < rest; ++j) x[j] = rows[r][i + j];
      for (int q = 0; q < Q; ++q)
        sum[r][q][0] = step<kL2>(load_row(x), vld1q_f32(y[q]), sum[r][q][0]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int q = 0; q < Q; ++q)
      out[static_cast<std::size_t>(r) * out_stride + static_cast<std::size_t>(q)] =
          vaddvq_f32(vaddq_f32(sum[r][q][0], sum[r][q][1]));
}

template <bool kL2, int Q>
void rows_by(const std::uint16_t* const* rows, std::size_t row_count, const float* const* queries,
             std::size_t dimensions, float* out, std::size_t out_stride) {
  std::size_t r = 0;
  for (; r + 2 <= row_count; r += 2)
    tile<kL2, 2, Q>(rows + r, queries, dimensions, out + r * out_stride, out_stride);
  for (; r < row_count; ++r)
    tile<kL2, 1, Q>(rows + r, queries, dimensions, out + r * out_stride, out_stride);
}

template <bool kL2>
void pairs(const std::uint16_t* const* rows, std::size_t row_count, const float* const* queries,
           std::size_t query_count, std::size_t dimensions, float* out) {
  std::size_t q = 0;
  for (; q + 4 <= query_count; q += 4)
    rows_by<kL2, 4>(rows, row_count, queries + q, dimensions, out + q, query_count);
  for (; q < query_count; ++q)
    rows_by<kL2, 1>(rows, row_count, queries + q, dimensions, out + q, query_count);
}

void to_half(const float* in, std::size_t count, std::uint16_t* out) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4)
    vst1_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(in + i))));
  for (; i < count; ++i)
    out[i] = vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(in[i]))), 0);
}

void to_float(const std::uint16_t* in, std::size_t count, float* out) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) vst1q_f32(out + i, load_row(in + i));
  for (; i < count; ++i)
    out[i] = vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(in[i]))), 0);
}

void add_rows(const std::uint16_t* const* rows, std::size_t row_count, const float* const* weights,
              std::size_t vector_count, std::size_t dimensions, float* const* outs) {
  for (std::size_t r = 0; r < row_count; ++r) {
    const std::uint16_t* row = rows[r];
    std::size_t d = 0;
    for (; d + 4 <= dimensions; d += 4) {
      const float32x4_t x = load_row(row + d);
      for (std::size_t v = 0; v < vector_count; ++v)
        vst1q_f32(outs[v] + d, vfmaq_n_f32(vld1q_f32(outs[v] + d), x, weights[v][r]));
    }
    for (; d < dimensions; ++d) {
      const float x = vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(row[d]))), 0);
      for (std::size_t v = 0; v < vector_count; ++v) outs[v][d] += weights[v][r] * x;
    }
  }
}

void hadamard(float* values, std::size_t size) {
  if (size < 8) return kScalarKernels->hadamard(values, size);
  for (std::size_t half = 1; half < 4; half *= 2) {
    for (std::size_t at = 0; at < size; at += 2 * half) {
      for (std::size_t i = at; i < at + half; ++i) {
        const float a = values[i], b = values[i + half];
        values[i] = a + b;
        values[i + half] = a - b;
      }
    }
  }
  for (std::size_t half = 4; half < size; half *= 2) {
    for (std::size_t at = 0; at < size; at += 2 * half) {
      for (std::size_t i = at; i < at + half; i += 4) {
        const float32x4_t a = vld1q_f32(values + i), b = vld1q_f32(values + i + half);
        vst1q_f32(values + i, vaddq_f32(a, b));
        vst1q_f32(values + i + half, vsubq_f32(a, b));
      }
    }
  }
  const float32x4_t scale =
      vdivq_f32(vdupq_n_f32(1), vsqrtq_f32(vdupq_n_f32(static_cast<float>(size))));
  for (std::size_t i = 0; i < size; i += 4)
    vst1q_f32(values + i, vmulq_f32(vld1q_f32(values + i), scale));
}

std::int32_t dot_nibbles(const std::uint8_t* codes, const std::int8_t* query,
                         std::size_t dimensions) {
  int32x4_t sum = vdupq_n_s32(0);
  for (std::size_t at = 0; at < dimensions; at += 64, codes += 32, query += 64) {
    for (std::size_t half = 0; half < 32; half += 16) {
      const uint8x16_t c = vld1q_u8(codes + half);
      const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(c, vdupq_n_u8(15)));
      const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(c, 4));
      const int8x16_t q0 = vld1q_s8(query + half), q1 = vld1q_s8(query + 32 + half);
      sum = vpadalq_s16(sum, vmlal_s8(vmull_s8(vget_low_s8(low), vget_low_s8(q0)),
                                      vget_high_s8(low), vget_high_s8(q0)));
      sum = vpadalq_s16(sum, vmlal_s8(vmull_s8(vget_low_s8(high), vget_low_s8(q1)),
                                      vget_high_s8(high), vget_high_s8(q1)));
    }
  }
  return vaddvq_s32(sum);
}

std::int32_t dot_crumbs(const std::uint8_t* codes, const std::int8_t* query,
                        std::size_t dimensions) {
  int32x4_t sum = vdupq_n_s32(0);
  for (std::size_t at = 0; at < dimensions; at += 64, codes += 16, query += 64) {
    const uint8x16_t c = vld1q_u8(codes), two = vdupq_n_u8(3);
    const uint8x16_t parts[] = {vandq_u8(c, two), vandq_u8(vshrq_n_u8(c, 2), two),
                                vandq_u8(vshrq_n_u8(c, 4), two), vshrq_n_u8(c, 6)};
    for (std::size_t k = 0; k < 4; ++k) {
      const int8x16_t part = vreinterpretq_s8_u8(parts[k]), q = vld1q_s8(query + 16 * k);
      sum = vpadalq_s16(sum, vmlal_s8(vmull_s8(vget_low_s8(part), vget_low_s8(q)),
                                      vget_high_s8(part), vget_high_s8(q)));
    }
  }
  return vaddvq_s32(sum);
}

/// Bits may lie at any address.
inline std::uint64_t word_at(const void* from) {
  std::uint64_t word = 0;
  __builtin_memcpy(&word, from, sizeof word);
  return word;
}

std::int32_t dot_planes(const std::uint64_t* bits, const std::uint64_t* planes,
                        std::size_t plane_count, std::size_t words, std::size_t stride) {
  std::int32_t total = 0;
  for (std::size_t p = 0; p < plane_count; ++p, planes += stride) {
    uint64x2_t sum = vdupq_n_u64(0);
    std::size_t w = 0;
    for (; w + 2 <= words; w += 2) {
      const uint8x16_t both =
          vreinterpretq_u8_u64(vandq_u64(vld1q_u64(bits + w), vld1q_u64(planes + w)));
      sum = vpadalq_u32(sum, vpaddlq_u16(vpaddlq_u8(vcntq_u8(both))));
    }
    auto count = static_cast<std::int32_t>(vaddvq_u64(sum));
    for (; w < words; ++w) count += __builtin_popcountll(word_at(bits + w) & planes[w]);
    total += (p + 1 == plane_count ? -count : count) * (1 << p);
  }
  return total;
}

std::int32_t to_bytes(const float* in, std::size_t count, float scale, std::int8_t* out) {
  int32x4_t sums = vdupq_n_s32(0);
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const int32x4_t a = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(in + i), scale));
    const int32x4_t b = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(in + i + 4), scale));
    sums = vaddq_s32(sums, vaddq_s32(a, b));
    vst1_s8(out + i, vqmovn_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b))));
  }
  return vaddvq_s32(sums) + kScalarKernels->to_bytes(in + i, count - i, scale, out + i);
}

void to_planes(const std::int8_t* in, std::size_t words, std::size_t plane_count,
               std::uint64_t* out) {
  kScalarKernels->to_planes(in, words, plane_count, out);  // once a query
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

constexpr Kernels kTable{"neon",   pairs<false>, pairs<true>, extent,      to_half,
                         to_float, add_rows,     hadamard,    dot_nibbles, dot_crumbs,
                         to_bytes, to_planes,    dot_planes,  dot_codes};

}  // namespace

const Kernels* const kNeonKernels = &kTable;

}  // namespace similis::engine::simd

#else
namespace similis::engine::simd {
const Kernels* const kNeonKernels = nullptr;
}  // namespace similis::engine::simd
#endif
