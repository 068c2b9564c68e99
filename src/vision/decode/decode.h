#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/result.h"
#include "vision/picture.h"

namespace similis {

/// Prepares libvips for this process: every loader outside the promised formats blocked, no
/// operation cache, `threads` threads a picture. Call once, before decode(), and keep hostile bytes
/// away from processes that must not crash: this belongs into the decode worker (src/worker/).
Status init_decoder(int threads = 1);

/// Bytes to everything the request asks for, from one decode.
///
/// Upright by EXIF orientation; transparency over white; CMYK, 16 bits, gray, palette and ICC
/// profiles to 8-bit sRGB; of an animation or many pages, the first. The pixel limit is checked on
/// the header, before pixels are decoded. The picture is reduced while it is loaded, by the power
/// of two that leaves each side at least twice what the largest tensor needs and the long side at
/// least a thumbnail's, whether or not a thumbnail is asked for: the same file gives the same
/// tensor in every request.
///
/// Errors: unsupported_media (not a picture, or a format that is not read), too_large (over a
/// limit; the hint names its key), unreadable_media (truncated, damaged), invalid_argument (a
/// request out of range), internal.
Result<DecodedPicture> decode(std::span<const std::byte> bytes, std::string_view file_name,
                              const DecodeRequest& request, const DecodeLimits& limits = {});

}  // namespace similis
