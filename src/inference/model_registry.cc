#include "inference/model_registry.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/nearest.h"
#include "inference/pca.h"

namespace similis {
namespace {

constexpr std::uint64_t kCardBytesMax = 1 << 20;

std::filesystem::path from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::filesystem::path() : std::filesystem::path(value);
}

std::vector<std::filesystem::path> folders_in(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> out;
  std::error_code failed;  // a root that is not there, or may not be read, has no models
  for (auto at = std::filesystem::directory_iterator(path, failed);
       !failed && at != std::filesystem::directory_iterator(); at.increment(failed)) {
    std::error_code unknown;
    if (at->is_directory(unknown) && !at->path().filename().string().starts_with('.'))
      out.push_back(at->path());
  }
  return out;
}

std::int64_t file_bytes(const std::filesystem::path& path) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  return failed ? 0 : static_cast<std::int64_t>(size);
}

std::vector<std::string> files_of(const ModelCard& card) {
  std::vector<std::string> files = {card.file};
  for (const std::string& name : {card.data_file, card.labels_file, card.pca_file}) {
    if (!name.empty()) files.push_back(name);
  }
  return files;
}

Result<std::string> stated_identity(const ModelCard& card, const std::filesystem::path& folder) {
  std::string digest;
  if (!card.pca_file.empty()) {
    ASSIGN_OR_RETURN(const Pca pca, read_pca(folder / card.pca_file));
    digest = pca.digest;
  }
  return model_identity(card, digest);
}

/// Reads the card and looks whether its files are there.
Status look_into(ModelRegistry::Entry& entry) {
  const std::filesystem::path path = entry.folder / "card.toml";
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kCardBytesMax));
  ASSIGN_OR_RETURN(ModelCard card, parse_model_card(text, path.string()));
  if (card.name != entry.name || card.version != entry.version) {
    return Error(ErrorCode::invalid_argument, path.string() + " is the card of " + card.name + "@" +
                                                  card.version + ", its folder says " + entry.name +
                                                  "@" + entry.version);
  }
  if (card.sha256.empty() || (!card.data_file.empty() && card.data_sha256.empty())) {
    return Error(ErrorCode::invalid_argument, path.string() + " does not state the model's hash",
                 "`similis models add " + entry.folder.string() + "` computes it.");
  }
  for (const std::string& name : files_of(card)) {
    std::error_code failed;
    if (!std::filesystem::exists(entry.folder / name, failed)) {
      return Error(ErrorCode::not_found, (entry.folder / name).string() + " is missing");
    }
  }
  entry.bytes = file_bytes(entry.folder / card.file);
  if (!card.data_file.empty()) entry.bytes += file_bytes(entry.folder / card.data_file);
  ASSIGN_OR_RETURN(entry.identity, stated_identity(card, entry.folder));
  entry.card = std::move(card);
  return {};
}

Status copy_whole(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code failed;
  std::filesystem::copy_file(from, to, failed);
  if (failed) return errno_error(failed.value(), "copy " + from.string() + " to", to.string());
  ASSIGN_OR_RETURN(const File file, File::open(to, O_RDONLY));
  return sync_data(file.fd(), to.string());
}

