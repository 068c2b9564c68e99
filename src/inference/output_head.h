#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "inference/embedder.h"
#include "inference/model_card.h"

namespace similis {

/// Turns a model's raw answer for one picture into an Embedding: pooling, PCA, L2 norm, most
/// probable classes. The same for every back end.
class OutputHead {
 public:
  /// `vector_shape`: the shape, without the batch, of the tensor that the card's pooling reads;
  /// `class_shape`: of its logits or probabilities, empty without. invalid_argument when shapes,
  /// card, PCA and labels do not fit together.
  static Result<OutputHead> make(const ModelFolder& folder,
                                 std::span<const std::size_t> vector_shape,
                                 std::span<const std::size_t> class_shape);

  /// The tensor that is pooled, and the one with class scores ("" without), by the names the card
  /// gives them.
  static const std::string& vector_tensor(const ModelCard& card);
  static const std::string& class_tensor(const ModelCard& card);

  [[nodiscard]] std::uint32_t dimensions() const { return dimensions_; }
  [[nodiscard]] std::size_t vector_values() const { return vector_values_; }
  [[nodiscard]] std::size_t class_values() const { return class_values_; }

  /// The spans hold vector_values() and class_values() values. internal when a value is not finite.
  [[nodiscard]] Result<Embedding> finish(std::span<const float> vector,
                                         std::span<const float> classes) const;

 private:
  OutputHead() = default;

  std::string model_;  // for messages
  Pooling pooling_;
  bool tokens_ = false;
  bool softmax_ = false;
  Positions positions_;
  std::size_t vector_values_ = 0;
  std::size_t class_values_ = 0;
  std::uint32_t dimensions_ = 0;
  std::uint32_t top_classes_ = 0;
  Pca pca_;
  std::vector<std::string> labels_;
};

}  // namespace similis
