#include "engine/simd/kernel_table.h"

// What AVX-512 with VNNI and VPOPCNTDQ does better; the rest is avx512.cc's.
#if defined(__AVX512VNNI__) && defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>

namespace similis::engine::simd {
namespace {

std::int32_t dot_nibbles(const std::uint8_t* codes, const std::int8_t* query,
                         std::size_t dimensions) {
  const __m512i low = _mm512_set1_epi8(15);
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t at = 0; at < dimensions; at += 64, codes += 32, query += 64) {
    const __m256i c = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    const __m512i halves = _mm512_and_si512(
        _mm512_inserti64x4(_mm512_castsi256_si512(c), _mm256_srli_epi16(c, 4), 1), low);
    sum = _mm512_dpbusd_epi32(sum, halves, _mm512_loadu_si512(static_cast<const void*>(query)));
  }
  return _mm512_reduce_add_epi32(sum);
}

std::int32_t dot_planes(const std::uint64_t* bits, const std::uint64_t* planes,
                        std::size_t plane_count, std::size_t words, std::size_t stride) {
  // Horner's scheme, from the highest plane, which counts negative.
  __m512i total = _mm512_setzero_si512();
  for (std::size_t p = plane_count; p-- > 0;) {
    __m512i plane = _mm512_setzero_si512();
    for (std::size_t w = 0; w < words; w += 8) {
      const std::size_t rest = words - w;
      const auto mask = static_cast<__mmask8>(rest >= 8 ? 0xffu : (1u << rest) - 1);
      const __m512i both =
          _mm512_and_si512(_mm512_maskz_loadu_epi64(mask, bits + w),
                           _mm512_maskz_loadu_epi64(mask, planes + p * stride + w));
      plane = _mm512_add_epi64(plane, _mm512_popcnt_epi64(both));
    }
    total = p + 1 == plane_count ? _mm512_sub_epi64(total, plane)
                                 : _mm512_add_epi64(_mm512_add_epi64(total, total), plane);
  }
  return static_cast<std::int32_t>(_mm512_reduce_add_epi64(total));
}

/// The same with all that is of the query in registers. `words` reaches into the last of kChunks
/// runs of eight.
template <int kChunks>
void dot_codes_of(const std::uint8_t* const* codes, std::size_t count, const std::int8_t* query,
                  const std::uint64_t* planes, std::size_t words, std::int32_t* nibbles,
                  std::int32_t* bits) {
  constexpr int kPlanes = 4, kPairs = 2;  // of runs of 64 dimensions
  const __m512i low = _mm512_set1_epi8(15);
  // 64 bytes of codes hold, in their low halves, dimensions 0..31 and 64..95 of 128; the others in
  // their high ones.
  __m512i near[kPairs], far[kPairs];
#pragma GCC unroll 2
  for (int p = 0; p < kPairs; ++p) {
    const auto at = [&](int offset) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + 128 * p + offset));
    };
    near[p] = _mm512_inserti64x4(_mm512_castsi256_si512(at(0)), at(64), 1);
    far[p] = _mm512_inserti64x4(_mm512_castsi256_si512(at(32)), at(96), 1);
  }
  __mmask8 masks[kChunks];
  __m512i of_query[kPlanes][kChunks];
#pragma GCC unroll 4
  for (int c = 0; c < kChunks; ++c) {
    const std::size_t rest = words - 8 * static_cast<std::size_t>(c);
    masks[c] = static_cast<__mmask8>(rest >= 8 ? 0xffu : (1u << rest) - 1);
#pragma GCC unroll 4
    for (int p = 0; p < kPlanes; ++p)
      of_query[p][c] =
          _mm512_maskz_loadu_epi64(masks[c], planes + static_cast<std::size_t>(p) * words + 8 * c);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* const code = codes[i];
    __m512i sum = _mm512_setzero_si512();
#pragma GCC unroll 2
    for (int p = 0; p < kPairs; ++p) {
      const __m512i c = _mm512_loadu_si512(static_cast<const void*>(code + 64 * p));
      sum = _mm512_dpbusd_epi32(sum, _mm512_and_si512(c, low), near[p]);
      sum = _mm512_dpbusd_epi32(sum, _mm512_and_si512(_mm512_srli_epi16(c, 4), low), far[p]);
    }
    __m512i counts[kPlanes];
#pragma GCC unroll 4
    for (int c = 0; c < kChunks; ++c) {
      const __m512i b = _mm512_maskz_loadu_epi64(masks[c], code + 128 + 64 * c);
#pragma GCC unroll 4
      for (int p = 0; p < kPlanes; ++p) {
        const __m512i here = _mm512_popcnt_epi64(_mm512_and_si512(b, of_query[p][c]));
        counts[p] = c == 0 ? here : _mm512_add_epi64(counts[p], here);
      }
    }
    // Horner's scheme, the highest plane counting negative.
    __m512i total = _mm512_sub_epi64(_mm512_setzero_si512(), counts[kPlanes - 1]);
#pragma GCC unroll 4
    for (int p = kPlanes - 2; p >= 0; --p)
      total = _mm512_add_epi64(_mm512_add_epi64(total, total), counts[p]);
    nibbles[i] = _mm512_reduce_add_epi32(sum);
    bits[i] = static_cast<std::int32_t>(_mm512_reduce_add_epi64(total));
  }
}

void dot_codes(const std::uint8_t* const* codes, std::size_t count, const std::int8_t* query,
               std::size_t dimensions, const std::uint64_t* planes, std::size_t plane_count,
               std::size_t words, std::int32_t* nibbles, std::int32_t* bits) {
  if (dimensions == 256 && plane_count == 4 && words > 0 && words <= 32) {
    constexpr decltype(&dot_codes_of<1>) kByChunks[] = {dot_codes_of<1>, dot_codes_of<2>,
                                                        dot_codes_of<3>, dot_codes_of<4>};
    kByChunks[(words - 1) / 8](codes, count, query, planes, words, nibbles, bits);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    nibbles[i] = dot_nibbles(codes[i], query, dimensions);
    bits[i] = dot_planes(reinterpret_cast<const std::uint64_t*>(codes[i] + dimensions / 2), planes,
                         plane_count, words, words);
  }
}

const Kernels& table() {
  static const Kernels kernels = [] {
    Kernels out = *kAvx512Kernels;
    out.name = "avx512_vnni";
    out.dot_nibbles = dot_nibbles;
    out.dot_planes = dot_planes;
    out.dot_codes = dot_codes;
    return out;
  }();
  return kernels;
}

}  // namespace

const Kernels* avx512_vnni_kernels() {
  return &table();
}

}  // namespace similis::engine::simd

#else
namespace similis::engine::simd {
const Kernels* avx512_vnni_kernels() {
  return nullptr;
}
}  // namespace similis::engine::simd
#endif
