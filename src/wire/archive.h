#pragma once

// How documents are written and read. Each document type has one
// `describe(archive, value)`, which names its members once; JsonWriter and JsonReader both run it.

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/nearest.h"
#include "base/result.h"
#include "wire/json.h"
#include "wire/text.h"

namespace similis::wire {

/// Holds for X = T and X = const T: a `describe` serves the reader and the writer.
template <typename X, typename T>
concept Of = std::same_as<std::remove_const_t<X>, T>;

/// Specialised with `static constexpr std::string_view words[]` for each enum that is sent, its
/// values being 0, 1, 2 ...
template <typename E>
struct EnumWords;

/// Six decimals: more than the cosine carries, without the noise of float printed as double.
inline double rounded(double value) {
  return std::round(value * 1e6) / 1e6;
}

/// Invalid UTF-8 never leaves: it would make the whole document unreadable. On one line unless
/// `indent` says how far members are indented.
inline std::string to_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

/// Parses `text`; invalid_argument says where it stops being JSON.
Result<Json> parse_json(std::string_view text);

class JsonWriter {
 public:
  static constexpr bool kReads = false;
  Json json = Json::object();

  template <typename T>
  void field(const char* name, const T& value) {
    json[name] = encode(value);
  }
  /// null when there is no value.
  template <typename T>
  void nullable(const char* name, const std::optional<T>& value) {
    json[name] = value ? encode(*value) : Json(nullptr);
  }
  /// Left out when there is no value.
  template <typename T>
  void optional(const char* name, const std::optional<T>& value) {
    if (value) json[name] = encode(*value);
  }
  /// Always written; may be missing when read.
  template <typename T>
  void defaulted(const char* name, const T& value) {
    field(name, value);
  }
  void id(const char* name, std::int64_t value) { json[name] = std::to_string(value); }
  void nullable_id(const char* name, const std::optional<std::int64_t>& value) {
    json[name] = value ? Json(std::to_string(*value)) : Json(nullptr);
  }
  void time(const char* name, UnixSeconds value) { json[name] = format_time(value); }
  void nullable_time(const char* name, const std::optional<UnixSeconds>& value) {
    json[name] = value ? Json(format_time(*value)) : Json(nullptr);
  }

  static Json encode(bool value) { return value; }
  static Json encode(std::int64_t value) { return value; }
  static Json encode(std::int32_t value) { return value; }
  static Json encode(double value) { return std::isfinite(value) ? Json(rounded(value)) : Json(); }
  static Json encode(const std::string& value) { return value; }
  template <typename E>
    requires std::is_enum_v<E>
  static Json encode(E value) {
    return std::string(EnumWords<E>::words[static_cast<std::size_t>(value)]);
  }
  template <typename T>
  static Json encode(const std::vector<T>& values) {
    Json out = Json::array();
    for (const T& value : values) out.push_back(encode(value));
    return out;
  }
  /// A named list as an object, in its order.
  static Json encode(const std::vector<std::pair<std::string, double>>& values) {
    Json out = Json::object();
    for (const auto& [name, value] : values) out[name] = encode(value);
    return out;
  }
  template <typename T>
    requires std::is_class_v<T>
  static Json encode(const T& value) {
    JsonWriter writer;
    describe(writer, value);
    return std::move(writer.json);
  }
};

template <typename T>
std::string write_document(const T& value) {
  return to_text(JsonWriter::encode(value));
}

/// Reads one object. The first thing that is wrong is kept with its place (a JSON pointer) and
/// ends the reading; `status()` tells. Strict: a member that nobody asked for is an error that
/// names the nearest one; else (answers of a newer server) it is ignored.
class JsonReader {
 public:
  static constexpr bool kReads = true;
  enum class Unknown { refused, ignored };

  JsonReader(const Json& object, std::string place, Unknown unknown)
      : object_(object), place_(std::move(place)), unknown_(unknown) {
    if (!object_.is_object()) fail_at(place_, "must be an object, not " + kind(object_));
  }

