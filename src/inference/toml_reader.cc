#include "inference/toml_reader.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/nearest.h"

namespace similis {
namespace {

std::string quoted_list(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "\"" : ", \"") + word + "\"";
  return out;
}

std::string plain(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

std::string TomlReader::place(const toml::node* node) const {
  if (node == nullptr || node->source().begin.line == 0) return where_;
  return where_ + ":" + std::to_string(node->source().begin.line);
}

void TomlReader::fail(std::string_view key, const std::string& why, const std::string& hint) {
  if (error_) return;
  const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
  error_ = Error(ErrorCode::invalid_argument,
                 place(node) + ": " + prefix_ + std::string(key) + " " + why, hint);
}

void TomlReader::merge(Status status) {
  if (!error_ && !status.ok()) error_ = std::move(status).error();
}

const toml::node* TomlReader::find(std::string_view key, Need need) {
  known_.emplace_back(key);
  if (error_) return nullptr;
  const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
  if (node == nullptr && need == Need::required) fail(key, "is missing");
  return node;
}

void TomlReader::text(std::string_view key, std::string& out, Need need) {
  const toml::node* node = find(key, need);
  if (node == nullptr) return;
  const auto value = node->value_exact<std::string>();
  if (!value) return fail(key, "must be a text in quotes");
  if (value->empty() && need == Need::required) return fail(key, "must not be empty");
  out = *value;
}

void TomlReader::boolean(std::string_view key, bool& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto value = node->value_exact<bool>();
  if (!value) return fail(key, "must be true or false");
  out = *value;
}

std::optional<double> TomlReader::checked_number(std::string_view key, const toml::node& node,
                                                 double min, double max) {
  const auto value = node.is_number() ? node.value<double>() : std::nullopt;
  if (!value || !std::isfinite(*value)) {
    fail(key, "must be a number");
    return std::nullopt;
  }
  if (*value < min || *value > max) {
    fail(key, "is " + plain(*value) + ", must be from " + plain(min) + " to " + plain(max));
    return std::nullopt;
  }
  return value;
}

void TomlReader::number(std::string_view key, double& out, double min, double max) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (const auto value = checked_number(key, *node, min, max)) out = *value;
}

void TomlReader::numbers3(std::string_view key, std::array<double, 3>& out, double min,
                          double max) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const toml::array* array = node->as_array();
  if (array == nullptr || array->size() != 3)
    return fail(key, "must be three numbers in brackets: red, green, blue");
  for (std::size_t i = 0; i < 3; ++i) {
    const auto value = checked_number(key, *array->get(i), min, max);
    if (!value) return;
    out[i] = *value;
  }
}

void TomlReader::integer(std::string_view key, std::int64_t& out, std::int64_t min,
                         std::int64_t max, Need need) {
  const toml::node* node = find(key, need);
  if (node == nullptr) return;
  const auto value = node->value_exact<std::int64_t>();
  if (!value) return fail(key, "must be a whole number");
  if (*value < min || *value > max) {
    return fail(key, "is " + std::to_string(*value) + ", must be from " + std::to_string(min) +
                         " to " + std::to_string(max));
  }
  out = *value;
}

std::size_t TomlReader::choice(std::string_view key, const std::vector<std::string>& words,
                               std::size_t otherwise) {
  const toml::node* node = find(key);
  if (node == nullptr) return otherwise;
  const auto value = node->value_exact<std::string>();
  const auto at = value ? std::find(words.begin(), words.end(), *value) : words.end();
  if (at == words.end()) {
    fail(key, "must be one of " + quoted_list(words),
         value ? did_you_mean(*value, words) : std::string());
    return otherwise;
  }
  return static_cast<std::size_t>(at - words.begin());
}

const toml::table* TomlReader::table(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return nullptr;
  if (!node->is_table()) fail(key, "must be a table, written [" + prefix_ + std::string(key) + "]");
  return node->as_table();
}

const toml::array* TomlReader::tables(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return nullptr;
  const toml::array* array = node->as_array();
  if (array == nullptr || !std::all_of(array->begin(), array->end(),
                                       [](const toml::node& n) { return n.is_table(); })) {
    fail(key, "must be a list of tables");
    return nullptr;
  }
  return array;
}

Status TomlReader::finish() {
  if (error_) return *error_;
  if (table_ == nullptr) return {};
  for (const auto& [key, node] : *table_) {
    if (std::find(known_.begin(), known_.end(), key.str()) == known_.end()) {
      return Error(ErrorCode::invalid_argument,
                   place(&node) + ": unknown key `" + prefix_ + std::string(key.str()) + "`",
                   did_you_mean(key.str(), known_));
    }
  }
  return {};
}

}  // namespace similis
