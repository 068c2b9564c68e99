#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "config/settings.h"
#include "inference/model_registry.h"
#include "services/model_provider.h"

namespace similis {

/// The models of this machine, run by OpenVINO in this process. A model is loaded when it is first
/// asked for and stays.
class ModelStore final : public ModelProvider {
 public:
  explicit ModelStore(const Settings& settings);

  Result<std::shared_ptr<Embedder>> load(std::string_view name) override;
  Result<std::shared_ptr<Embedder>> load_identity(std::string_view identity,
                                                  std::string_view name) override;
  Result<std::vector<Listed>> list() override;

  /// Threads for inference; before the first load.
  void set_threads(std::size_t threads) { threads_ = threads; }
  /// Size of the default model's file; 0 when it is not installed.
  [[nodiscard]] std::int64_t default_model_bytes() const;
  /// What the data directory holds of models and their compiled forms.
  [[nodiscard]] std::int64_t bytes_in_data_directory() const;

 private:
  Result<std::shared_ptr<Embedder>> open(const ModelFolder& folder);

  const Settings settings_;
  const ModelRegistry registry_;
  std::size_t threads_ = 0;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Embedder>, std::less<>> loaded_;  // by identity
};

/// Checks the model in `folder`, completes its card and copies it into the data directory.
Result<ModelInfo> install_model(const Settings& settings, const std::filesystem::path& folder);

}  // namespace similis
