#include "inference/output_head.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace similis {
namespace {

std::size_t product(std::span<const std::size_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

std::string shape_text(std::span<const std::size_t> shape) {
  std::string out = "N";
  for (const std::size_t side : shape) out += " x " + std::to_string(side);
  return out;
}

/// How many sides are not 1: a vector that a convolution gives as D x 1 x 1 is a vector.
std::size_t true_rank(std::span<const std::size_t> shape) {
  return static_cast<std::size_t>(
      std::count_if(shape.begin(), shape.end(), [](std::size_t side) { return side > 1; }));
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

const std::string& OutputHead::vector_tensor(const ModelCard& card) {
  if (card.output.pooling.kind == Pooling::Kind::none) return card.output.embedding;
  return card.output.tokens.empty() ? card.output.feature_map : card.output.tokens;
}

const std::string& OutputHead::class_tensor(const ModelCard& card) {
  return card.output.logits.empty() ? card.output.probabilities : card.output.logits;
}

Result<OutputHead> OutputHead::make(const ModelFolder& folder,
                                    std::span<const std::size_t> vector_shape,
                                    std::span<const std::size_t> class_shape) {
  const ModelCard& card = folder.card;
  const auto wrong = [&](const std::string& why) {
    return Error(ErrorCode::invalid_argument, (folder.folder / "card.toml").string() + ": " + why);
  };
  OutputHead head;
  head.model_ = card.name + "@" + card.version;
  head.pooling_ = card.output.pooling;
  head.tokens_ = !card.output.tokens.empty();
  head.softmax_ = !card.output.logits.empty();
  head.vector_values_ = product(vector_shape);
  head.class_values_ = class_shape.empty() ? 0 : product(class_shape);

  std::size_t length = 0;
  const std::string found = "`" + vector_tensor(card) + "` is " + shape_text(vector_shape);
  if (head.pooling_.kind == Pooling::Kind::none) {
    if (true_rank(vector_shape) > 1) {
      return wrong("output.embedding " + found +
                   ", not one vector a picture; name it output.feature_map or output.tokens");
    }
    length = head.vector_values_;
  } else if (head.tokens_) {
    if (vector_shape.size() != 2)
      return wrong("output.tokens " + found + ", expected N x tokens x dimensions");
    if (head.pooling_.kind != Pooling::Kind::cls &&
        head.pooling_.prefix_tokens >= vector_shape[0]) {
      return wrong("output.tokens " + found + ": output.prefix_tokens leaves none to pool");
    }
    head.positions_ = Positions::channels_last(vector_shape[0], vector_shape[1]);
    length = vector_shape[1];
  } else {
    if (vector_shape.size() != 3)
      return wrong("output.feature_map " + found + ", expected three sides after N");
    head.positions_ =
        card.input.channels_last
            ? Positions::channels_last(vector_shape[0] * vector_shape[1], vector_shape[2])
            : Positions::channels_first(vector_shape[0], vector_shape[1] * vector_shape[2]);
    length = head.positions_.channels;
  }
  if (length == 0) return wrong("output " + found + ": it is empty");

  head.pca_ = folder.pca;
  if (!head.pca_.empty()) {
    if (head.pca_.dimensions_in != length) {
      return wrong("output.pca takes " + std::to_string(head.pca_.dimensions_in) +
                   " dimensions, the model gives " + std::to_string(length));
    }
    length = head.pca_.dimensions_out;
  }
  head.dimensions_ = static_cast<std::uint32_t>(length);
  if (card.output.dimensions != 0 && card.output.dimensions != length) {
    return wrong("output.dimensions says " + std::to_string(card.output.dimensions) +
                 ", the model gives " + std::to_string(length));
  }

  if (!class_shape.empty() && true_rank(class_shape) > 1) {
    return wrong("`" + class_tensor(card) + "` is " + shape_text(class_shape) +
                 ", not one score a class");
  }
  if (!folder.labels.empty() && folder.labels.size() != head.class_values_) {
    return wrong("output.labels has " + std::to_string(folder.labels.size()) +
                 " lines, the model has " + std::to_string(head.class_values_) + " classes");
  }
  head.labels_ = folder.labels;
  head.top_classes_ = folder.info().top_classes_max;
  return head;
}

Result<Embedding> OutputHead::finish(std::span<const float> vector,
                                     std::span<const float> classes) const {
  if (vector.size() != vector_values_ || classes.size() != class_values_) {
    return Error(ErrorCode::internal,
                 "model " + model_ + " gave an answer of another size than it announced");
  }
  if (!all_finite(vector) || !all_finite(classes)) {
    return Error(ErrorCode::internal, "model " + model_ + " gave a value that is not finite",
                 "Try `model.precision = \"f32\"`; if it persists the model file is defective.");
  }
  Embedding out;
  if (pooling_.kind == Pooling::Kind::none) {
    out.vector.assign(vector.begin(), vector.end());
  } else {
    out.vector.resize(positions_.channels);
    pool(pooling_, tokens_, vector, positions_, out.vector);
  }
  l2_normalise(out.vector);
  if (!pca_.empty()) {
    out.vector = pca_.apply(out.vector);
    l2_normalise(out.vector);
  }
  if (!classes.empty()) {
    std::vector<float> probabilities(classes.begin(), classes.end());
    if (softmax_) softmax(probabilities);
    for (const auto& [id, probability] : top_values(probabilities, top_classes_)) {
      out.classes.push_back({static_cast<std::int32_t>(id),
                             id < labels_.size() ? labels_[id] : "class " + std::to_string(id),
                             probability});
    }
  }
  return out;
}

}  // namespace similis
