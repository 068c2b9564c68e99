#include "app/model_store.h"

#include "inference/model_card.h"
#include "inference/model_registry.h"
#include "inference/openvino.h"

namespace similis {
namespace {

std::filesystem::path compiled_folder(const Settings& settings) {
  return settings.data_dir / "compiled";
}

OpenVinoOptions openvino_options(const Settings& settings, std::size_t threads) {
  OpenVinoOptions out;
  out.threads = threads;
  out.batch = static_cast<std::size_t>(settings.model.batch);
  out.precision = settings.model.precision == "f32"    ? Precision::f32
                  : settings.model.precision == "bf16" ? Precision::bf16
                                                       : Precision::automatic;
  out.cache_dir = compiled_folder(settings);
  return out;
}

std::int64_t bytes_below(const std::filesystem::path& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
    std::error_code unreadable;
    const auto size = entry.is_regular_file(unreadable) ? entry.file_size(unreadable) : 0;
    if (!unreadable) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

}  // namespace

ModelStore::ModelStore(const Settings& settings, std::size_t threads)
    : models_({.roots = default_model_roots(settings.data_dir),
               .default_model = settings.model.name,
               .openvino = openvino_options(settings, threads)}) {}

Result<std::vector<ModelProvider::Listed>> ModelStore::list() {
  std::vector<Listed> out;
  for (const LocalModels::Listed& model : models_.list()) {
    const ModelRegistry::Entry& entry = model.entry;
    Listed listed;
    listed.name = entry.name;
    listed.version = entry.version;
    listed.bytes = entry.bytes;
    listed.folder = entry.folder.native();
    listed.identity = entry.identity;
    listed.problem = entry.problem;
    listed.loaded = model.loaded;
    listed.is_default = model.is_default;
    if (entry.card) {
      listed.licence = entry.card->licence;
      listed.source = entry.card->source;
      listed.dimensions = static_cast<std::int32_t>(entry.card->output.dimensions);
      listed.input_width = entry.card->preprocess.width_px;
      listed.input_height = entry.card->preprocess.height_px;
    }
    out.push_back(std::move(listed));
  }
  return out;
}

Result<std::vector<std::string>> ModelStore::verify() {
  std::vector<std::string> findings;
  for (const LocalModels::Listed& model : models_.list()) {
    const ModelRegistry::Entry& entry = model.entry;
    std::string problem = entry.problem;
    if (problem.empty()) {
      const auto folder = load_model_folder(entry.folder);
      if (!folder.ok()) problem = folder.error().message;
    }
    if (!problem.empty()) {
      findings.push_back("model " + entry.name + "@" + entry.version + ": " + problem);
    }
  }
  return findings;
}

std::int64_t default_model_bytes(const Settings& settings) {
  const std::string& name = settings.model.name;
  for (const ModelRegistry::Entry& entry :
       ModelRegistry(default_model_roots(settings.data_dir)).list())
    if (name == entry.name || name == entry.name + "@" + entry.version) return entry.bytes;
  return 0;
}

std::int64_t model_bytes_on_disk(const Settings& settings) {
  return bytes_below(settings.data_dir / "models") + bytes_below(compiled_folder(settings));
}

Result<ModelInfo> install_model(const Settings& settings, const std::filesystem::path& folder) {
  ASSIGN_OR_RETURN(const ModelFolder installed,
                   add_model(folder, settings.data_dir / "models", try_model));
  return installed.info();
}

}  // namespace similis
