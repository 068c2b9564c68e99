#include <cmath>
#include <cstring>

#include "engine/simd/extent.h"
#include "engine/simd/kernel_table.h"

namespace similis::engine::simd {
namespace {

float bits_to_float(std::uint32_t bits) {
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 31u, mantissa = half & 0x3ffu;
  if (exponent == 31) return bits_to_float(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, exact in f32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  return bits_to_float(sign | (exponent + 112) << 23 | mantissa << 13);
}

std::uint16_t float_to_half(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u)  // NaN, kept quiet
    return static_cast<std::uint16_t>(sign | 0x7e00u | (bits >> 13 & 0x3ffu));
  if (bits >= 0x477ff000u)
    return static_cast<std::uint16_t>(sign | 0x7c00u);  // rounds beyond 65504
  if (bits < 0x38800000u) {                             // below 2^-14: a multiple of 2^-24
    if (bits < 0x33000000u) return sign;
    const std::uint32_t shift = 126 - (bits >> 23);
    const std::uint32_t mantissa = (bits & 0x7fffffu) | 0x800000u;
    std::uint32_t rounded = mantissa >> shift;
    const std::uint32_t rest = mantissa & ((1u << shift) - 1), middle = 1u << (shift - 1);
    if (rest > middle || (rest == middle && (rounded & 1u) != 0)) ++rounded;
    return static_cast<std::uint16_t>(sign | rounded);
  }
  const std::uint32_t rounded = bits + 0xfffu + (bits >> 13 & 1u);
  return static_cast<std::uint16_t>(sign | (rounded - 0x38000000u) >> 13);
}

template <bool kL2>
void pairs(const std::uint16_t* const* rows, std::size_t row_count, const float* const* queries,
           std::size_t query_count, std::size_t dimensions, float* out) {
  for (std::size_t r = 0; r < row_count; ++r) {
    for (std::size_t q = 0; q < query_count; ++q) {
      float sum[8] = {};  // eight chains: as accurate as the vector kernels, and quicker than one
      for (std::size_t i = 0; i < dimensions; ++i) {
        const float x = half_to_float(rows[r][i]);
        const float y = queries[q][i];
        sum[i % 8] += kL2 ? (x - y) * (x - y) : x * y;
      }
      out[r * query_count + q] =
          ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
    }
  }
}

void to_half(const float* in, std::size_t count, std::uint16_t* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = float_to_half(in[i]);
}

void to_float(const std::uint16_t* in, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = half_to_float(in[i]);
}

void add_rows(const std::uint16_t* const* rows, std::size_t row_count, const float* const* weights,
              std::size_t vector_count, std::size_t dimensions, float* const* outs) {
  for (std::size_t v = 0; v < vector_count; ++v)
    for (std::size_t r = 0; r < row_count; ++r)
      for (std::size_t d = 0; d < dimensions; ++d)
        outs[v][d] += weights[v][r] * half_to_float(rows[r][d]);
}

void hadamard(float* values, std::size_t size) {
  for (std::size_t half = 1; half < size; half *= 2) {
    for (std::size_t at = 0; at < size; at += 2 * half) {
      for (std::size_t i = at; i < at + half; ++i) {
        const float a = values[i], b = values[i + half];
        values[i] = a + b;
        values[i + half] = a - b;
      }
    }
  }
  const float scale = 1 / std::sqrt(static_cast<float>(size));
  for (std::size_t i = 0; i < size; ++i) values[i] *= scale;
}

std::int32_t dot_nibbles(const std::uint8_t* codes, const std::int8_t* query,
                         std::size_t dimensions) {
  std::int32_t sum = 0;
  for (std::size_t at = 0; at < dimensions; at += 64, codes += 32, query += 64)
    for (std::size_t j = 0; j < 32; ++j)
      sum += (codes[j] & 15) * query[j] + (codes[j] >> 4) * query[32 + j];
  return sum;
}

std::int32_t dot_crumbs(const std::uint8_t* codes, const std::int8_t* query,
                        std::size_t dimensions) {
  std::int32_t sum = 0;
  for (std::size_t at = 0; at < dimensions; at += 64, codes += 16, query += 64)
    for (std::size_t j = 0; j < 64; ++j) sum += (codes[j % 16] >> (j / 16 * 2) & 3) * query[j];
  return sum;
}

/// Bits may lie at any address.
inline std::uint64_t word_at(const void* from) {
  std::uint64_t word = 0;
  __builtin_memcpy(&word, from, sizeof word);
  return word;
}

std::int32_t dot_planes(const std::uint64_t* bits, const std::uint64_t* planes,
                        std::size_t plane_count, std::size_t words, std::size_t stride) {
  std::int32_t sum = 0;
  for (std::size_t p = 0; p < plane_count; ++p, planes += stride) {
    std::int32_t count = 0;
    for (std::size_t w = 0; w < words; ++w)
      count += __builtin_popcountll(word_at(bits + w) & planes[w]);
    sum += (p + 1 == plane_count ? -count : count) * (1 << p);
  }
  return sum;
}

std::int32_t to_bytes(const float* in, std::size_t count, float scale, std::int8_t* out) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<std::int32_t>(std::lrint(in[i] * scale));
    out[i] = static_cast<std::int8_t>(value);
    sum += value;
  }
  return sum;
}

void to_planes(const std::int8_t* in, std::size_t words, std::size_t plane_count,
               std::uint64_t* out) {
  for (std::size_t w = 0; w < words; ++w) {
    for (std::size_t p = 0; p < plane_count; ++p) {
      std::uint64_t word = 0;
      for (std::size_t i = 0; i < 64; ++i)
        word |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(in[w * 64 + i]) >> p & 1) << i;
      out[p * words + w] = word;
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

constexpr Kernels kTable{"scalar", pairs<false>, pairs<true>, extent,      to_half,
                         to_float, add_rows,     hadamard,    dot_nibbles, dot_crumbs,
                         to_bytes, to_planes,    dot_planes,  dot_codes};

}  // namespace

const Kernels* const kScalarKernels = &kTable;

}  // namespace similis::engine::simd
