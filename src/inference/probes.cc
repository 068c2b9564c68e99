#include "inference/probes.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "inference/pooling.h"

namespace similis {
namespace {

/// SplitMix64 (Steele, Lea, Flood 2014) of a position: noise without a state.
std::uint64_t noise(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

using Colour = std::uint32_t;  // 0xRRGGBB

constexpr Colour colour(std::uint32_t r, std::uint32_t g, std::uint32_t b) {
  return r << 16 | g << 8 | b;
}

/// Probe `which` at (x, y) of a 1024 x 1024 grid laid over the picture.
Colour probe_colour(std::size_t which, std::uint32_t x, std::uint32_t y) {
  const std::uint32_t dx = x > 512 ? x - 512 : 512 - x, dy = y > 512 ? y - 512 : 512 - y;
  switch (which) {
    case 0:  // a sky over sand
      return y < 600 ? colour(90 + y / 8, 140 + y / 8, 235)
                     : colour(214 - (y - 600) / 8, 186 - (y - 600) / 8, 130);
    case 1:  // diagonal stripes
      return ((x + y) / 64) % 2 == 0 ? colour(230, 40, 40) : colour(245, 240, 230);
    case 2: {  // discs of growing size on a dark ground
      const std::uint32_t cx = x % 256, cy = y % 256, radius = 24 + 20 * (x / 256 + y / 256);
      const std::uint32_t ax = cx > 128 ? cx - 128 : 128 - cx, ay = cy > 128 ? cy - 128 : 128 - cy;
      return ax * ax + ay * ay < radius * radius ? colour(60 + x / 8, 200 - y / 16, 90)
                                                 : colour(24, 26, 40);
    }
    case 3:  // a bright ball with a soft edge
      return dx * dx + dy * dy < 160000
                 ? colour(255 - (dx * dx + dy * dy) / 1000, 190 - (dx + dy) / 8, 40 + dx / 8)
                 : colour(30, 70 + y / 12, 40);
    case 4: {  // a wall of bricks
      const std::uint32_t row = y / 96, shift = row % 2 * 80;
      const bool joint = y % 96 < 12 || (x + shift) % 160 < 12;
      const auto shade = static_cast<std::uint32_t>(noise((x + shift) / 160 + 64 * row) % 48);
      return joint ? colour(190, 184, 172) : colour(140 + shade, 62 + shade / 2, 48);
    }
    default: {  // noise in blocks, as a leaf-like texture
      const std::uint64_t n = noise((x / 16) + 1024ULL * (y / 16));
      return colour(20 + n % 64, 80 + (n >> 8) % 128, 20 + (n >> 16) % 64);
    }
  }
}

}  // namespace

std::vector<ProbePicture> probe_pictures(std::uint32_t width, std::uint32_t height) {
  std::vector<ProbePicture> pictures(kProbeCount);
  for (std::size_t which = 0; which < kProbeCount; ++which) {
    ProbePicture& picture = pictures[which];
    picture.width = width;
    picture.height = height;
    picture.rgb.reserve(std::size_t{3} * width * height);
    for (std::uint32_t y = 0; y < height; ++y) {
      for (std::uint32_t x = 0; x < width; ++x) {
        const Colour c = probe_colour(which, x * 1024 / width, y * 1024 / height);
        picture.rgb.push_back(static_cast<std::uint8_t>(c >> 16));
        picture.rgb.push_back(static_cast<std::uint8_t>(c >> 8));
        picture.rgb.push_back(static_cast<std::uint8_t>(c));
      }
    }
  }
  return pictures;
}

Result<std::vector<std::vector<float>>> embed_probes(const Context& ctx, Embedder& embedder) {
  const Preprocess& input = embedder.info().preprocess;
  const std::vector<ProbePicture> pictures = probe_pictures(
      static_cast<std::uint32_t>(input.width_px), static_cast<std::uint32_t>(input.height_px));
  std::vector<PictureTensor> tensors;
  for (const ProbePicture& picture : pictures) tensors.push_back(picture.tensor());
  ASSIGN_OR_RETURN(EmbedBatch batch, embedder.embed(ctx, tensors));
  std::vector<std::vector<float>> vectors;
  for (Embedding& embedding : batch) vectors.push_back(std::move(embedding.vector));
  return vectors;
}

Result<double> probe_cosine(const Context& ctx, Embedder& embedder,
                            std::span<const std::vector<float>> stored) {
  ASSIGN_OR_RETURN(const auto own, embed_probes(ctx, embedder));
  if (stored.size() != own.size()) {
    return Error(ErrorCode::invalid_argument, std::to_string(stored.size()) +
                                                  " probe embeddings, expected " +
                                                  std::to_string(own.size()));
  }
  double smallest = 1;
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (stored[i].size() != own[i].size()) {
      return Error(ErrorCode::invalid_argument,
                   "probe embeddings of " + std::to_string(stored[i].size()) +
                       " dimensions, the model gives " + std::to_string(own[i].size()));
    }
    smallest = std::min(smallest, cosine(own[i], stored[i]));
  }
  return smallest;
}

Status check_probes(const Context& ctx, Embedder& embedder,
                    std::span<const std::vector<float>> stored) {
  ASSIGN_OR_RETURN(const double smallest, probe_cosine(ctx, embedder, stored));
  if (smallest >= kProbeCosineMin) return {};
  char figure[32];
  std::snprintf(figure, sizeof figure, "%.5f", smallest);
  return Error(ErrorCode::conflict,
               "model " + embedder.info().name + " on " + embedder.info().backend + " (" +
                   embedder.info().precision +
                   ") gives other embeddings than the index was built with: cosine " + figure +
                   " on a probe picture",
               "Use the precision and back end that built the index, or build a new index.");
}

}  // namespace similis
