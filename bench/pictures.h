#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace similis::bench {

/// JPEG bytes of a made picture that compresses like a photograph: smooth structure at several
/// scales, a little noise. `seed` chooses it; no two seeds look alike.
Result<std::vector<std::byte>> make_jpeg(int width_px, int height_px, std::uint32_t seed);

/// `count` of them as files in `folder`.
Status write_jpegs(const std::filesystem::path& folder, int count, int width_px, int height_px);

}  // namespace similis::bench
