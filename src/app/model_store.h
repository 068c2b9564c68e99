#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "config/settings.h"
#include "inference/local_models.h"
#include "services/model_provider.h"

namespace similis {

/// The models of this machine as the services see them.
class ModelStore final : public ModelProvider {
 public:
  /// `threads` for inference in all.
  ModelStore(const Settings& settings, std::size_t threads);

  Result<std::shared_ptr<Embedder>> load(std::string_view name) override {
    return models_.load(name);
  }
  Result<std::shared_ptr<Embedder>> load_identity(std::string_view identity,
                                                  std::string_view name) override {
    return models_.load_identity(identity, name);
  }
  Result<std::vector<Listed>> list() override;
  Result<std::vector<std::string>> verify() override;

 private:
  LocalModels models_;
};

/// Size of the default model's files; 0 when it is not installed.
std::int64_t default_model_bytes(const Settings& settings);
/// What the data directory holds of models and their compiled forms.
std::int64_t model_bytes_on_disk(const Settings& settings);
/// Checks the model in `folder`, completes its card and copies it into the data directory.
Result<ModelInfo> install_model(const Settings& settings, const std::filesystem::path& folder);

}  // namespace similis
