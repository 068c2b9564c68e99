#include <algorithm>
#include <limits>

#include "http/conditional.h"
#include "http/guard.h"
#include "http/multipart.h"
#include "http/routes.h"
#include "wire/requests.h"
#include "wire/text.h"

namespace similis::http {

namespace {

constexpr std::int64_t kPageMax = 1000;
constexpr std::int64_t kPageDefault = 100;
constexpr std::size_t kVersionBytesMax = 64;
constexpr std::int64_t kPreviewMinPx = 64;
constexpr std::int64_t kPreviewMaxPx = 4096;
constexpr std::int64_t kPreviewDefaultPx = 1600;
/// Uploads are handed on in groups of so much, so that a large request needs little memory.
constexpr std::size_t kGroupBytesMax = 32 << 20;
constexpr std::size_t kGroupFilesMax = 64;

Result<std::shared_ptr<const CollectionFacts>> facts_of(Deps& deps, const Call& call) {
  return deps.facts.get(call.ctx, call.captures[0]);
}

/// Only what a browser may show is named as what it is.
bool is_shown_type(std::string_view type) {
  return type.starts_with("image/") && type != "image/svg+xml";
}

/// "inline; filename*=UTF-8''a%20b.jpg"
std::string disposition(const std::string& media_type, const std::string& name) {
  return std::string(is_shown_type(media_type) ? "inline" : "attachment") + "; filename*=UTF-8''" +
         wire::percent_encode(wire::display_text(name));
}

/// The content's version that an address carries: "" without one.
Result<std::string> version_parameter(const Call& call) {
  const std::string* version = call.target.parameter("v");
  if (!version) return std::string();
  const bool is_hex = version->find_first_not_of("0123456789abcdef") == std::string::npos;
  if (version->empty() || version->size() > kVersionBytesMax || !is_hex) {
    return Error(ErrorCode::invalid_argument,
                 "v is \"" + wire::display_text(version->substr(0, 40)) +
                     "\"; it must be 1 to 64 hexadecimal digits",
                 "Take the address from an answer, or leave v out.");
  }
  return *version;
}

/// A picture's bytes. An address that carries the content's version (`v`) never changes its answer;
/// any other is asked for again. Without an etag nothing may be kept.
Response picture_response(const Call& call, const std::string& version, Bytes body,
                          const std::string& media_type, const std::string& etag,
                          const std::string& name) {
  Response response;
  response.headers.set("Content-Type",
                       is_shown_type(media_type) ? media_type : "application/octet-stream");
  response.headers.set("Content-Disposition", disposition(media_type, name));
  response.body = std::move(body);
  if (etag.empty()) {
    response.headers.set("Cache-Control", "private, no-store");
    return response;
  }
  const bool is_fixed = !version.empty() && std::string_view(etag).substr(1).starts_with(version);
  response.headers.set("Cache-Control",
                       is_fixed ? "private, max-age=31536000, immutable" : "private, no-cache");
  return conditional(call.head, std::move(response), etag);
}

Response picture_response(const Call& call, const std::string& version, PictureBytes picture) {
  return picture_response(call, version, Bytes::of(std::move(picture.bytes)), picture.media_type,
                          picture.etag, picture.name);
}

/// Takes the files of a form as they come and hands them to the service in groups.
class UploadCollector {
 public:
  UploadCollector(Deps& deps, Call& call) : deps_(deps), call_(call) {}

  Status begin(const PartHead& head) {
    if (head.name != "file") {
      return Error(
          ErrorCode::invalid_argument,
          "the form's field " + wire::display_text(head.name.substr(0, 60)) + " is not known here",
          "Send each picture as `file`.");
    }
    if (++files_ > deps_.options.upload_files_max) {
      TRY(flush());
      return Error(ErrorCode::too_large,
                   "the form has more than " + std::to_string(deps_.options.upload_files_max) +
                       " files; those before are stored",
                   "Send them in several requests, or raise limits.upload_files_max.");
    }
    name_ = head.filename.value_or("");
    bytes_ = std::make_shared<std::vector<std::byte>>();
    too_large_ = false;
    return {};
  }

