#include "wire/requests.h"

#include <charconv>
#include <cmath>

#include "wire/archive.h"

namespace similis::wire {

namespace {

constexpr std::int64_t kHitsMax = 1000;
constexpr std::size_t kExamplesMax = 100;
constexpr std::size_t kVectorMax = 16'384;
constexpr double kWeightMax = 100;
constexpr std::size_t kFilterBytesMax = 4096;
constexpr std::size_t kTagsMax = 100;
constexpr std::size_t kTagBytesMax = 100;
constexpr std::size_t kNameBytesMax = 100;
constexpr std::size_t kPathBytesMax = 4096;

struct Settings {
  std::optional<std::int64_t> k;
  std::optional<Crop> crop;
  std::optional<std::string> filter;
  std::optional<double> min_score;
  std::optional<bool> exclude_self, collapse_identical, use_cache;

  [[nodiscard]] bool any() const {
    return k || crop || filter || min_score || exclude_self || collapse_identical || use_cache;
  }
};

Error bad(const std::string& place, const std::string& what, std::string hint = {}) {
  return JsonReader::wrong(place, what, std::move(hint));
}

std::string plain(double value) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return std::string(text.data(), end);
}

Status check_crop(const Crop& crop, const std::string& place) {
  // A hair above 1 is what sums of rounded shares give.
  constexpr double kSlack = 1e-9;
  if (crop.x >= 0 && crop.y >= 0 && crop.width > 0 && crop.height > 0 &&
      crop.x + crop.width <= 1 + kSlack && crop.y + crop.height <= 1 + kSlack) {
    return {};
  }
  return bad(place, "does not lie on the picture",
             "x, y, width and height are shares of its width and height: 0 to 1, width and height "
             "above 0, and x + width and y + height at most 1.");
}

Status apply(const Settings& settings, const std::string& place, SearchRequest& request) {
  if (settings.k) {
    if (*settings.k < 1 || *settings.k > kHitsMax) {
      return bad(place + "k", "is " + std::to_string(*settings.k) + "; it must be 1 to 1000",
                 "Ask for at most 1000 hits and page on with the cursor.");
    }
    request.k = static_cast<std::size_t>(*settings.k);
  }
  if (settings.crop) {
    TRY(check_crop(*settings.crop, place + "crop"));
    request.crop = settings.crop;
  }
  if (settings.filter) {
    if (settings.filter->size() > kFilterBytesMax) {
      return bad(place + "filter", "is longer than 4096 bytes");
    }
    ASSIGN_OR_RETURN(request.filter, parse_filter(*settings.filter));
  }
  if (settings.min_score) {
    if (!(*settings.min_score >= -1 && *settings.min_score <= 1)) {
      return bad(place + "min_score", "must lie between -1 and 1");
    }
    request.min_score = settings.min_score;
  }
  request.exclude_self = settings.exclude_self.value_or(request.exclude_self);
  request.collapse_identical = settings.collapse_identical.value_or(request.collapse_identical);
  request.use_cache = settings.use_cache.value_or(request.use_cache);
  return {};
}

Status check_vector(const std::vector<float>& vector, const std::string& place) {
  if (vector.empty() || vector.size() > kVectorMax) {
    return bad(place, "has " + std::to_string(vector.size()) +
                          " numbers; it needs as many as the "
                          "collection's model has dimensions");
  }
  return {};
}

Result<QueryExample> example_of(const Json& json, const std::string& place) {
  JsonReader reader(json, place, JsonReader::Unknown::refused);
  std::optional<std::int64_t> id;
  std::optional<std::vector<float>> vector;
  QueryExample example;
  reader.optional_id("image_id", id);
  reader.optional("vector", vector);
  reader.defaulted("weight", example.weight);
  TRY(reader.status());
  if (id.has_value() == vector.has_value()) {
    return bad(place, "must have either image_id or vector");
  }
  if (!(std::abs(example.weight) <= kWeightMax)) {
    return bad(place + "/weight", "must lie between -100 and 100");
  }
  if (id) {
    example.what = *id;
  } else {
    TRY(check_vector(*vector, place + "/vector"));
    example.what = std::move(*vector);
  }
  return example;
}

}  // namespace

