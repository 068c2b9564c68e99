#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "http/router.h"
#include "services/harness.h"
#include "services/library_service.h"
#include "services/query_service.h"
#include "wire/json.h"

namespace similis {

/// Keys as the application keeps them.
class StoreKeyRing final : public http::KeyRing {
 public:
  explicit StoreKeyRing(MetadataStore& metadata) : metadata_(metadata) {}
  Result<wire::KeyDoc> create(const Context& ctx, std::string_view name, std::string_view prefix,
                              const ContentHash& hash) override;
  Result<std::vector<wire::KeyDoc>> list(const Context& ctx) override;
  Status remove(const Context& ctx, std::int64_t id) override {
    return metadata_.delete_key(ctx, id);
  }
  Result<wire::KeyDoc> use(const Context& ctx, const ContentHash& hash) override;

 private:
  MetadataStore& metadata_;
};

class TestStatus final : public http::StatusProvider {
 public:
  Result<http::SystemFigures> figures(const Context&) override;
  Status ready(const Context&) override { return state; }
  Status state;
};

struct Answer {
  int status = 0;
  http::Headers headers;
  std::string body;
  Json json;  // null when the body is not JSON
  std::unique_ptr<http::EventStream> stream;
};

/// The router over the services of ServicesTest. Requests come over TCP with the start's token
/// unless they say otherwise.
class ApiTest : public ServicesTest {
 protected:
  static constexpr const char* kToken = "StartToken123";

  ApiTest();
  ~ApiTest() override { stop_running(); }
  /// Takes changed options.
  void make_router();

  Answer ask(const std::string& method, const std::string& target, const std::string& body = "",
             http::Headers headers = {}, http::Via via = http::Via::tcp);
  Answer get(const std::string& target) { return ask("GET", target); }
  Answer post_json(const std::string& target, const std::string& json) {
    return ask("POST", target, json, {{"Content-Type", "application/json"}});
  }
  Answer as_owner(const std::string& method, const std::string& target,
                  const std::string& json = "");
  Answer as(const std::string& key, const std::string& method, const std::string& target,
            const std::string& json = "");
  /// A multipart body of files, each {name, bytes}, with the fixed boundary "B".
  static std::string form(const std::vector<std::pair<std::string, std::string>>& files,
                          const std::string& params = "");
  Answer upload(const std::vector<std::pair<std::string, std::string>>& files);
  std::string new_key(const std::string& name);

  std::unique_ptr<Cache> memory_;
  std::unique_ptr<Ports> api_ports_;
  std::unique_ptr<QueryService> query_;
  std::unique_ptr<UploadService> api_uploads_;
  std::unique_ptr<LibraryService> library_;
  std::unique_ptr<StoreKeyRing> keys_;
  TestStatus status_;
  http::RouterOptions options_;
  std::unique_ptr<http::Router> router_;
  bool send_token_ = true;
};

}  // namespace similis