  template <typename T>
  void field(const char* name, T& value) {
    if (const Json* found = find(name)) {
      keep(decode(*found, place_ + "/" + name, value));
    } else {
      fail_at(place_ + "/" + name, "is missing");
    }
  }
  template <typename T>
  void nullable(const char* name, std::optional<T>& value) {
    const Json* found = find(name);
    if (!found || found->is_null()) return;
    T read{};
    keep(decode(*found, place_ + "/" + name, read));
    value = std::move(read);
  }
  /// May be left out, but null is not a value.
  template <typename T>
  void optional(const char* name, std::optional<T>& value) {
    const Json* found = find(name);
    if (!found) return;
    T read{};
    keep(decode(*found, place_ + "/" + name, read));
    value = std::move(read);
  }
  template <typename T>
  void defaulted(const char* name, T& value) {
    if (const Json* found = find(name)) keep(decode(*found, place_ + "/" + name, value));
  }
  void id(const char* name, std::int64_t& value) {
    if (const Json* found = find(name)) {
      read_id(*found, name, value);
    } else {
      fail_at(place_ + "/" + name, "is missing");
    }
  }
  void nullable_id(const char* name, std::optional<std::int64_t>& value) {
    const Json* found = find(name);
    if (!found || found->is_null()) return;
    std::int64_t read = 0;
    read_id(*found, name, read);
    value = read;
  }
  void optional_id(const char* name, std::optional<std::int64_t>& value) {
    if (const Json* found = find(name)) {
      std::int64_t read = 0;
      read_id(*found, name, read);
      value = read;
    }
  }
  void time(const char* name, UnixSeconds& value) {
    std::string text;
    field(name, text);
    read_time(name, text, value);
  }
  void nullable_time(const char* name, std::optional<UnixSeconds>& value) {
    std::optional<std::string> text;
    nullable(name, text);
    if (!text) return;
    UnixSeconds read = 0;
    read_time(name, *text, read);
    value = read;
  }

  /// The member, or null; counts as asked for.
  const Json* find(const char* name) {
    asked_.emplace_back(name);
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  void fail(const std::string& name, const std::string& what) {
    fail_at(place_ + "/" + name, what);
  }
  [[nodiscard]] const std::string& place() const { return place_; }

  /// Once all members are asked for.
  Status status() {
    if (!error_ && unknown_ == Unknown::refused && object_.is_object()) refuse_unknown();
    if (error_) return *error_;
    return {};
  }

  Status decode(const Json& json, const std::string& place, bool& value) const;
  Status decode(const Json& json, const std::string& place, std::int64_t& value) const;
  Status decode(const Json& json, const std::string& place, std::int32_t& value) const;
  Status decode(const Json& json, const std::string& place, double& value) const;
  Status decode(const Json& json, const std::string& place, float& value) const;
  Status decode(const Json& json, const std::string& place, std::string& value) const;
  template <typename E>
    requires std::is_enum_v<E>
  Status decode(const Json& json, const std::string& place, E& value) const {
    std::string word;
    TRY(decode(json, place, word));
    std::string all;
    for (std::size_t i = 0; i < std::size(EnumWords<E>::words); ++i) {
      if (EnumWords<E>::words[i] == word) {
        value = static_cast<E>(i);
        return {};
      }
      all += (i == 0 ? "" : ", ") + std::string(EnumWords<E>::words[i]);
    }
    return wrong(place, "is \"" + word + "\"", "Use one of: " + all + ".");
  }
  template <typename T>
  Status decode(const Json& json, const std::string& place, std::vector<T>& values) const {
    if (!json.is_array()) return wrong(place, "must be an array, not " + kind(json));
    values.clear();
    values.reserve(json.size());
    for (std::size_t i = 0; i < json.size(); ++i) {
      T value{};
      TRY(decode(json[i], place + "/" + std::to_string(i), value));
      values.push_back(std::move(value));
    }
    return {};
  }
  Status decode(const Json& json, const std::string& place,
                std::vector<std::pair<std::string, double>>& values) const;
  template <typename T>
    requires std::is_class_v<T>
  Status decode(const Json& json, const std::string& place, T& value) const {
    JsonReader reader(json, place, unknown_);
    describe(reader, value);
    return reader.status();
  }

  static Error wrong(const std::string& place, const std::string& what, std::string hint = {});
  static std::string kind(const Json& json);

 private:
  void keep(const Status& status) {
    if (!status.ok() && !error_) error_ = status.error();
  }
  void fail_at(const std::string& place, const std::string& what) {
    if (!error_) error_ = wrong(place, what);
  }
  void read_id(const Json& json, const char* name, std::int64_t& value);
  void read_time(const char* name, const std::string& text, UnixSeconds& value);
  void refuse_unknown();

  const Json& object_;
  const std::string place_;
  const Unknown unknown_;
  std::vector<std::string> asked_;
  std::optional<Error> error_;
};

template <typename T>
Result<T> read_document(std::string_view text, JsonReader::Unknown unknown) {
  ASSIGN_OR_RETURN(const Json json, parse_json(text));
  T value{};
  JsonReader reader(json, "", unknown);
  describe(reader, value);
  TRY(reader.status());
  return value;
}

}  // namespace similis::wire
