#include "config/config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/file.h"
#include "base/nearest.h"
#include "config/keys.h"

namespace similis {
namespace {

constexpr std::uint64_t kFileBytesMax = 1 << 20;
/// Variables that are no keys: where files are, before there is a configuration; the kernels to
/// use; set-up and tests; how the user calls the program.
constexpr std::array<std::string_view, 8> kOtherVariables = {
    "SIMILIS_CONFIG",    "SIMILIS_SHARE_DIR",    "SIMILIS_MODELS_DIR", "SIMILIS_SIMD",
    "SIMILIS_CACHE_DIR", "SIMILIS_OPENVINO_DIR", "SIMILIS_SHARED_DIR", "SIMILIS_COMMAND"};

using Environment = std::map<std::string, std::string, std::less<>>;

std::string variable(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

/// A folder by the XDG base directory specification: the variable counts only when it is absolute.
std::filesystem::path xdg_folder(const Environment& environment, std::string_view name,
                                 std::string_view below_home) {
  const std::filesystem::path stated = variable(environment, name);
  if (stated.is_absolute()) return stated / "similis";
  const std::string home = variable(environment, "HOME");
  return home.empty() ? std::filesystem::path()
                      : std::filesystem::path(home) / below_home / "similis";
}

std::string joined_name(std::string_view prefix, std::string_view key) {
  return prefix.empty() ? std::string(key) : std::string(prefix) + "." + std::string(key);
}

/// The text that a key's setter takes, from a TOML value; nullopt when no text has this type.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  if (const auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
  return std::nullopt;
}

Result<std::vector<std::string>> text_items(const toml::array& array) {
  std::vector<std::string> items;
  for (const toml::node& node : array) {
    const auto item = node.value_exact<std::string>();
    if (!item) return Error(ErrorCode::invalid_argument, "must be a list of texts in quotes");
    items.push_back(*item);
  }
  return items;
}

struct FoundKey {
  const Key* key;
  const toml::node* node;
};

/// Walks tables down to keys, in the file's order as far as TOML tells it.
Status collect(const toml::table& table, const std::string& prefix, const std::string& where,
               std::vector<FoundKey>& out) {
  for (const auto& [name, node] : table) {
    const std::string full = joined_name(prefix, name.str());
    const std::string place = where + ":" + std::to_string(node.source().begin.line);
    const std::vector<std::string> names = key_names();
    const bool is_prefix = std::any_of(names.begin(), names.end(), [&](const std::string& key) {
      return key.starts_with(full + ".");
    });
    if (const Key* key = find_key(full); key != nullptr) {
      out.push_back({key, &node});
    } else if (is_prefix && node.is_table()) {
      TRY(collect(*node.as_table(), full, where, out));
    } else if (is_prefix) {
      return Error(ErrorCode::invalid_argument,
                   place + ": " + full + " must be a table, written [" + full + "]");
    } else {
      return Error(ErrorCode::invalid_argument, place + ": unknown key `" + full + "`",
                   did_you_mean(full, names));
    }
  }
  return {};
}

Error placed(Error error, const std::string& place, std::string_view key) {
  error.message = place + ": " + std::string(key) + " " + error.message;
  return error;
}

std::string wrapped(std::string_view text, std::string_view prefix, std::size_t columns) {
  std::string out, line(prefix);
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (line.size() > prefix.size() && line.size() + 1 + word.size() > columns) {
      out += line + "\n";
      line = prefix;
    }
    line += (line.size() > prefix.size() ? " " : "") + word;
  }
  return out + line + "\n";
}

}  // namespace

Environment process_environment() {
  Environment out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

Status Config::set(std::string_view key_name, std::string_view text, const std::string& source) {
  const Key* key = find_key(key_name);
  if (key == nullptr) {
    return Error(ErrorCode::invalid_argument,
                 source + ": unknown key `" + std::string(key_name) + "`",
                 did_you_mean(key_name, key_names()));
  }
  if (Status status = set_from_text(*key, settings_, text, home_); !status.ok()) {
    return placed(status.error(), source, key_name);
  }
  origins_[std::string(key_name)] = source;
  return {};
}

Status Config::read_file_into(const std::filesystem::path& path, bool in_data_dir) {
  const std::string where = path.string();
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kFileBytesMax));
  const toml::parse_result parsed = toml::parse(text, where);
  if (!parsed) {
    return Error(ErrorCode::invalid_argument,
                 where + ":" + std::to_string(parsed.error().source().begin.line) + ": " +
                     std::string(parsed.error().description()));
  }
  std::vector<FoundKey> found;
  TRY(collect(parsed.table(), "", where, found));
  for (const auto& [key, node] : found) {
    const std::string source = where + ":" + std::to_string(node->source().begin.line);
    if (in_data_dir && key->name == "data_dir") {
      return Error(
          ErrorCode::invalid_argument, source + ": data_dir cannot be set by a file inside it",
          "Set it in the user's configuration file, by SIMILIS_DATA_DIR or by --data-dir.");
    }
    Status status;
    if (const toml::array* array = node->as_array(); array != nullptr) {
      const Result<std::vector<std::string>> items = text_items(*array);
      status = items.ok() ? set_from_list(*key, settings_, *items, home_) : Status(items.error());
    } else if (key->kind == KeyKind::names || key->kind == KeyKind::folders) {
      status = Error(ErrorCode::invalid_argument, "must be a list: [\"...\", \"...\"]");
    } else if (const auto value = scalar_text(*node); !value) {
      status = Error(
          ErrorCode::invalid_argument, "has a value of the wrong type",
          "In a file it reads: " + std::string(key->name) + " = " + toml_value(*key, Settings{}));
    } else if ((key->kind == KeyKind::folder) &&
               !(value->starts_with('/') || value->starts_with('~'))) {
      status = Error(ErrorCode::invalid_argument, "must be an absolute path, or begin with ~/");
    } else {
      status = set_from_text(*key, settings_, *value, home_);
    }
    if (!status.ok()) return placed(status.error(), source, key->name);
    origins_[std::string(key->name)] = source;
  }
  files_.push_back(path);
  return {};
}

