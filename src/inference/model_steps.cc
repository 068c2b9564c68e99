#include "inference/model_steps.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace similis {
namespace {

struct Steps {
  bool grayscale = false;
  bool denoise = false;
  std::optional<int> jpeg_quality;
};

Error not_a_step(std::string_view step) {
  return {ErrorCode::invalid_argument,
          "\"" + std::string(step) + "\" is not a step of preprocessing",
          "Steps are grayscale, denoise and jpegQ with a quality from 1 to 100, each once: "
          "efficientnet-lite0+grayscale+jpeg75."};
}

Result<Steps> parse_steps(std::string_view text) {
  Steps steps;
  while (!text.empty()) {
    text.remove_prefix(1);  // '+'
    const std::string_view step = text.substr(0, text.find('+'));
    text.remove_prefix(step.size());
    if (step == "grayscale" && !steps.grayscale) {
      steps.grayscale = true;
    } else if (step == "denoise" && !steps.denoise) {
      steps.denoise = true;
    } else if (step.starts_with("jpeg") && !steps.jpeg_quality) {
      const std::string_view digits = step.substr(4);
      int quality = 0;
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), quality);
      if (error != std::errc() || end != digits.data() + digits.size() || quality < 1 ||
          quality > 100) {
        return not_a_step(step);
      }
      steps.jpeg_quality = quality;
    } else {
      return not_a_step(step);
    }
  }
  return steps;
}

class PreparedOtherwise : public Embedder {
 public:
  PreparedOtherwise(const ModelFolder& folder, std::shared_ptr<Embedder> base)
      : base_(std::move(base)), info_(base_->info()) {
    info_.name = folder.card.name;
    info_.identity = folder.identity;
    info_.preprocess = folder.card.preprocess;
  }
  Result<EmbedBatch> embed(const Context& ctx, std::span<const PictureTensor> pictures) override {
    return base_->embed(ctx, pictures);
  }
  [[nodiscard]] const ModelInfo& info() const override { return info_; }
  [[nodiscard]] std::size_t preferred_batch() const override { return base_->preferred_batch(); }

 private:
  const std::shared_ptr<Embedder> base_;
  ModelInfo info_;
};

}  // namespace

Result<ModelChoice> parse_model_choice(std::string_view text) {
  const std::size_t plus = std::min(text.find('+'), text.size());
  ASSIGN_OR_RETURN(const Steps steps, parse_steps(text.substr(plus)));
  ModelChoice choice{std::string(text.substr(0, plus)), {}};
  if (steps.grayscale) choice.steps += "+grayscale";
  if (steps.denoise) choice.steps += "+denoise";
  if (steps.jpeg_quality) choice.steps += "+jpeg" + std::to_string(*steps.jpeg_quality);
  return choice;
}

Result<ModelFolder> with_steps(ModelFolder folder, std::string_view text) {
  ASSIGN_OR_RETURN(const Steps steps, parse_steps(text));
  Preprocess& preprocess = folder.card.preprocess;
  preprocess.grayscale = preprocess.grayscale || steps.grayscale;
  preprocess.denoise = preprocess.denoise || steps.denoise;
  if (steps.jpeg_quality) preprocess.jpeg_quality = steps.jpeg_quality;
  folder.card.name += text;
  ASSIGN_OR_RETURN(folder.identity, model_identity(folder.card, folder.pca.digest));
  return folder;
}

std::shared_ptr<Embedder> with_preprocessing_of(const ModelFolder& folder,
                                                std::shared_ptr<Embedder> base) {
  return std::make_shared<PreparedOtherwise>(folder, std::move(base));
}

}  // namespace similis
