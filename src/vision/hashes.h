#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "vision/picture.h"

namespace similis {

/// A 64-bit hash of what a picture looks like; look-alikes (resized, recompressed, lightly edited)
/// differ in few bits. The DCT hash of C. Zauner, "Implementation and Benchmarking of Perceptual
/// Image Hash Functions" (2010), section 3.2.1: 32 x 32 luma, DCT-II, the 8 x 8 coefficients of
/// lowest frequency without the first row and column, each bit telling whether the coefficient is
/// above their median. Bit 8 * v + u is vertical frequency v + 1, horizontal u + 1. `luma_32x32` is
/// row-major.
std::uint64_t perceptual_hash(std::span<const float, 32 * 32> luma_32x32);

/// The luma (BT.601) that perceptual_hash() wants, from a 32 x 32 picture.
std::uint64_t perceptual_hash(const RgbImage& rgb_32x32);

/// How many bits two perceptual hashes differ in: 0..64.
int hash_distance(std::uint64_t a, std::uint64_t b);

}  // namespace similis