  Status data(std::span<const std::byte> data) {
    if (bytes_->size() + data.size() > deps_.options.file_bytes_max) too_large_ = true;
    if (!too_large_) bytes_->insert(bytes_->end(), data.begin(), data.end());
    return {};
  }

  Status end() {
    if (too_large_) {
      TRY(flush());
      add({name_, UploadStatus::failed, 0,
           Error(
               ErrorCode::too_large,
               "the file has more than " + std::to_string(deps_.options.file_bytes_max) + " bytes",
               "Raise limits.file_bytes_max.")});
      bytes_.reset();
      return {};
    }
    group_bytes_ += bytes_->size();
    group_.push_back({name_, std::move(bytes_), {}});
    if (group_bytes_ >= kGroupBytesMax || group_.size() >= kGroupFilesMax) return flush();
    return {};
  }

  Status flush() {
    if (group_.empty()) return {};
    ASSIGN_OR_RETURN(const auto outcomes,
                     deps_.services.upload.upload(call_.ctx, call_.captures[0], group_));
    group_.clear();
    group_bytes_ = 0;
    for (const UploadOutcome& outcome : outcomes) add(outcome);
    return {};
  }

  wire::UploadDoc take() { return std::move(doc_); }

 private:
  void add(const UploadOutcome& outcome) {
    wire::UploadItemDoc item;
    item.name = wire::display_text(outcome.name);
    if (outcome.id != 0) item.id = outcome.id;
    switch (outcome.status) {
      case UploadStatus::created:
        item.status = "created";
        break;
      case UploadStatus::exists:
        item.status = "exists";
        break;
      case UploadStatus::failed: {
        const bool paths = call_.permissions.see_paths;
        const Error& error = outcome.error;
        item.status = "failed";
        item.code = std::string(error_code_name(error.code));
        item.reason = paths ? error.message : without_paths(error.message);
        item.hint = paths ? error.hint : without_paths(error.hint);
        break;
      }
    }
    doc_.items.push_back(std::move(item));
  }

  Deps& deps_;
  Call& call_;
  std::size_t files_ = 0;
  std::string name_;
  std::shared_ptr<std::vector<std::byte>> bytes_;
  bool too_large_ = false;
  std::vector<UploadFile> group_;
  std::size_t group_bytes_ = 0;
  wire::UploadDoc doc_;
};

}  // namespace

Result<Response> list_images(Deps& deps, Call& call) {
  TRY(only_parameters(call, {"cursor", "limit", "filter", "sort", "seed"}));
  ListRequest request;
  ASSIGN_OR_RETURN(const std::int64_t limit,
                   whole_parameter(call, "limit", 1, kPageMax, kPageDefault));
  request.limit = static_cast<std::size_t>(limit);
  ASSIGN_OR_RETURN(const std::int64_t seed, whole_parameter(call, "seed", 0, kIdMax, 0));
  request.seed = static_cast<std::uint64_t>(seed);
  if (const std::string* cursor = call.target.parameter("cursor")) request.cursor = *cursor;
  if (const std::string* filter = call.target.parameter("filter")) {
    ASSIGN_OR_RETURN(request.filter, parse_filter(*filter));
  }
  if (const std::string* sort = call.target.parameter("sort")) {
    if (*sort == "date") {
      request.sort = ListSort::date;
    } else if (*sort == "name") {
      request.sort = ListSort::name;
    } else if (*sort == "random") {
      request.sort = ListSort::random;
    } else {
      return Error(ErrorCode::invalid_argument,
                   "sort is \"" + wire::display_text(sort->substr(0, 40)) + "\"",
                   "Use date, name or random.");
    }
  }
  ASSIGN_OR_RETURN(const ListPage page, deps.services.library.list_images(
                                            call.ctx, call.captures[0], std::move(request)));
  ASSIGN_OR_RETURN(const auto facts, facts_of(deps, call));
  const View view{call.permissions, *facts};
  wire::ImagePageDoc doc;
  for (const ImageRow& row : page.rows) doc.images.push_back(image_doc(row, view));
  if (!page.next_cursor.empty()) doc.next_cursor = page.next_cursor;
  return json_response(wire::to_json(doc));
}

Result<Response> upload_images(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  if (media_type(call.head) != "multipart/form-data") {
    return Error(ErrorCode::unsupported_media, "pictures are uploaded as multipart/form-data",
                 "Use a form, or `curl -F file=@cat.jpg`.");
  }
  ASSIGN_OR_RETURN(const std::string boundary,
                   multipart_boundary(call.head.headers.get("Content-Type")));
  UploadCollector collector(deps, call);
  TRY(parse_multipart(call.body, boundary,
                      {[&](const PartHead& head) { return collector.begin(head); },
                       [&](std::span<const std::byte> data) { return collector.data(data); },
                       [&]() { return collector.end(); }}));
  TRY(collector.flush());
  wire::UploadDoc doc = collector.take();
  if (doc.items.empty()) {
    return Error(ErrorCode::invalid_argument, "the form has no `file`",
                 "Send each picture as `file`.");
  }
  return json_response(wire::to_json(doc));
}

Result<Response> get_image(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 1));
  ASSIGN_OR_RETURN(const ImageRow row,
                   deps.services.library.get_image(call.ctx, call.captures[0], id));
  ASSIGN_OR_RETURN(const auto facts, facts_of(deps, call));
  return json_response(wire::to_json(image_detail_doc(row, {call.permissions, *facts})));
}

