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
                        std::size_t plane_count, std::size_t words) {
  // Horner's scheme, from the highest plane, which counts negative.
  __m512i total = _mm512_setzero_si512();
  for (std::size_t p = plane_count; p-- > 0;) {
    __m512i plane = _mm512_setzero_si512();
    for (std::size_t w = 0; w < words; w += 8) {
      const std::size_t rest = words - w;
      const auto mask = static_cast<__mmask8>(rest >= 8 ? 0xffu : (1u << rest) - 1);
      const __m512i both = _mm512_and_si512(_mm512_maskz_loadu_epi64(mask, bits + w),
                                            _mm512_maskz_loadu_epi64(mask, planes + p * words + w));
      plane = _mm512_add_epi64(plane, _mm512_popcnt_epi64(both));
    }
    total = p + 1 == plane_count ? _mm512_sub_epi64(total, plane)
                                 : _mm512_add_epi64(_mm512_add_epi64(total, total), plane);
  }
  return static_cast<std::int32_t>(_mm512_reduce_add_epi64(total));
}

const Kernels& table() {
  static const Kernels kernels = [] {
    Kernels out = *kAvx512Kernels;
    out.name = "avx512_vnni";
    out.dot_nibbles = dot_nibbles;
    out.dot_planes = dot_planes;
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
