#pragma once

// Private to the room: what router.cc and the handlers share.

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/context.h"
#include "http/auth.h"
#include "http/message.h"
#include "http/metrics.h"
#include "http/services.h"
#include "http/static_files.h"
#include "http/target.h"
#include "http/views.h"

namespace similis::http {

/// What every handler works with; one for the router's life.
struct Deps {
  Deps(const RouterServices& services_, RouterOptions options_, StaticFiles files_)
      : services(services_),
        options(std::move(options_)),
        files(std::move(files_)),
        auth(options.start_token, services.keys),
        facts(services.library) {}

  RouterServices services;
  const RouterOptions options;
  const StaticFiles files;
  Authenticator auth;
  FactsCache facts;
  Metrics metrics;
  std::string address;  // "" without a server
  UnixSeconds started_at = 0;
};

/// One request as its handler sees it.
struct Call {
  RequestHead head;
  Target target;
  std::vector<std::string> captures;  // of the pattern's {names}, in order
  Principal principal;
  Permissions permissions;
  Context ctx;
  std::string request_id;
  RequestBody body;
};

using Handler = Result<Response> (*)(Deps&, Call&);

enum class Access : std::uint8_t {
  open,    // anybody who reaches the port
  member,  // any credential
  owner,
};

enum class BodyKind : std::uint8_t {
  none,
  json,
  picture,
  upload,
  json_or_upload,
};

inline constexpr std::uint64_t kJsonBytesMax = 1 << 20;

struct Route {
  std::string_view method;
  std::string_view pattern;  // "/api/v1/jobs/{id}"
  Handler handler;
  Access access = Access::member;
  BodyKind body = BodyKind::none;
};

std::span<const Route> routes();

// The handlers, by what they are about.
Result<Response> list_collections(Deps&, Call&);
Result<Response> create_collection(Deps&, Call&);
Result<Response> get_collection(Deps&, Call&);
Result<Response> delete_collection(Deps&, Call&);
Result<Response> list_images(Deps&, Call&);
Result<Response> upload_images(Deps&, Call&);
Result<Response> get_image(Deps&, Call&);
Result<Response> set_image_tags(Deps&, Call&);
Result<Response> delete_image(Deps&, Call&);
Result<Response> get_image_file(Deps&, Call&);
Result<Response> get_image_thumbnail(Deps&, Call&);
Result<Response> get_image_preview(Deps&, Call&);
Result<Response> search(Deps&, Call&);
Result<Response> start_build(Deps&, Call&);
Result<Response> start_export(Deps&, Call&);
Result<Response> start_verify(Deps&, Call&);
Result<Response> list_jobs(Deps&, Call&);
Result<Response> get_job(Deps&, Call&);
Result<Response> follow_job(Deps&, Call&);
Result<Response> pause_job(Deps&, Call&);
Result<Response> resume_job(Deps&, Call&);
Result<Response> cancel_job(Deps&, Call&);
Result<Response> list_failures(Deps&, Call&);
Result<Response> list_collection_failures(Deps&, Call&);
Result<Response> retry_failures(Deps&, Call&);
Result<Response> list_models(Deps&, Call&);
Result<Response> get_status(Deps&, Call&);
Result<Response> list_keys(Deps&, Call&);
Result<Response> create_key(Deps&, Call&);
Result<Response> delete_key(Deps&, Call&);
Result<Response> sign_in(Deps&, Call&);
Result<Response> healthz(Deps&, Call&);
Result<Response> readyz(Deps&, Call&);
Result<Response> metrics(Deps&, Call&);

// ---- what handlers have in common

Response json_response(std::string json, int status = 200);
/// The capture as an id.
Result<std::int64_t> id_capture(const Call& call, std::size_t index);
/// invalid_argument for a query parameter that is not among `known` or comes twice; the hint names
/// the nearest.
Status only_parameters(const Call& call, std::initializer_list<std::string_view> known);
Status only_parameters(const Call& call, const std::vector<std::string>& known);
/// A whole-number parameter, or `otherwise` when it is absent.
Result<std::int64_t> whole_parameter(const Call& call, std::string_view name, std::int64_t min,
                                     std::int64_t max, std::int64_t otherwise);
/// "application/json" of "Application/JSON; charset=utf-8".
std::string media_type(const RequestHead& head);
/// The body as JSON text; unsupported_media when it is not sent as JSON.
Result<std::string> json_body(const Call& call);

}  // namespace similis::http
