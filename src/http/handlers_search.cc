#include <optional>

#include "http/multipart.h"
#include "http/routes.h"
#include "wire/requests.h"
#include "wire/text.h"

namespace similis::http {

namespace {

constexpr std::size_t kParamsBytesMax = 1 << 20;
constexpr std::size_t kNameBytesMax = 255;

Error cannot_take(std::string_view type) {
  return {
      ErrorCode::unsupported_media,
      "a search does not take a body of type " + wire::display_text(type.substr(0, 100)),
      "Send a picture (`curl -T cat.jpg -X POST`, or multipart with `-F file=@cat.jpg`), or JSON "
      "with `Content-Type: application/json`."};
}

/// The part `file` is the picture, `params` its settings.
Status read_form(const Call& call, SearchRequest& request) {
  ASSIGN_OR_RETURN(const std::string boundary,
                   multipart_boundary(call.head.headers.get("Content-Type")));
  auto bytes = std::make_shared<std::vector<std::byte>>();
  std::optional<std::string> params;
  std::optional<std::string> file_name;
  bool in_file = false;
  MultipartParser::Sink sink;
  sink.on_part = [&](const PartHead& head) -> Status {
    in_file = head.name == "file";
    if (in_file) {
      if (file_name) {
        return Error(ErrorCode::invalid_argument, "the form has more than one `file`",
                     "Search by one picture at a time, or by `examples` in JSON.");
      }
      file_name = head.filename.value_or("");
      return {};
    }
    if (head.name != "params" || params) {
      return Error(ErrorCode::invalid_argument,
                   "the form's field " + wire::display_text(head.name.substr(0, 60)) +
                       (params ? " is given twice" : " is not known here"),
                   "Send the picture as `file` and settings as JSON in `params`.");
    }
    params.emplace();
    return {};
  };
  sink.on_data = [&](std::span<const std::byte> data) -> Status {
    if (in_file) {
      bytes->insert(bytes->end(), data.begin(), data.end());
    } else if (params->size() + data.size() > kParamsBytesMax) {
      return Error(ErrorCode::too_large, "the form's `params` are longer than 1 MB");
    } else {
      params->append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    return {};
  };
  sink.on_end = []() -> Status { return {}; };
  TRY(parse_multipart(call.body, boundary, sink));
  if (!file_name) {
    return Error(ErrorCode::invalid_argument, "the form has no `file`",
                 "Send the picture as `file`.");
  }
  if (params) TRY(wire::read_search_settings(*params, request));
  request.query = QueryPicture{std::move(bytes), std::move(*file_name)};
  return {};
}

Status read_raw(Call& call, SearchRequest& request) {
  std::vector<std::string> known = wire::search_setting_names();
  known.emplace_back("name");
  TRY(only_parameters(call, known));
  QueryPicture picture;
  for (const auto& [name, value] : call.target.query) {
    if (name == "name") {
      if (value.size() > kNameBytesMax) {
        return Error(ErrorCode::invalid_argument, "the name is longer than 255 bytes");
      }
      picture.name = value;
      continue;
    }
    ASSIGN_OR_RETURN([[maybe_unused]] const bool taken,
                     wire::read_search_setting(name, value, request));
  }
  ASSIGN_OR_RETURN(auto bytes, call.body.take());
  if (bytes.empty()) {
    return Error(ErrorCode::invalid_argument, "the search has no picture",
                 "Send a picture as the body, or JSON with image_id, vector or examples.");
  }
  picture.bytes = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  request.query = std::move(picture);
  return {};
}

Result<SearchRequest> read_request(Call& call) {
  const std::string type = media_type(call.head);
  if (type == "application/json") {
    TRY(only_parameters(call, {}));
    ASSIGN_OR_RETURN(const std::string json, call.body.text());
    return wire::read_search_request(json);
  }
  SearchRequest request;
  if (type == "multipart/form-data") {
    TRY(only_parameters(call, {}));
    TRY(read_form(call, request));
  } else if (type.empty() || type == "application/octet-stream" || type.starts_with("image/")) {
    TRY(read_raw(call, request));
  } else {
    return cannot_take(type);
  }
  return request;
}

std::string_view cache_word(CacheState state) {
  switch (state) {
    case CacheState::off:
      return "off";
    case CacheState::miss:
      return "miss";
    case CacheState::hit:
      return "hit";
  }
  return "off";
}

}  // namespace

Result<Response> search(Deps& deps, Call& call) {
  const auto begin = Context::Clock::now();
  ASSIGN_OR_RETURN(SearchRequest request, read_request(call));
  request.collection = call.captures[0];
  ASSIGN_OR_RETURN(const SearchResponse response, deps.services.query.search(call.ctx, request));
  ASSIGN_OR_RETURN(const auto facts, deps.facts.get(call.ctx, request.collection));
  const View view{call.permissions, *facts};
  wire::SearchDoc doc = search_doc(request, response, view);
  if (const auto* id = std::get_if<ImageId>(&request.query); id && request.cursor.empty()) {
    // Without it when the picture has just been removed: the hits are still right.
    auto row = deps.services.library.get_image(call.ctx, request.collection, *id);
    if (row.ok()) doc.query.image = image_doc(*row, view);
  }
  const double total_ms =
      std::chrono::duration<double, std::milli>(Context::Clock::now() - begin).count();
  deps.metrics.search(response.timings, cache_word(response.cache), response.above_cutoff > 0,
                      total_ms);
  return json_response(wire::to_json(doc));
}

}  // namespace similis::http