template <typename A, Of<Crop> X>
void describe(A& a, X& x) {
  a.field("x", x.x);
  a.field("y", x.y);
  a.field("width", x.width);
  a.field("height", x.height);
}

template <typename A, Of<Settings> X>
void describe(A& a, X& x) {
  a.optional("k", x.k);
  a.optional("crop", x.crop);
  a.optional("filter", x.filter);
  a.optional("min_score", x.min_score);
  a.optional("exclude_self", x.exclude_self);
  a.optional("collapse_identical", x.collapse_identical);
  a.optional("use_cache", x.use_cache);
}

Result<SearchRequest> read_search_request(std::string_view json) {
  ASSIGN_OR_RETURN(const Json document, parse_json(json));
  JsonReader reader(document, "", JsonReader::Unknown::refused);
  std::optional<std::int64_t> id;
  std::optional<std::vector<float>> vector;
  std::optional<std::string> cursor;
  Settings settings;
  reader.optional_id("image_id", id);
  reader.optional("vector", vector);
  const Json* examples = reader.find("examples");
  reader.optional("cursor", cursor);
  describe(reader, settings);
  TRY(reader.status());

  const int ways = (id ? 1 : 0) + (vector ? 1 : 0) + (examples ? 1 : 0) + (cursor ? 1 : 0);
  if (ways != 1) {
    return Error(ErrorCode::invalid_argument,
                 ways == 0 ? "the search does not say what to look for"
                           : "the search says more than once what to look for",
                 "Give exactly one of image_id, vector, examples and cursor, or send a picture.");
  }
  SearchRequest request;
  TRY(apply(settings, "/", request));
  if (cursor) {
    if (cursor->empty()) return bad("/cursor", "is empty");
    if (settings.any()) {
      return Error(ErrorCode::invalid_argument, "a cursor stands alone",
                   "The next page keeps the first one's settings: send the cursor only.");
    }
    request.cursor = *cursor;
  } else if (id) {
    request.query = *id;
  } else if (vector) {
    TRY(check_vector(*vector, "/vector"));
    request.query = std::move(*vector);
  } else {
    if (!examples->is_array() || examples->empty() || examples->size() > kExamplesMax) {
      return bad("/examples", "must be an array of 1 to 100 examples");
    }
    std::vector<QueryExample> list;
    for (std::size_t i = 0; i < examples->size(); ++i) {
      ASSIGN_OR_RETURN(auto example, example_of((*examples)[i], "/examples/" + std::to_string(i)));
      list.push_back(std::move(example));
    }
    request.query = std::move(list);
  }
  if (request.crop && !id) {
    return bad("/crop", "needs a picture or an image_id to cut from");
  }
  return request;
}

Status read_search_settings(std::string_view json, SearchRequest& request) {
  ASSIGN_OR_RETURN(const auto settings,
                   read_document<Settings>(json, JsonReader::Unknown::refused));
  return apply(settings, "/", request);
}

Result<bool> read_search_setting(std::string_view name, std::string_view value,
                                 SearchRequest& request) {
  Settings settings;
  if (name == "k") {
    ASSIGN_OR_RETURN(settings.k, read_whole(name, value, 1, kHitsMax));
  } else if (name == "filter") {
    settings.filter = std::string(value);
  } else if (name == "min_score") {
    ASSIGN_OR_RETURN(settings.min_score, read_number(name, value, -1, 1));
  } else if (name == "exclude_self") {
    ASSIGN_OR_RETURN(settings.exclude_self, read_bool(name, value));
  } else if (name == "collapse_identical") {
    ASSIGN_OR_RETURN(settings.collapse_identical, read_bool(name, value));
  } else if (name == "use_cache") {
    ASSIGN_OR_RETURN(settings.use_cache, read_bool(name, value));
  } else if (name == "crop") {
    Crop crop;
    double* parts[] = {&crop.x, &crop.y, &crop.width, &crop.height};
    std::string_view rest = value;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t comma = i < 3 ? rest.find(',') : rest.size();
      if (comma == std::string_view::npos) return bad("crop", "must be x,y,width,height");
      ASSIGN_OR_RETURN(*parts[i], read_number(name, rest.substr(0, comma), 0, 1));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    settings.crop = crop;
  } else {
    return false;
  }
  TRY(apply(settings, "", request));
  return true;
}

