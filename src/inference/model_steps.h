#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "inference/embedder.h"
#include "inference/model_card.h"

namespace similis {

/// A model's name with steps of preprocessing that its card does not have, so that a collection can
/// choose them: "NAME[@VERSION]" followed by "+grayscale", "+denoise" or "+jpegQ" (Q: 1..100), each
/// at most once.
struct ModelChoice {
  std::string name;   // "NAME" or "NAME@VERSION"
  std::string steps;  // "+denoise+jpeg75", always in the same order; "" for the card's own
};

/// invalid_argument names the step that is not one.
Result<ModelChoice> parse_model_choice(std::string_view text);

/// The card as these steps change it: its identity differs from that of the card without them.
/// `steps` comes from parse_model_choice().
Result<ModelFolder> with_steps(ModelFolder folder, std::string_view steps);

/// `base`, its pictures prepared as `folder`'s card says. Both come from the same model file.
std::shared_ptr<Embedder> with_preprocessing_of(const ModelFolder& folder,
                                                std::shared_ptr<Embedder> base);

}  // namespace similis