Result<Response> set_image_tags(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 1));
  ASSIGN_OR_RETURN(const std::string json, json_body(call));
  ASSIGN_OR_RETURN(std::vector<std::string> tags, wire::read_tags(json));
  ASSIGN_OR_RETURN(const ImageRow row,
                   deps.services.library.set_tags(call.ctx, call.captures[0], id, std::move(tags)));
  ASSIGN_OR_RETURN(const auto facts, facts_of(deps, call));
  return json_response(wire::to_json(image_detail_doc(row, {call.permissions, *facts})));
}

Result<Response> delete_image(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 1));
  TRY(deps.services.library.remove_image(call.ctx, call.captures[0], id));
  Response response;
  response.status = 204;
  return response;
}

Result<Response> get_image_file(Deps& deps, Call& call) {
  TRY(only_parameters(call, {"v"}));
  ASSIGN_OR_RETURN(const std::string version, version_parameter(call));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 1));
  ASSIGN_OR_RETURN(const ImageRow row,
                   deps.services.library.get_image(call.ctx, call.captures[0], id));
  const std::string etag = LibraryService::file_etag(row);
  const std::string* known = call.head.headers.find("If-None-Match");
  if (known && etag_matches(*known, etag)) {  // answered by the row alone
    return picture_response(call, version, {}, "image/" + row.facts.format, etag, row.name);
  }
  ASSIGN_OR_RETURN(PictureFile picture, deps.services.library.file(call.ctx, row));
  return picture_response(
      call, version,
      Bytes::of(std::move(picture.file), static_cast<std::size_t>(picture.size_bytes)),
      picture.media_type, picture.etag, picture.name);
}

Result<Response> get_image_thumbnail(Deps& deps, Call& call) {
  TRY(only_parameters(call, {"v"}));
  ASSIGN_OR_RETURN(const std::string version, version_parameter(call));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 1));
  ASSIGN_OR_RETURN(PictureBytes picture,
                   deps.services.library.thumbnail(call.ctx, call.captures[0], id));
  return picture_response(call, version, std::move(picture));
}

Result<Response> get_image_preview(Deps& deps, Call& call) {
  TRY(only_parameters(call, {"v", "w"}));
  ASSIGN_OR_RETURN(const std::string version, version_parameter(call));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 1));
  ASSIGN_OR_RETURN(const std::int64_t width,
                   whole_parameter(call, "w", kPreviewMinPx, kPreviewMaxPx, kPreviewDefaultPx));
  ASSIGN_OR_RETURN(PictureBytes picture,
                   deps.services.library.preview(call.ctx, call.captures[0], id,
                                                 static_cast<std::int32_t>(width)));
  return picture_response(call, version, std::move(picture));
}

}  // namespace similis::http
