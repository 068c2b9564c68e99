#pragma once

// toml++ without exceptions: this header is for the .cc files of model cards only.
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace similis {

/// Reads the keys of one TOML table into variables. The first error is kept, later reads then do
/// nothing; finish() gives it, or names a key of the table that nobody asked for. An absent key
/// leaves its variable as it was.
class TomlReader {
 public:
  /// `where` names the file in messages, `prefix` the table ("input.", or "" for the top). `table`
  /// null: every key absent.
  TomlReader(const toml::table* table, std::string where, std::string prefix)
      : table_(table), where_(std::move(where)), prefix_(std::move(prefix)) {}

  enum class Need : std::uint8_t { optional, required };

  void text(std::string_view key, std::string& out, Need need = Need::optional);
  void boolean(std::string_view key, bool& out);
  void number(std::string_view key, double& out, double min, double max);
  void numbers3(std::string_view key, std::array<double, 3>& out, double min, double max);
  void integer(std::string_view key, std::int64_t& out, std::int64_t min, std::int64_t max,
               Need need = Need::optional);
  /// One of `words`; the index of the one found, `otherwise` when the key is absent.
  std::size_t choice(std::string_view key, const std::vector<std::string>& words,
                     std::size_t otherwise);
  /// The table under `key`; null when absent.
  const toml::table* table(std::string_view key);
  /// The array under `key`, all of whose elements are tables; null when absent.
  const toml::array* tables(std::string_view key);

  /// Notes an error about `key`, unless there is one already.
  void fail(std::string_view key, const std::string& why, const std::string& hint = {});
  /// Takes over another reader's error.
  void merge(Status status);
  [[nodiscard]] Status finish();

 private:
  const toml::node* find(std::string_view key, Need need = Need::optional);
  [[nodiscard]] std::string place(const toml::node* node) const;
  std::optional<double> checked_number(std::string_view key, const toml::node& node, double min,
                                       double max);

  const toml::table* table_;
  std::string where_;
  std::string prefix_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

}  // namespace similis