Status Config::read_environment(const ConfigSources& sources) {
  std::vector<std::string> known(kOtherVariables.begin(), kOtherVariables.end());
  for (const Key& key : all_keys()) {
    const std::string name = environment_name(key);
    known.push_back(name);
    // An empty variable is as good as none: that is how shells unset one for a single command.
    if (const std::string value = variable(sources.environment, name); !value.empty())
      TRY(set(key.name, value, name));
  }
  for (auto at = sources.environment.lower_bound("SIMILIS_"); at != sources.environment.end();
       ++at) {
    const std::string& name = at->first;
    if (!name.starts_with("SIMILIS_")) break;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    // Other programs may have variables of this prefix; a mistyped one must not go unnoticed.
    constexpr std::size_t kPrefix = std::string_view("SIMILIS_").size();
    std::vector<std::string> rest;
    for (const std::string& other : known) rest.push_back(other.substr(kPrefix));
    if (const std::string nearest = nearest_name(std::string_view(name).substr(kPrefix), rest);
        !nearest.empty()) {
      return Error(ErrorCode::invalid_argument, "unknown variable " + name,
                   "Did you mean \"SIMILIS_" + nearest + "\"?");
    }
  }
  return {};
}

Result<Config> Config::load(const ConfigSources& sources) {
  Config config;
  config.home_ = variable(sources.environment, "HOME");
  config.settings_.data_dir = xdg_folder(sources.environment, "XDG_DATA_HOME", ".local/share");

  const std::string named = variable(sources.environment, "SIMILIS_CONFIG");
  const std::filesystem::path file = sources.file ? *sources.file : std::filesystem::path(named);
  std::error_code failed;
  if (!file.empty()) {
    TRY(config.read_file_into(std::filesystem::absolute(file, failed), false));
  } else {
    const std::filesystem::path folder =
        xdg_folder(sources.environment, "XDG_CONFIG_HOME", ".config");
    if (!folder.empty() && std::filesystem::exists(folder / "config.toml", failed)) {
      TRY(config.read_file_into(folder / "config.toml", false));
    }
    // Where the data are decides which further file counts, so what decides that comes first.
    Config chosen = config;
    TRY(chosen.read_environment(sources));
    if (const auto flag = sources.flags.find("data_dir"); flag != sources.flags.end()) {
      TRY(chosen.set("data_dir", flag->second, "--data-dir"));
    }
    const std::filesystem::path& data = chosen.settings_.data_dir;
    if (!data.empty() && std::filesystem::exists(data / "config.toml", failed)) {
      TRY(config.read_file_into(data / "config.toml", true));
    }
  }
  TRY(config.read_environment(sources));
  for (const auto& [key, value] : sources.flags) {
    // "server.listen" is --listen, "data_dir" is --data-dir.
    std::string option = "--" + key.substr(key.rfind('.') + 1);
    std::replace(option.begin(), option.end(), '_', '-');
    TRY(config.set(key, value, option));
  }
  if (config.settings_.data_dir.empty()) {
    return Error(ErrorCode::invalid_argument,
                 "there is no place for the data: the environment has no HOME",
                 "Name a folder: --data-dir DIR or SIMILIS_DATA_DIR.");
  }
  return config;
}

std::vector<ConfigValue> Config::describe() const {
  std::vector<ConfigValue> out;
  for (const Key& key : all_keys()) {
    const auto origin = origins_.find(key.name);
    out.push_back({std::string(key.name), shown_value(key, settings_),
                   origin == origins_.end() ? "default" : origin->second, std::string(key.doc)});
  }
  return out;
}

std::string Config::default_file() {
  constexpr std::size_t kColumns = 100;
  std::string out =
      "# Configuration of similis. Every setting stands here with its default: take the # away to "
      "change one.\n"
      "# Read from ~/.config/similis/config.toml, then from config.toml in the data directory; "
      "--config FILE\n"
      "# reads FILE alone. Stronger than a file: the environment (SIMILIS_SERVER_LISTEN for "
      "server.listen), then\n"
      "# options. `similis config` shows what holds and why. Sizes: 512MB, 2GiB; times: 250ms, "
      "20s, 5m.\n";
  Settings defaults;
  defaults.data_dir = "~/.local/share/similis";
  std::string table;
  for (const Key& key : all_keys()) {
    const std::size_t dot = key.name.find('.');
    const std::string_view in = dot == std::string_view::npos ? "" : key.name.substr(0, dot);
    if (in != table) {
      table = in;
      out += "\n[" + table + "]\n";
    } else {
      out += "\n";
    }
    out += wrapped(key.doc, "# ", kColumns);
    out += "#" + std::string(dot == std::string_view::npos ? key.name : key.name.substr(dot + 1)) +
           " = " + toml_value(key, defaults) + "\n";
  }
  return out;
}

}  // namespace similis
