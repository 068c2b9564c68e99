#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "inference/embedder.h"
#include "inference/pca.h"
#include "inference/pooling.h"
#include "vision/preprocess.h"

namespace similis {

/// What `card.toml` says of a model: docs/models.md describes every key. A model is a folder with a
/// card, the model file, and what the card names beside it.
struct ModelCard {
  std::string name;     // [a-z0-9][a-z0-9._-]*
  std::string version;  // likewise
  std::string description;
  std::string licence;
  std::string source;  // where the owner publishes it

  // [model]
  std::string file = "model.onnx";  // .onnx, or OpenVINO's .xml
  std::string sha256;               // hex; "" only before `similis models add`
  std::string data_file;  // weights beside the file: ONNX external data, an .xml's .bin; "" when
                          // there are none
  std::string data_sha256;

  // [input]
  struct Input {
    std::string name;            // "": the model's only input
    bool channels_last = false;  // layout "nhwc" instead of "nchw"; feature maps are laid out alike
    bool bgr = false;            // channels "bgr" instead of "rgb"
    /// A channel value is (byte * scale - mean) / std, mean and std in RGB order.
    double scale = 1.0 / 255.0;
    std::array<double, 3> mean = {0, 0, 0};
    std::array<double, 3> std = {1, 1, 1};

    bool operator==(const Input&) const = default;
  } input;
  Preprocess preprocess;  // likewise of [input]

  // [output]: names of tensors, outputs of the graph or inner ones
  struct Output {
    std::string embedding;      // N x D, used as it is (pooling "none")
    std::string feature_map;    // N x C x H x W of a CNN
    std::string tokens;         // N x T x D of a transformer
    std::string logits;         // N x classes, before softmax
    std::string probabilities;  // N x classes, after it
    Pooling pooling;
    std::uint32_t dimensions = 0;  // of the final embedding; 0: not stated

    bool operator==(const Output&) const = default;
  } output;

  std::string labels_file;  // one class name a line; "" without
  std::string pca_file;     // see pca.h; "" without

  Calibration calibration;
};

/// Reads a card. invalid_argument names file, line and key; an unknown key is an error with the
/// nearest known one. `where` is the card's path, for messages.
Result<ModelCard> parse_model_card(std::string_view text, std::string_view where);

/// A folder whose files are there and match their hashes: what a back end loads.
struct ModelFolder {
  std::filesystem::path folder;
  ModelCard card;
  std::vector<std::string> labels;
  Pca pca;  // empty without one
  /// SHA-256 over the model's hash, input, preprocessing, pooling and PCA: see ModelInfo::identity.
  std::string identity;

  [[nodiscard]] std::filesystem::path model_path() const { return folder / card.file; }
  /// All that is known before a back end has opened the model.
  [[nodiscard]] ModelInfo info() const;
};

/// Reads `folder`/card.toml and checks the files that it names. not_found: no card, or a file that
/// it names is missing; invalid_argument: the card is wrong or states no hash (hint: `similis
/// models add`); corruption: a file does not match its hash.
Result<ModelFolder> load_model_folder(const std::filesystem::path& folder);

/// load_model_folder() for a card that may lack hashes: they are computed and put into the card; a
/// hash that is stated must match all the same.
Result<ModelFolder> load_new_model_folder(const std::filesystem::path& folder);

/// `text` with the hashes (and, when known, the dimensions) of `card` written into its tables; all
/// else stays as it is.
Result<std::string> completed_card_text(std::string_view text, const ModelCard& card);

/// The identity of a card whose hashes are known; `pca_digest` is Pca::digest of its PCA, ""
/// without.
Result<std::string> model_identity(const ModelCard& card, std::string_view pca_digest);

}  // namespace similis
