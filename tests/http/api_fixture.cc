#include "http/api_fixture.h"

#include "stores/cache/memory/memory_cache.h"

namespace similis {

namespace {

wire::KeyDoc doc_of(const ApiKey& key) {
  wire::KeyDoc doc;
  doc.id = key.id;
  doc.name = key.name;
  doc.prefix = key.prefix;
  doc.created_at = key.created_at;
  if (key.last_used_at != 0) doc.last_used_at = key.last_used_at;
  return doc;
}

}  // namespace

Result<wire::KeyDoc> StoreKeyRing::create(const Context& ctx, std::string_view name,
                                          std::string_view prefix, const ContentHash& hash) {
  ASSIGN_OR_RETURN(const ApiKey key, metadata_.create_key(ctx, name, prefix, hash));
  return doc_of(key);
}

Result<std::vector<wire::KeyDoc>> StoreKeyRing::list(const Context& ctx) {
  ASSIGN_OR_RETURN(const auto keys, metadata_.list_keys(ctx));
  std::vector<wire::KeyDoc> docs;
  for (const ApiKey& key : keys) docs.push_back(doc_of(key));
  return docs;
}

Result<wire::KeyDoc> StoreKeyRing::use(const Context& ctx, const ContentHash& hash) {
  ASSIGN_OR_RETURN(const ApiKey key, metadata_.use_key(ctx, hash));
  return doc_of(key);
}

Result<http::SystemFigures> TestStatus::figures(const Context&) {
  http::SystemFigures out;
  out.data_dir = "/data/of/the/owner";
  out.memory = {300, 1000, {{"model", 200}, {"cache", 100}}};
  out.disk = {50, 5000, {{"thumbs", 50}}};
  out.figures = {{"similis_cache_hits_total", "Answers found in the cache.", {}, 7, true}};
  return out;
}

ApiTest::ApiTest() {
  memory_ = make_memory_cache({.bytes_max = 16 << 20});
  api_ports_ = std::make_unique<Ports>(
      Ports{*metadata_, vectors_, *memory_, blobs_, decoder_, *unpacker_, models_, limits_});
  query_ = std::make_unique<QueryService>(*api_ports_);
  api_uploads_ = std::make_unique<UploadService>(*api_ports_);
  library_ = std::make_unique<LibraryService>(*api_ports_);
  keys_ = std::make_unique<StoreKeyRing>(*metadata_);
  options_.version = "1.2.3";
  options_.command = "./launcher";
  options_.start_token = kToken;
  options_.allow_hosts = {"photos.home"};
  options_.index_roots = {root_};
  options_.spool_dir = dir_ / "spool";
  make_router();
}

void ApiTest::make_router() {
  router_ = value_of(http::Router::create({.query = *query_,
                                           .upload = *api_uploads_,
                                           .jobs = *jobs_,
                                           .library = *library_,
                                           .keys = *keys_,
                                           .status = status_},
                                          options_));
  router_->set_address("http://127.0.0.1:8420", 8420);
}

Answer ApiTest::ask(const std::string& method, const std::string& target, const std::string& body,
                    http::Headers headers, http::Via via) {
  http::RequestHead head;
  head.method = method;
  head.target = target;
  head.headers = std::move(headers);
  head.via = via;
  if (via == http::Via::tcp && !head.headers.find("Host"))
    head.headers.add("Host", "127.0.0.1:8420");
  if (via == http::Via::tcp && send_token_ && !head.headers.find("Authorization")) {
    head.headers.add("Authorization", std::string("Bearer ") + kToken);
  }
  head.has_body = !body.empty();
  if (head.has_body) head.content_length = body.size();
  http::Response response = router_->handle(std::move(head), http::RequestBody::of(body));
  Answer answer;
  answer.status = response.status;
  answer.headers = response.headers;
  answer.body = value_of(response.body.text());
  answer.json = Json::parse(answer.body, nullptr, false);
  answer.stream = std::move(response.stream);
  if (answer.json.is_discarded()) answer.json = nullptr;
  return answer;
}

Answer ApiTest::as_owner(const std::string& method, const std::string& target,
                         const std::string& json) {
  http::Headers headers;
  if (!json.empty()) headers.add("Content-Type", "application/json");
  return ask(method, target, json, headers, http::Via::unix_socket);
}

Answer ApiTest::as(const std::string& key, const std::string& method, const std::string& target,
                   const std::string& json) {
  http::Headers headers{{"Authorization", "Bearer " + key}};
  if (!json.empty()) headers.add("Content-Type", "application/json");
  return ask(method, target, json, headers);
}

std::string ApiTest::form(const std::vector<std::pair<std::string, std::string>>& files,
                          const std::string& params) {
  std::string body;
  for (const auto& [name, bytes] : files) {
    body += "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name +
            "\"\r\nContent-Type: image/jpeg\r\n\r\n" + bytes + "\r\n";
  }
  if (!params.empty()) {
    body += "--B\r\nContent-Disposition: form-data; name=\"params\"\r\n\r\n" + params + "\r\n";
  }
  return body + "--B--\r\n";
}

Answer ApiTest::upload(const std::vector<std::pair<std::string, std::string>>& files) {
  return ask("POST", "/api/v1/collections/pictures/images", form(files),
             {{"Content-Type", "multipart/form-data; boundary=B"}});
}

std::string ApiTest::new_key(const std::string& name) {
  const Answer made = as_owner("POST", "/api/v1/keys", "{\"name\":\"" + name + "\"}");
  EXPECT_EQ(made.status, 201) << made.body;
  return made.json.value("key", "");
}

}  // namespace similis
