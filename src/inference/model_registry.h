#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "inference/model_card.h"

namespace similis {

/// Where models are looked for, in this order: the data directory's models/, SIMILIS_MODELS_DIR,
/// SIMILIS_SHARE_DIR/models, else
/// ../share/similis/models beside the running program (docs/decisions/places.md).
std::vector<std::filesystem::path> default_model_roots(const std::filesystem::path& data_dir);

/// The models on this machine: folders ROOT/NAME/VERSION with a card. Reads the folders anew at
/// each call, so that a model put there is found at once.
class ModelRegistry {
 public:
  explicit ModelRegistry(std::vector<std::filesystem::path> roots) : roots_(std::move(roots)) {}

  struct Entry {
    std::string name;     // of the folder
    std::string version;  // likewise
    std::filesystem::path folder;
    std::int64_t bytes = 0;         // of the model's files
    std::optional<ModelCard> card;  // absent when it cannot be read
    std::string identity;           // "" likewise
    std::string
        problem;  // why it cannot be used; "" when it can, as far as seen without hashing the model
  };

  /// By name, newest version first. Of a name and version in several roots the first root's counts.
  [[nodiscard]] std::vector<Entry> list() const;

  /// The model "NAME" (its newest version) or "NAME@VERSION", as its card describes it. not_found
  /// names the nearest model. load_model_folder() of its folder checks it and says what its problem
  /// is.
  [[nodiscard]] Result<Entry> find(std::string_view name) const;

  /// The model of this identity. `name` is what the index calls it: not_found says whether it is
  /// absent or has changed.
  [[nodiscard]] Result<Entry> find_identity(std::string_view identity, std::string_view name) const;

 private:
  std::vector<std::filesystem::path> roots_;
};

/// Opens a model to see that it works and gives the length of its embeddings: see try_model().
using ModelTrial = std::function<Result<std::uint32_t>(const ModelFolder&)>;

/// Installs the folder `source` as `root`/NAME/VERSION: computes what the card leaves open, tries
/// the model, copies what the card names; whole or not at all. A folder that is there already in
/// its place only has its card completed. already_exists when another model has this name and
/// version; otherwise as load_new_model_folder() and `trial`.
Result<ModelFolder> add_model(const std::filesystem::path& source,
                              const std::filesystem::path& root, const ModelTrial& trial);

/// Negative, zero, positive as version `a` is before, equal to, after `b`: numbers between dots
/// compare as numbers.
int compare_versions(std::string_view a, std::string_view b);

}  // namespace similis
