#include "inference/local_models.h"

#include <algorithm>

#include "inference/model_steps.h"
#include "inference/pooling.h"
#include "inference/probes.h"

namespace similis {

Result<std::shared_ptr<Embedder>> LocalModels::opened(const ModelRegistry::Entry& entry) {
  if (const auto found = open_.find(entry.identity); found != open_.end()) return found->second;
  ASSIGN_OR_RETURN(const ModelFolder folder, load_model_folder(entry.folder));
  ASSIGN_OR_RETURN(std::shared_ptr<Embedder> embedder, open_openvino(folder, options_.openvino));
  open_.emplace(folder.identity, embedder);
  return embedder;
}

Result<std::shared_ptr<Embedder>> LocalModels::opened(const ModelRegistry::Entry& entry,
                                                      std::string_view steps) {
  ASSIGN_OR_RETURN(std::shared_ptr<Embedder> embedder, opened(entry));
  if (steps.empty()) return embedder;
  ASSIGN_OR_RETURN(ModelFolder folder, load_model_folder(entry.folder));
  ASSIGN_OR_RETURN(folder, with_steps(std::move(folder), steps));
  return open_.try_emplace(folder.identity, with_preprocessing_of(folder, std::move(embedder)))
      .first->second;
}

Result<std::shared_ptr<Embedder>> LocalModels::load(std::string_view name) {
  ASSIGN_OR_RETURN(const ModelChoice choice,
                   parse_model_choice(name.empty() ? options_.default_model : name));
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const ModelRegistry::Entry entry, registry_.find(choice.name));
  return opened(entry, choice.steps);
}

Result<std::shared_ptr<Embedder>> LocalModels::load_identity(std::string_view identity,
                                                             std::string_view name) {
  std::lock_guard lock(mutex_);
  // Asked for with every query: what is open needs no look at the disk.
  if (const auto found = open_.find(identity); found != open_.end()) return found->second;
  ASSIGN_OR_RETURN(const ModelChoice choice, parse_model_choice(name));
  if (choice.steps.empty()) {
    ASSIGN_OR_RETURN(const ModelRegistry::Entry entry, registry_.find_identity(identity, name));
    return opened(entry);
  }
  for (const ModelRegistry::Entry& entry : registry_.list()) {
    if (entry.name != choice.name || !entry.problem.empty()) continue;
    ASSIGN_OR_RETURN(auto embedder, opened(entry, choice.steps));
    if (embedder->info().identity == identity) return embedder;
  }
  // Says whether the model is missing or has changed.
  ASSIGN_OR_RETURN(const ModelRegistry::Entry entry,
                   registry_.find_identity(identity, choice.name));
  return opened(entry);
}

std::vector<LocalModels::Listed> LocalModels::list() {
  std::vector<Listed> out;
  std::lock_guard lock(mutex_);
  bool default_found = false;
  for (ModelRegistry::Entry& entry : registry_.list()) {
    Listed listed;
    const std::string& wanted = options_.default_model;
    // Newest first: the first of the name is the one.
    listed.is_default =
        !default_found && (wanted == entry.name || wanted == entry.name + "@" + entry.version);
    default_found = default_found || listed.is_default;
    listed.loaded = open_.contains(entry.identity);
    listed.entry = std::move(entry);
    out.push_back(std::move(listed));
  }
  return out;
}

Result<std::uint32_t> try_model(const ModelFolder& folder) {
  OpenVinoOptions options;
  options.precision = Precision::f32;
  ASSIGN_OR_RETURN(const std::unique_ptr<Embedder> embedder, open_openvino(folder, options));
  ASSIGN_OR_RETURN(const auto vectors, embed_probes(Context{}, *embedder));
  double smallest = 1;
  for (const auto& a : vectors) {
    for (const auto& b : vectors) smallest = std::min(smallest, cosine(a, b));
  }
  constexpr double kAlike = 0.9999;
  if (smallest > kAlike) {
    return Error(
        ErrorCode::invalid_argument,
        "model " + folder.card.name +
            " answers every picture alike, so nothing can be found with it",
        "See input.scale, input.mean, input.std and the tensor named under [output] in its card.");
  }
  return embedder->info().dimensions;
}

}  // namespace similis
