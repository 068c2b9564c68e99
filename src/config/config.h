#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace similis {

/// What a configuration is made from.
struct ConfigSources {
  /// --config: read alone, must exist. Without it SIMILIS_CONFIG likewise; without both,
  /// $XDG_CONFIG_HOME/similis/config.toml
  /// (~/.config without the variable) and then data_dir/config.toml, where they exist.
  std::optional<std::filesystem::path> file;
  /// Key to value, as command line options give them: {"server.listen", "127.0.0.1:0"}.
  std::map<std::string, std::string, std::less<>> flags;
  /// The process's environment, see process_environment().
  std::map<std::string, std::string, std::less<>> environment;
};

std::map<std::string, std::string, std::less<>> process_environment();

/// One line of `similis config`.
struct ConfigValue {
  std::string key;
  std::string value;   // as the environment or a flag would give it; "auto" where the planner
                       // chooses; secrets masked
  std::string source;  // "default", a file with line ("/home/a/.config/similis/config.toml:3"), a
                       // variable, "--listen"
  std::string doc;
};

/// The settings with where each comes from: default < file < environment < flag.
class Config {
 public:
  /// invalid_argument for an unknown key (with the nearest one), a value of the wrong form or out
  /// of range, naming the place; not_found for a file that was named and is not there. A variable
  /// SIMILIS_X that is no key but nearly one is an error too.
  static Result<Config> load(const ConfigSources& sources);

  [[nodiscard]] const Settings& settings() const { return settings_; }
  /// Files that were read, in the order of reading.
  [[nodiscard]] const std::vector<std::filesystem::path>& files() const { return files_; }
  [[nodiscard]] std::vector<ConfigValue> describe() const;

  /// A configuration file with every key, its meaning and its default, commented out: the manual.
  static std::string default_file();

 private:
  Config() = default;

  Status read_file_into(const std::filesystem::path& path, bool in_data_dir);
  Status read_environment(const ConfigSources& sources);
  Status set(std::string_view key_name, std::string_view text, const std::string& source);

  Settings settings_;
  std::string home_;
  std::map<std::string, std::string, std::less<>>
      origins_;  // key to source, where it is not the default
  std::vector<std::filesystem::path> files_;
};

}  // namespace similis