const std::vector<std::string>& search_setting_names() {
  static const std::vector<std::string> names = {
      "k", "filter", "min_score", "crop", "exclude_self", "collapse_identical", "use_cache"};
  return names;
}

std::string search_request_json(const SearchRequest& request) {
  JsonWriter writer;
  if (!request.cursor.empty()) {
    writer.field("cursor", request.cursor);
    return to_text(writer.json);
  }
  const auto vector_json = [](const std::vector<float>& vector) {
    Json out = Json::array();
    for (float value : vector) out.push_back(value);
    return out;
  };
  if (const auto* id = std::get_if<ImageId>(&request.query)) {
    writer.id("image_id", *id);
  } else if (const auto* vector = std::get_if<std::vector<float>>(&request.query)) {
    writer.json["vector"] = vector_json(*vector);
  } else if (const auto* examples = std::get_if<std::vector<QueryExample>>(&request.query)) {
    Json list = Json::array();
    for (const QueryExample& example : *examples) {
      JsonWriter one;
      if (const auto* stored = std::get_if<ImageId>(&example.what)) {
        one.id("image_id", *stored);
      } else {
        one.json["vector"] = vector_json(std::get<std::vector<float>>(example.what));
      }
      one.field("weight", example.weight);
      list.push_back(std::move(one.json));
    }
    writer.json["examples"] = std::move(list);
  }
  writer.field("k", static_cast<std::int64_t>(request.k));
  writer.optional("crop", request.crop);
  if (!request.filter.matches_everything()) writer.field("filter", to_string(request.filter));
  if (request.min_score) writer.json["min_score"] = *request.min_score;
  if (request.exclude_self) writer.field("exclude_self", true);
  if (request.collapse_identical) writer.field("collapse_identical", true);
  if (!request.use_cache) writer.field("use_cache", false);
  return to_text(writer.json);
}

std::string search_query_string(const SearchRequest& request) {
  std::string out = "k=" + std::to_string(request.k);
  if (request.crop) {
    out += "&crop=" + plain(request.crop->x) + "," + plain(request.crop->y) + "," +
           plain(request.crop->width) + "," + plain(request.crop->height);
  }
  if (!request.filter.matches_everything()) {
    out += "&filter=" + percent_encode(to_string(request.filter));
  }
  if (request.min_score) out += "&min_score=" + plain(*request.min_score);
  if (request.exclude_self) out += "&exclude_self=true";
  if (request.collapse_identical) out += "&collapse_identical=true";
  if (!request.use_cache) out += "&use_cache=false";
  if (const auto* picture = std::get_if<QueryPicture>(&request.query)) {
    if (!picture->name.empty()) out += "&name=" + percent_encode(picture->name);
  }
  return out;
}

namespace {

/// The members `path` and `path_bytes`, of which one must be there.
class PathMembers {
 public:
  void read(JsonReader& reader) {
    reader.optional("path", path_);
    reader.optional("path_bytes", path_bytes_);
  }
  /// After reading.
  Result<std::string> take() {
    if (path_.has_value() == path_bytes_.has_value()) {
      return Error(ErrorCode::invalid_argument,
                   "/path is " + std::string(path_ ? "doubled" : "missing"),
                   "Give the absolute path as `path`, or its bytes in base64 as `path_bytes` "
                   "where they are not UTF-8.");
    }
    if (path_bytes_) {
      path_ = base64_decode(*path_bytes_);
      if (!path_) return bad("/path_bytes", "is not base64");
    }
    if (path_->empty() || path_->size() > kPathBytesMax || path_->find('\0') != std::string::npos) {
      return bad("/path", "must be 1 to 4096 bytes without a zero byte");
    }
    return *std::move(path_);
  }
  static void write(JsonWriter& writer, const std::string& path) {
    if (is_utf8(path)) {
      writer.field("path", path);
    } else {
      writer.field("path_bytes", base64_encode(path));
    }
  }

 private:
  std::optional<std::string> path_, path_bytes_;
};

}  // namespace

