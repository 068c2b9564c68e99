#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/context.h"
#include "core/image.h"
#include "vision/preprocess.h"

namespace similis {

/// One picture as a model takes it: 8-bit RGB, row after row without gaps, already brought to the
/// model's input size by the rule that ModelInfo names (the decode worker does that). A view: the
/// pixels must outlive the call.
struct PictureTensor {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::span<const std::uint8_t> rgb;  // height * width * 3 bytes
};

/// What a model says of one picture.
struct Embedding {
  /// ModelInfo::dimensions values, L2 norm 1 (all zeros only where the model itself answered
  /// zeros).
  std::vector<float> vector;
  /// Most probable first, at most ModelInfo::top_classes_max; empty when the model has no class
  /// head.
  std::vector<ClassScore> classes;
};

/// One Embedding per picture, in the order asked.
using EmbedBatch = std::vector<Embedding>;

/// From which score on which word holds: {"strong", 0.70}. Ordered from the highest.
struct ScoreBand {
  std::string word;
  float min_score = 0;
};

/// What was measured about a model's cosine: it differs from model to model, so it belongs to the
/// card.
struct Calibration {
  float cut_off = 0;             // the default cut-off
  float bar_from = 0;            // scores are drawn from here to 1
  std::vector<ScoreBand> bands;  // below the last one a hit is "weak"
};

/// What is fixed about a loaded model. Does not change while the embedder lives.
struct ModelInfo {
  std::string name;
  std::string version;
  /// SHA-256 (hex) over everything that decides an embedding: model file, preprocessing, pooling,
  /// PCA. Vectors of two identities never mix.
  std::string identity;
  std::string model_sha256;
  std::uint32_t dimensions = 0;
  Preprocess preprocess;  // how a picture becomes a PictureTensor, with the input's size
  std::uint32_t top_classes_max = 0;
  std::vector<std::string>
      labels;  // labels[class_id]; empty when the model has no class head or no labels file
  Calibration calibration;
  std::string licence;
  std::string source;
  std::string backend;    // "openvino"
  std::string precision;  // "f32" or "bf16": recorded, not part of the identity
};

/// The port to whatever runs a model. Implementations are safe to call from several threads at
/// once; they join concurrent small calls into batches themselves, so callers hand over what they
/// have.
class Embedder {
 public:
  virtual ~Embedder() = default;

  /// Embeds the pictures; an empty span gives an empty batch. All or nothing.
  /// Errors: invalid_argument when a tensor has not preprocess's size; cancelled,
  /// deadline_exceeded from `ctx`; unavailable when a remote back end is away; internal when the
  /// model's answer is unusable (not finite, wrong shape).
  virtual Result<EmbedBatch> embed(const Context& ctx, std::span<const PictureTensor> pictures) = 0;

  [[nodiscard]] virtual const ModelInfo& info() const = 0;
  /// How many pictures in one call make the best throughput: what a bulk caller should gather.
  [[nodiscard]] virtual std::size_t preferred_batch() const = 0;
};

}  // namespace similis
