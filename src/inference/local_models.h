#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "inference/model_registry.h"
#include "inference/openvino.h"

namespace similis {

struct LocalModelsOptions {
  std::vector<std::filesystem::path> roots;  // see default_model_roots()
  std::string default_model;                 // model.name of the configuration
  OpenVinoOptions openvino;
};

/// The models of this machine, run in this process. What was opened stays open. Safe from several
/// threads; opening is done one at a time.
class LocalModels {
 public:
  explicit LocalModels(LocalModelsOptions options)
      : options_(std::move(options)), registry_(options_.roots) {}

  struct Listed {
    ModelRegistry::Entry entry;
    bool is_default = false;  // what load("") gives
    bool loaded = false;
  };

  /// "NAME", "NAME@VERSION", either with steps of preprocessing (model_steps.h), or "" for the
  /// default. Errors as parse_model_choice(), ModelRegistry::find() and open_openvino().
  Result<std::shared_ptr<Embedder>> load(std::string_view name);
  /// Errors likewise.
  Result<std::shared_ptr<Embedder>> load_identity(std::string_view identity, std::string_view name);
  std::vector<Listed> list();

 private:
  /// Both under the mutex.
  Result<std::shared_ptr<Embedder>> opened(const ModelRegistry::Entry& entry);
  Result<std::shared_ptr<Embedder>> opened(const ModelRegistry::Entry& entry,
                                           std::string_view steps);

  const LocalModelsOptions options_;
  const ModelRegistry registry_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Embedder>, std::less<>> open_;  // by identity
};

/// Runs the probe pictures through a model that is about to be installed, and gives the length of
/// its embeddings. invalid_argument when it does not open, or answers every picture alike.
Result<std::uint32_t> try_model(const ModelFolder& folder);

}  // namespace similis
