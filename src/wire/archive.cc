#include "wire/archive.h"

#include <algorithm>

namespace similis::wire {

namespace {

/// Deeper than any document here; what is deeper is an attack on the stack of whoever walks it.
constexpr int kDepthMax = 32;

}  // namespace

Result<Json> parse_json(std::string_view text) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDepthMax;
    return !too_deep;
  };
  try {
    Json json = Json::parse(text, watch_depth);
    if (too_deep) {
      return Error(ErrorCode::invalid_argument,
                   "the JSON is nested deeper than " + std::to_string(kDepthMax) + " levels");
    }
    return json;
  } catch (const Json::exception& failed) {
    // "[json.exception.parse_error.101] parse error at line 1, column 3: ..."
    std::string_view what = failed.what();
    if (const auto end = what.find("] "); end != std::string_view::npos)
      what.remove_prefix(end + 2);
    return Error(ErrorCode::invalid_argument, "not JSON: " + display_text(what));
  }
}

std::string JsonReader::kind(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_float:
      return "a fraction";
    default:
      return "a number";
  }
}

Error JsonReader::wrong(const std::string& place, const std::string& what, std::string hint) {
  return {ErrorCode::invalid_argument, (place.empty() ? "the document" : place) + " " + what,
          std::move(hint)};
}

Status JsonReader::decode(const Json& json, const std::string& place, bool& value) const {
  if (!json.is_boolean()) return wrong(place, "must be true or false, not " + kind(json));
  value = json.get<bool>();
  return {};
}

Status JsonReader::decode(const Json& json, const std::string& place, std::int64_t& value) const {
  if (json.is_number_unsigned()) {
    const auto read = json.get<std::uint64_t>();
    if (read > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return wrong(place, "is too large");
    }
    value = static_cast<std::int64_t>(read);
    return {};
  }
  if (json.is_number_integer()) {
    value = json.get<std::int64_t>();
    return {};
  }
  // JSON does not tell 10.0 from 10.
  if (json.is_number_float()) {
    const double read = json.get<double>();
    if (read == std::floor(read) && std::abs(read) <= static_cast<double>(kIdMax)) {
      value = static_cast<std::int64_t>(read);
      return {};
    }
  }
  return wrong(place, "must be a whole number, not " + kind(json));
}

Status JsonReader::decode(const Json& json, const std::string& place, std::int32_t& value) const {
  std::int64_t wide = 0;
  TRY(decode(json, place, wide));
  if (wide < std::numeric_limits<std::int32_t>::min() ||
      wide > std::numeric_limits<std::int32_t>::max()) {
    return wrong(place, "is too large");
  }
  value = static_cast<std::int32_t>(wide);
  return {};
}

Status JsonReader::decode(const Json& json, const std::string& place, double& value) const {
  if (!json.is_number()) return wrong(place, "must be a number, not " + kind(json));
  value = json.get<double>();
  return {};
}

Status JsonReader::decode(const Json& json, const std::string& place, float& value) const {
  double wide = 0;
  TRY(decode(json, place, wide));
  if (!(std::abs(wide) <= static_cast<double>(std::numeric_limits<float>::max()))) {
    return wrong(place, "is too large");
  }
  value = static_cast<float>(wide);
  return {};
}

Status JsonReader::decode(const Json& json, const std::string& place, std::string& value) const {
  if (!json.is_string()) return wrong(place, "must be a string, not " + kind(json));
  value = json.get<std::string>();
  return {};
}

Status JsonReader::decode(const Json& json, const std::string& place,
                          std::vector<std::pair<std::string, double>>& values) const {
  if (!json.is_object()) return wrong(place, "must be an object, not " + kind(json));
  values.clear();
  for (const auto& [name, value] : json.items()) {
    double read = 0;
    TRY(decode(value, place + "/" + name, read));
    values.emplace_back(name, read);
  }
  return {};
}

void JsonReader::read_id(const Json& json, const char* name, std::int64_t& value) {
  const std::string place = place_ + "/" + name;
  if (!json.is_string()) {
    return keep(wrong(place, "must be a string of digits, not " + kind(json),
                      json.is_number() ? "Write it as \"" + json.dump() + "\"." : ""));
  }
  const auto read = parse_id(json.get_ref<const std::string&>());
  if (!read)
    return keep(wrong(place, "is not an id", "Ids are positive numbers, such as \"412\"."));
  value = *read;
}

void JsonReader::read_time(const char* name, const std::string& text, UnixSeconds& value) {
  if (error_) return;
  if (const auto read = parse_time(text)) {
    value = *read;
  } else {
    fail(name, "is not a time; one looks like 2024-03-15T10:30:00Z");
  }
}

void JsonReader::refuse_unknown() {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
    const std::string near = nearest_name(name, asked_);
    std::string known;
    for (const std::string& one : asked_) known += (known.empty() ? "" : ", ") + one;
    error_ = wrong(place_ + "/" + display_text(name), "is not known here",
                   near.empty() ? "Known are: " + known + "." : "Did you mean \"" + near + "\"?");
    return;
  }
}

}  // namespace similis::wire
