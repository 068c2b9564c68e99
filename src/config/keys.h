#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace similis {

/// Where a key's value lives in Settings.
using Slot = std::variant<std::string*, std::filesystem::path*, bool*, std::int64_t*,
                          std::chrono::milliseconds*, std::vector<std::string>*>;

enum class KeyKind : std::uint8_t {
  text,
  address,
  collection,
  choice,
  folder,
  flag,
  count,
  bytes,
  duration,
  names,
  folders
};

/// One setting: its name, how it is written, what it means.
struct Key {
  std::string_view name;  // "server.listen"
  KeyKind kind;
  Slot (*slot)(Settings&);
  std::string_view doc;  // one sentence, then what the default 0 or "" means
  std::int64_t min = 0, max = std::int64_t{1} << 53;  // of count and bytes; of a duration in ms
  bool zero_is_automatic = false;         // count and bytes: 0 is taken too, and shown as "auto"
  std::vector<std::string> choices = {};  // of a choice
  bool secret = false;                    // never shown
};

/// All keys, in the order in which they are shown.
std::span<const Key> all_keys();
/// null when unknown.
const Key* find_key(std::string_view name);
/// The names of all keys, for hints.
std::vector<std::string> key_names();
/// "SIMILIS_SERVER_LISTEN".
std::string environment_name(const Key& key);

/// Sets the key from text as a flag or the environment gives it: "auto" where 0 is automatic; names
/// parted by commas, folders by colons; a folder may begin with ~/ (then `home` stands for ~) and
/// is made absolute (from the working folder). invalid_argument says what is expected.
Status set_from_text(const Key& key, Settings& settings, std::string_view text,
                     std::string_view home);
/// The same for a list given item by item.
Status set_from_list(const Key& key, Settings& settings, const std::vector<std::string>& items,
                     std::string_view home);

/// The value as set_from_text() takes it, "********" for a secret that is set.
std::string shown_value(const Key& key, const Settings& settings);
/// The value as it stands in a TOML file.
std::string toml_value(const Key& key, const Settings& settings);

}  // namespace similis