Result<BuildRequest> read_build_request(std::string_view json) {
  ASSIGN_OR_RETURN(const Json document, parse_json(json));
  JsonReader reader(document, "", JsonReader::Unknown::refused);
  BuildRequest request;
  PathMembers path;
  path.read(reader);
  reader.defaulted("hidden", request.options.hidden);
  reader.defaulted("watch", request.options.watch);
  reader.defaulted("retry_failed", request.options.retry_failed);
  reader.defaulted("model", request.model);
  TRY(reader.status());
  ASSIGN_OR_RETURN(request.path, path.take());
  return request;
}

std::string build_request_json(const BuildRequest& request) {
  JsonWriter writer;
  PathMembers::write(writer, request.path);
  writer.field("hidden", request.options.hidden);
  writer.field("watch", request.options.watch);
  writer.field("retry_failed", request.options.retry_failed);
  if (!request.model.empty()) writer.field("model", request.model);
  return to_text(writer.json);
}

Result<ExportRequest> read_export_request(std::string_view json) {
  ASSIGN_OR_RETURN(const Json document, parse_json(json));
  JsonReader reader(document, "", JsonReader::Unknown::refused);
  ExportRequest request;
  PathMembers path;
  path.read(reader);
  reader.defaulted("pictures", request.pictures);
  TRY(reader.status());
  ASSIGN_OR_RETURN(request.path, path.take());
  return request;
}

std::string export_request_json(const ExportRequest& request) {
  JsonWriter writer;
  PathMembers::write(writer, request.path);
  writer.field("pictures", request.pictures);
  return to_text(writer.json);
}

Result<std::string> read_name(std::string_view json) {
  ASSIGN_OR_RETURN(const Json document, parse_json(json));
  JsonReader reader(document, "", JsonReader::Unknown::refused);
  std::string name;
  reader.field("name", name);
  TRY(reader.status());
  if (name.empty() || name.size() > kNameBytesMax) {
    return bad("/name", "must be 1 to 100 bytes long");
  }
  return name;
}

std::string name_json(std::string_view name) {
  JsonWriter writer;
  writer.field("name", std::string(name));
  return to_text(writer.json);
}

Result<std::vector<std::string>> read_tags(std::string_view json) {
  ASSIGN_OR_RETURN(const Json document, parse_json(json));
  JsonReader reader(document, "", JsonReader::Unknown::refused);
  std::vector<std::string> tags;
  reader.field("tags", tags);
  TRY(reader.status());
  if (tags.size() > kTagsMax) return bad("/tags", "has more than 100 tags");
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (tags[i].empty() || tags[i].size() > kTagBytesMax) {
      return bad("/tags/" + std::to_string(i), "must be 1 to 100 bytes long");
    }
    if (tags[i].find('\0') != std::string::npos) {
      return bad("/tags/" + std::to_string(i), "must not hold the character U+0000");
    }
  }
  return tags;
}

std::string tags_json(const std::vector<std::string>& tags) {
  JsonWriter writer;
  writer.field("tags", tags);
  return to_text(writer.json);
}

Result<std::string> read_credential(std::string_view json) {
  ASSIGN_OR_RETURN(const Json document, parse_json(json));
  JsonReader reader(document, "", JsonReader::Unknown::refused);
  std::string credential;
  reader.field("credential", credential);
  TRY(reader.status());
  return credential;
}

Result<std::int64_t> read_whole(std::string_view name, std::string_view text, std::int64_t min,
                                std::int64_t max) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || value < min || value > max) {
    return bad(std::string(name), "is \"" + display_text(text.substr(0, 40)) +
                                      "\"; it must be a whole number from " + std::to_string(min) +
                                      " to " + std::to_string(max));
  }
  return value;
}

Result<double> read_number(std::string_view name, std::string_view text, double min, double max) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() ||
      !(value >= min && value <= max)) {
    return bad(std::string(name), "is \"" + display_text(text.substr(0, 40)) +
                                      "\"; it must be a number from " + plain(min) + " to " +
                                      plain(max));
  }
  return value;
}

Result<bool> read_bool(std::string_view name, std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return bad(std::string(name),
             "is \"" + display_text(text.substr(0, 40)) + "\"; it must be true or false");
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace similis::wire
