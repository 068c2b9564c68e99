#include "app/model_store.h"

#include "inference/openvino.h"

namespace similis {
namespace {

std::filesystem::path compiled_folder(const Settings& settings) {
  return settings.data_dir / "compiled";
}

OpenVinoOptions openvino_options(const Settings& settings, std::size_t threads) {
  OpenVinoOptions out;
  out.threads = threads;
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

ModelStore::ModelStore(const Settings& settings)
    : settings_(settings), registry_(default_model_roots(settings.data_dir)) {}

Result<std::shared_ptr<Embedder>> ModelStore::open(const ModelFolder& folder) {
  if (const auto it = loaded_.find(folder.identity); it != loaded_.end()) return it->second;
  ASSIGN_OR_RETURN(std::shared_ptr<Embedder> embedder,
                   open_openvino(folder, openvino_options(settings_, threads_)));
  loaded_.emplace(folder.identity, embedder);
  return embedder;
}

Result<std::shared_ptr<Embedder>> ModelStore::load(std::string_view name) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const ModelFolder folder,
                   registry_.load(name.empty() ? settings_.model.name : name));
  return open(folder);
}

Result<std::shared_ptr<Embedder>> ModelStore::load_identity(std::string_view identity,
                                                            std::string_view name) {
  const std::lock_guard lock(mutex_);
  // Checking a model's hash reads all of it: not for each search.
  if (const auto it = loaded_.find(identity); it != loaded_.end()) return it->second;
  ASSIGN_OR_RETURN(const ModelFolder folder, registry_.load_identity(identity, name));
  return open(folder);
}

Result<std::vector<ModelProvider::Listed>> ModelStore::list() {
  const std::lock_guard lock(mutex_);
  std::vector<Listed> out;
  bool default_seen = false;
  for (const ModelRegistry::Entry& entry : registry_.list()) {
    Listed listed;
    listed.name = entry.name;
    listed.version = entry.version;
    listed.bytes = entry.bytes;
    listed.folder = entry.folder.native();
    listed.identity = entry.identity;
    listed.problem = entry.problem;
    listed.loaded = loaded_.contains(entry.identity);
    // The newest version of a name comes first and is the one the name means.
    const bool named = settings_.model.name == entry.name ||
                       settings_.model.name == entry.name + "@" + entry.version;
    listed.is_default = named && !default_seen;
    default_seen = default_seen || named;
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

std::int64_t ModelStore::default_model_bytes() const {
  for (const ModelRegistry::Entry& entry : registry_.list())
    if (settings_.model.name == entry.name ||
        settings_.model.name == entry.name + "@" + entry.version)
      return entry.bytes;
  return 0;
}

std::int64_t ModelStore::bytes_in_data_directory() const {
  return bytes_below(settings_.data_dir / "models") + bytes_below(compiled_folder(settings_));
}

Result<ModelInfo> install_model(const Settings& settings, const std::filesystem::path& folder) {
  const ModelTrial trial = [](const ModelFolder& model) {
    return try_model(model, OpenVinoOptions{});
  };
  ASSIGN_OR_RETURN(const ModelFolder installed,
                   add_model(folder, settings.data_dir / "models", trial));
  return installed.info();
}

}  // namespace similis
