#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "core/context.h"
#include "inference/embedder.h"

namespace similis {

/// A picture made by a formula, the same on every machine.
struct ProbePicture {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::vector<std::uint8_t> rgb;  // height * width * 3

  [[nodiscard]] PictureTensor tensor() const { return {width, height, rgb}; }
};

/// Pictures by which two back ends, or two precisions, are compared: gradients, stripes, discs,
/// textures and noise, so that all layers of a model have something to answer. An index keeps its
/// model's embeddings of them. Integer arithmetic only. Changing one makes every stored probe
/// embedding worthless: `kProbeSet` then counts up.
std::vector<ProbePicture> probe_pictures(std::uint32_t width, std::uint32_t height);

inline constexpr std::uint32_t kProbeSet = 1;
inline constexpr std::size_t kProbeCount = 6;
/// From this cosine on, on every probe, an embedder may serve an index.
inline constexpr double kProbeCosineMin = 0.999;

/// The embedder's own answers, in the probes' order.
Result<std::vector<std::vector<float>>> embed_probes(const Context& ctx, Embedder& embedder);

/// The smallest cosine between the probes' stored embeddings and those of `embedder`.
/// invalid_argument when number or length differ.
Result<double> probe_cosine(const Context& ctx, Embedder& embedder,
                            std::span<const std::vector<float>> stored);

/// Success when probe_cosine() reaches kProbeCosineMin, else conflict with the figure.
Status check_probes(const Context& ctx, Embedder& embedder,
                    std::span<const std::vector<float>> stored);

}  // namespace similis
