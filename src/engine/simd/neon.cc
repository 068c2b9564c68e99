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

constexpr Kernels kTable{"neon", pairs<false>, pairs<true>, to_half, to_float};

}  // namespace

const Kernels* const kNeonKernels = &kTable;

}  // namespace similis::engine::simd

#else
namespace similis::engine::simd {
const Kernels* const kNeonKernels = nullptr;
}  // namespace similis::engine::simd
#endif