/// Removes a half-made folder when the work on it did not succeed.
class Staging {
 public:
  static Result<Staging> make(const std::filesystem::path& root) {
    TRY(make_directories(root));
    std::string name = (root / ".add-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      return errno_error(errno, "make a folder in", root.string());
    return Staging(name);
  }
  Staging(Staging&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Staging& operator=(Staging&&) = delete;
  ~Staging() {
    std::error_code failed;
    if (!path_.empty()) std::filesystem::remove_all(path_, failed);
    if (failed) log(LogLevel::warning, "cannot remove " + path_.string() + ": " + failed.message());
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  Status move_to(const std::filesystem::path& target) {
    TRY(sync_directory(path_));
    TRY(make_directories(target.parent_path()));
    std::error_code failed;
    std::filesystem::rename(path_, target, failed);
    if (failed)
      return errno_error(failed.value(), "rename " + path_.string() + " to", target.string());
    path_.clear();
    return sync_directory(target.parent_path());
  }

 private:
  explicit Staging(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

std::pair<std::string_view, std::string_view> split_name(std::string_view name) {
  const std::size_t at = name.find('@');
  if (at == std::string_view::npos) return {name, {}};
  return {name.substr(0, at), name.substr(at + 1)};
}

}  // namespace

int compare_versions(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    const std::string_view x = a.substr(0, a.find('.')), y = b.substr(0, b.find('.'));
    a.remove_prefix(std::min(x.size() + 1, a.size()));
    b.remove_prefix(std::min(y.size() + 1, b.size()));
    std::uint64_t m = 0, n = 0;
    const auto [x_end, x_failed] = std::from_chars(x.data(), x.data() + x.size(), m);
    const auto [y_end, y_failed] = std::from_chars(y.data(), y.data() + y.size(), n);
    const bool numbers = x_failed == std::errc() && y_failed == std::errc() &&
                         x_end == x.data() + x.size() && y_end == y.data() + y.size();
    if (numbers && m != n) return m < n ? -1 : 1;
    if (!numbers && x != y) return x < y ? -1 : 1;
  }
  return 0;
}

std::vector<std::filesystem::path> default_model_roots(const std::filesystem::path& data_dir) {
  std::vector<std::filesystem::path> roots = {data_dir / "models"};
  if (const auto models = from_environment("SIMILIS_MODELS_DIR"); !models.empty())
    roots.push_back(models);
  if (const auto share = from_environment("SIMILIS_SHARE_DIR"); !share.empty()) {
    roots.push_back(share / "models");
  } else {
    std::error_code failed;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
    if (!failed)
      roots.push_back((program.parent_path() / "../share/similis/models").lexically_normal());
  }
  return roots;
}

std::vector<ModelRegistry::Entry> ModelRegistry::list() const {
  std::vector<Entry> entries;
  std::set<std::pair<std::string, std::string>> seen;
  for (const std::filesystem::path& root : roots_) {
    for (const auto& model : folders_in(root)) {
      for (const auto& folder : folders_in(model)) {
        Entry entry;
        entry.name = model.filename().string();
        entry.version = folder.filename().string();
        entry.folder = folder;
        if (!seen.emplace(entry.name, entry.version).second) continue;
        if (const Status status = look_into(entry); !status.ok()) {
          entry.problem = status.error().message +
                          (status.error().hint.empty() ? "" : ". " + status.error().hint);
        }
        entries.push_back(std::move(entry));
      }
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    if (a.name != b.name) return a.name < b.name;
    const int order = compare_versions(a.version, b.version);
    return order != 0 ? order > 0 : a.version < b.version;
  });
  return entries;
}

Result<ModelRegistry::Entry> ModelRegistry::find(std::string_view name) const {
  const auto [wanted, version] = split_name(name);
  std::vector<std::string> names, versions;
  for (const Entry& entry : list()) {
    names.push_back(entry.name);
    if (entry.name != wanted) continue;
    versions.push_back(entry.name + "@" + entry.version);
    if (version.empty() || entry.version == version) return entry;
  }
  if (!versions.empty()) {
    std::string there;
    for (const std::string& v : versions) there += (there.empty() ? "" : ", ") + v;
    return Error(ErrorCode::not_found, "there is no model " + std::string(name),
                 "There is " + there + ".");
  }
  std::string hint = did_you_mean(wanted, names);
  if (hint.empty()) {
    std::string places;
    for (const auto& root : roots_) places += (places.empty() ? "" : ", ") + root.string();
    hint = names.empty()
               ? "No models were found in " + places + "; `similis models add DIR` installs one."
               : "`similis models` lists those there are.";
  }
  return Error(ErrorCode::not_found, "there is no model called " + std::string(wanted), hint);
}

Result<ModelRegistry::Entry> ModelRegistry::find_identity(std::string_view identity,
                                                          std::string_view name) const {
  const Entry* same_name = nullptr;
  const std::vector<Entry> entries = list();
  for (const Entry& entry : entries) {
    if (entry.identity == identity) return entry;
    if (entry.name == split_name(name).first && same_name == nullptr) same_name = &entry;
  }
  if (same_name == nullptr) {
    return Error(ErrorCode::not_found,
                 "the model " + std::string(name) + ", which built this index, is not installed",
                 "`similis models add DIR` installs it.");
  }
  if (!same_name->problem.empty()) {
    return Error(ErrorCode::not_found,
                 "the model " + std::string(name) +
                     ", which built this index, cannot be used: " + same_name->problem);
  }
  return Error(ErrorCode::not_found,
               "the model in " + same_name->folder.string() +
                   " is not the one that built this index: its file, "
                   "preprocessing or pooling differs",
               "Put the former model back, or build a new index with this one.");
}

Result<ModelFolder> add_model(const std::filesystem::path& source,
                              const std::filesystem::path& root, const ModelTrial& trial) {
  ASSIGN_OR_RETURN(ModelFolder model, load_new_model_folder(source));
  ASSIGN_OR_RETURN(model.card.output.dimensions, trial(model));
  ASSIGN_OR_RETURN(const std::string before, read_text_file(source / "card.toml", kCardBytesMax));
  ASSIGN_OR_RETURN(const std::string text, completed_card_text(before, model.card));

  const std::filesystem::path target = root / model.card.name / model.card.version;
  std::error_code failed;
  if (std::filesystem::equivalent(source, target, failed)) {
    TRY(publish_file(target / "card.toml", std::as_bytes(std::span(text))));
    return load_model_folder(target);
  }
  if (std::filesystem::exists(target, failed)) {
    const Result<ModelFolder> there = load_model_folder(target);
    const std::string name = model.card.name + "@" + model.card.version;
    if (there.ok() && there->identity == model.identity) {
      return Error(ErrorCode::already_exists,
                   name + " is installed already, in " + target.string());
    }
    return Error(ErrorCode::already_exists,
                 "another model is installed as " + name + ", in " + target.string(),
                 "Give this one another version in its card, or remove that folder.");
  }
  ASSIGN_OR_RETURN(Staging staging, Staging::make(root));
  for (const std::string& name : files_of(model.card))
    TRY(copy_whole(source / name, staging.path() / name));
  TRY(publish_file(staging.path() / "card.toml", std::as_bytes(std::span(text))));
  TRY(staging.move_to(target));
  return load_model_folder(target);
}

}  // namespace similis
