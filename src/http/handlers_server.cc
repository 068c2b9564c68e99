#include "http/routes.h"
#include "http/secrets.h"
#include "wire/requests.h"

namespace similis::http {

namespace {

constexpr std::size_t kJobsForMetrics = 1000;

Response no_content() {
  Response response;
  response.status = 204;
  return response;
}

Result<std::vector<wire::CollectionDoc>> all_collections(Deps& deps, const Call& call) {
  ASSIGN_OR_RETURN(const auto summaries, deps.services.library.list_collections(call.ctx));
  std::vector<wire::CollectionDoc> docs;
  for (const CollectionSummary& one : summaries) {
    docs.push_back(collection_doc(one, call.permissions));
  }
  return docs;
}

}  // namespace

Result<Response> list_collections(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  wire::CollectionListDoc doc;
  ASSIGN_OR_RETURN(doc.collections, all_collections(deps, call));
  return json_response(wire::to_json(doc));
}

Result<Response> create_collection(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::string json, json_body(call));
  ASSIGN_OR_RETURN(const std::string name, wire::read_name(json));
  ASSIGN_OR_RETURN(const CollectionSummary made,
                   deps.services.library.create_collection(call.ctx, name));
  Response response = json_response(wire::to_json(collection_doc(made, call.permissions)), 201);
  response.headers.set("Location", "/api/v1/collections/" + name);
  return response;
}

Result<Response> get_collection(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const CollectionSummary summary,
                   deps.services.library.get_collection(call.ctx, call.captures[0]));
  return json_response(wire::to_json(collection_doc(summary, call.permissions)));
}

Result<Response> delete_collection(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  TRY(deps.services.library.delete_collection(call.ctx, call.captures[0]));
  deps.facts.forget(call.captures[0]);
  return no_content();
}

Result<Response> list_models(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const auto models, deps.services.library.models(call.ctx));
  wire::ModelListDoc doc;
  for (const auto& model : models) doc.models.push_back(model_doc(model, call.permissions));
  return json_response(wire::to_json(doc));
}

Result<Response> get_status(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  wire::StatusDoc doc;
  doc.version = deps.options.version;
  ASSIGN_OR_RETURN(doc.collections, all_collections(deps, call));
  ASSIGN_OR_RETURN(SystemFigures system, deps.services.status.figures(call.ctx));
  if (call.permissions.see_paths) doc.data_dir = std::move(system.data_dir);
  doc.memory = std::move(system.memory);
  doc.disk = std::move(system.disk);
  if (!deps.address.empty()) {
    doc.server = wire::ServerDoc{deps.address,
                                 {},
                                 deps.started_at,
                                 deps.metrics.searches(),
                                 deps.metrics.search_median_ms()};
    if (call.permissions.see_paths) doc.server->command = deps.options.command;
  }
  ASSIGN_OR_RETURN(const auto jobs, deps.services.jobs.list(call.ctx, 1));
  if (!jobs.empty()) doc.last_job = job_doc(jobs.front(), call.permissions);
  return json_response(wire::to_json(doc));
}

Result<Response> list_keys(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  wire::KeyListDoc doc;
  ASSIGN_OR_RETURN(doc.keys, deps.services.keys.list(call.ctx));
  return json_response(wire::to_json(doc));
}

Result<Response> create_key(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::string json, json_body(call));
  ASSIGN_OR_RETURN(const std::string name, wire::read_name(json));
  const std::string key = new_api_key();
  ASSIGN_OR_RETURN(wire::KeyDoc doc,
                   deps.services.keys.create(call.ctx, name, key_prefix(key), hash_of(key)));
  doc.key = key;
  return json_response(wire::to_json(doc), 201);
}

Result<Response> delete_key(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 0));
  TRY(deps.services.keys.remove(call.ctx, id));
  return no_content();
}

Result<Response> sign_in(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::string json, json_body(call));
  ASSIGN_OR_RETURN(const std::string credential, wire::read_credential(json));
  ASSIGN_OR_RETURN([[maybe_unused]] const Principal who, deps.auth.check(call.ctx, credential));
  Response response = no_content();
  response.headers.set("Set-Cookie", deps.auth.session_cookie(credential));
  return response;
}

Result<Response> healthz(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  return json_response(wire::to_json(wire::HealthDoc{"ok", deps.options.version}));
}

Result<Response> readyz(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  const Status ready = deps.services.status.ready(call.ctx);
  if (!ready.ok()) return Error(ErrorCode::unavailable, ready.error().message, ready.error().hint);
  return json_response(wire::to_json(wire::HealthDoc{"ready", {}}));
}

Result<Response> metrics(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const auto collections, all_collections(deps, call));
  ASSIGN_OR_RETURN(const auto jobs, deps.services.jobs.list(call.ctx, kJobsForMetrics));
  std::vector<wire::JobDoc> job_docs;
  for (const Job& job : jobs) job_docs.push_back(job_doc(job, call.permissions));
  ASSIGN_OR_RETURN(const SystemFigures system, deps.services.status.figures(call.ctx));
  Response response;
  response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = Bytes::of(deps.metrics.text(collections, job_docs, system));
  return response;
}

}  // namespace similis::http
