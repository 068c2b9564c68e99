// Who may do what, and what a foreign page, a wrong address or a hostile path gets.

#include <fstream>
#include <set>

#include "http/api_fixture.h"

namespace similis {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class AccessTest : public ApiTest {
 protected:
  AccessTest() {
    write("secret trips/red.jpg", picture_bytes(250, 10, 10));
    write("secret trips/bad.jpg", picture_bytes(1, 1, 1, "BROKEN"));
    build();
  }
};

TEST_F(AccessTest, EverythingButHealthAndThePageNeedsACredential) {
  send_token_ = false;
  const std::set<std::string> open = {"GET /healthz", "GET /readyz", "POST /api/v1/session"};
  for (const std::string& operation : http::Router::operations()) {
    const std::size_t space = operation.find(' ');
    std::string target = operation.substr(space + 1);
    for (const auto& [name, value] : {std::pair{"{collection}", "pictures"}, {"{id}", "1"}}) {
      if (const auto at = target.find(name); at != std::string::npos) {
        target.replace(at, std::string(name).size(), value);
      }
    }
    const Answer answer = ask(operation.substr(0, space), target);
    if (open.contains(operation)) {
      EXPECT_NE(answer.status, 401) << operation;
      continue;
    }
    EXPECT_EQ(answer.status, 401) << operation;
    EXPECT_EQ(answer.headers.get("WWW-Authenticate"), "Bearer");
    EXPECT_EQ(answer.json["code"], "unauthenticated");
  }
}

TEST_F(AccessTest, WrongCredentialsAreRefused) {
  for (const char* bad : {"Bearer wrong", "Bearer ", "Bearer StartToken124", "Bearer StartToken12",
                          "Basic U3RhcnRUb2tlbjEyMw==", "StartToken123", "Bearer sim_nosuchkey",
                          "Bearer StartToken123 "}) {
    EXPECT_EQ(ask("GET", "/api/v1/jobs", "", {{"Authorization", bad}}).status, 401) << bad;
  }
  EXPECT_EQ(ask("GET", "/api/v1/jobs", "", {{"Authorization", "bearer StartToken123"}}).status,
            200);
  send_token_ = false;
  EXPECT_EQ(get("/api/v1/jobs?token=StartToken123").status, 401);
}

TEST_F(AccessTest, ThePrintedAddressBecomesACookie) {
  send_token_ = false;
  const Answer moved = get("/c/pictures?token=StartToken123&min=0.6");
  EXPECT_EQ(moved.status, 303);
  EXPECT_EQ(moved.headers.get("Location"), "/c/pictures?min=0.6");
  const std::string cookie(moved.headers.get("Set-Cookie"));
  EXPECT_THAT(cookie, StartsWith("similis_session_8420=StartToken123; "));
  EXPECT_THAT(cookie, HasSubstr("HttpOnly"));
  EXPECT_THAT(cookie, HasSubstr("SameSite=Strict"));
  EXPECT_EQ(moved.headers.get("Cache-Control"), "no-store");
  const std::string sent = "a=b; " + cookie.substr(0, cookie.find(';')) + "; c=d";
  EXPECT_EQ(ask("GET", "/api/v1/jobs", "", {{"Cookie", sent}}).status, 200);
  EXPECT_EQ(ask("GET", "/api/v1/jobs", "", {{"Cookie", "similis_session_8420=x"}}).status, 401);
  EXPECT_EQ(ask("GET", "/api/v1/jobs", "", {{"Cookie", "similis_session_1=StartToken123"}}).status,
            401);

  const Answer wrong = get("/?token=nonsense");
  EXPECT_EQ(wrong.status, 303);
  EXPECT_EQ(wrong.headers.get("Location"), "/");
  EXPECT_FALSE(wrong.headers.find("Set-Cookie"));
  EXPECT_EQ(get("//evil.example/?token=StartToken123").headers.get("Location"), "/");
  EXPECT_EQ(get("/a%0d%0ab?token=StartToken123").headers.get("Location"), "/a%0D%0Ab");
}

TEST_F(AccessTest, SigningInTradesACredentialForACookie) {
  const std::string key = new_key("frame");
  send_token_ = false;
  for (const std::string& credential : {std::string(kToken), key}) {
    const Answer in = post_json("/api/v1/session", Json{{"credential", credential}}.dump());
    EXPECT_EQ(in.status, 204) << in.body;
    const std::string cookie(in.headers.get("Set-Cookie"));
    EXPECT_EQ(
        ask("GET", "/api/v1/jobs", "", {{"Cookie", cookie.substr(0, cookie.find(';'))}}).status,
        200);
  }
  EXPECT_EQ(post_json("/api/v1/session", R"({"credential":"nonsense"})").status, 401);
  EXPECT_EQ(post_json("/api/v1/session", R"({"credential":"a; Path=/evil"})").status, 401);
}

TEST_F(AccessTest, KeysAreTheOwnersBusiness) {
  EXPECT_EQ(post_json("/api/v1/keys", R"({"name":"x"})").status, 403);
  EXPECT_EQ(get("/api/v1/keys").status, 403);
  const std::string key = new_key("frame");
  EXPECT_THAT(key, StartsWith("sim_"));
  EXPECT_EQ(key.size(), 47u);
  EXPECT_EQ(as(key, "GET", "/api/v1/keys").status, 403);
  EXPECT_EQ(as(key, "GET", "/api/v1/jobs").status, 200);
  const Answer list = as_owner("GET", "/api/v1/keys");
  ASSERT_EQ(list.json["keys"].size(), 1u);
  EXPECT_EQ(list.json["keys"][0]["name"], "frame");
  EXPECT_EQ(list.json["keys"][0]["prefix"], key.substr(0, 8));
  EXPECT_FALSE(list.json["keys"][0].contains("key"));
  EXPECT_THAT(list.body, Not(HasSubstr(key)));
  EXPECT_TRUE(list.json["keys"][0]["last_used_at"].is_string());
  EXPECT_EQ(
      as_owner("DELETE", "/api/v1/keys/" + list.json["keys"][0]["id"].get<std::string>()).status,
      204);
  EXPECT_EQ(as(key, "GET", "/api/v1/jobs").status, 401);
  EXPECT_EQ(as_owner("DELETE", "/api/v1/keys/77").status, 404);
}

TEST_F(AccessTest, PathsAreShownByPermission) {
  const std::string key = new_key("frame");
  const std::string job =
      "/api/v1/jobs/" + get("/api/v1/jobs").json["jobs"][0]["id"].get<std::string>();
  const std::vector<std::string> targets = {"/api/v1/collections/pictures/images",
                                            "/api/v1/collections/pictures",
                                            "/api/v1/status",
                                            "/api/v1/jobs",
                                            job,
                                            job + "/failures",
                                            "/api/v1/collections/pictures/failures",
                                            "/api/v1/collections"};
  for (const std::string& target : targets) {
    const Answer hidden = as(key, "GET", target);
    EXPECT_EQ(hidden.status, 200) << target;
    EXPECT_THAT(hidden.body, Not(HasSubstr(root_))) << target;
    EXPECT_THAT(hidden.body, Not(HasSubstr("/data/of"))) << target;
    EXPECT_THAT(get(target).body, HasSubstr(root_)) << target;
  }
  EXPECT_FALSE(as(key, "GET", "/api/v1/status").json["server"].contains("command"));
  EXPECT_TRUE(get("/api/v1/status").json["server"].contains("command"));
  const Answer image = as(key, "GET", "/api/v1/collections/pictures/images");
  EXPECT_EQ(image.json["images"][0]["folder"], "secret trips");
  EXPECT_FALSE(image.json["images"][0].contains("path"));
  EXPECT_EQ(as(key, "GET", job).json["root"], "pictures");

  remove("secret trips/red.jpg");
  const std::string file = image.json["images"][0]["file_url"];
  EXPECT_EQ(as(key, "GET", file).status, 404);
  EXPECT_THAT(as(key, "GET", file).body, Not(HasSubstr(root_)));

  options_.keys_see_paths = true;
  make_router();
  EXPECT_THAT(as(key, "GET", job).body, HasSubstr(root_));
}

TEST_F(AccessTest, FoldersOverTcpMustBeAllowed) {
  const std::string target = "/api/v1/collections/other/builds";
  const auto start = [&](const std::string& path) {
    return post_json(target, Json{{"path", path}}.dump());
  };
  std::filesystem::create_directories(dir_ / "outside");
  std::filesystem::create_directory_symlink(dir_ / "outside", root_ + "/link");
  std::filesystem::create_directory_symlink(root_ + "/secret trips", dir_ / "outside" / "in");
  for (const std::string& bad :
       {std::string("/etc"), std::string("/"), (dir_ / "outside").string(), root_ + "/../outside",
        root_ + "/link", root_ + "x", std::string("/no/such/folder"),
        root_ + "/secret trips/../../outside"}) {
    const Answer refused = start(bad);
    EXPECT_EQ(refused.status, 403) << bad << refused.body;
    EXPECT_THAT(refused.json["hint"], HasSubstr("server.allowed_roots"));
  }
  EXPECT_EQ(start(root_ + "/nosuch").status, 404);
  // A file may be a data set; this one is a picture.
  const Answer picture = start(root_ + "/secret trips/red.jpg");
  EXPECT_EQ(picture.status, 415);
  EXPECT_THAT(picture.json["detail"], HasSubstr("no archive"));
  EXPECT_EQ(start("pictures").status, 400);
  const Answer inside = start((dir_ / "outside" / "in").string());
  EXPECT_EQ(inside.status, 202) << inside.body;
  EXPECT_EQ(inside.json["root"], root_ + "/secret trips");
  EXPECT_EQ(as_owner("POST", target, Json{{"path", (dir_ / "outside").string()}}.dump()).status,
            202);
  options_.index_roots.clear();
  make_router();
  EXPECT_EQ(start(root_).status, 403);
}

TEST_F(AccessTest, ForeignPagesAndNamesReachNothing) {
  const std::string jobs = "/api/v1/jobs";
  const auto status = [&](http::Headers headers, const std::string& method = "GET",
                          const std::string& target = "/api/v1/jobs") {
    return ask(method, target, "", std::move(headers)).status;
  };
  EXPECT_EQ(status({{"Origin", "http://127.0.0.1:8420"}}), 200);
  EXPECT_EQ(status({{"Origin", "http://evil.example"}}), 403);
  EXPECT_EQ(status({{"Origin", "http://evil.example"}}, "POST", "/api/v1/jobs/1/pause"), 403);
  EXPECT_EQ(status({{"Origin", "http://evil.example"}}, "GET", "/healthz"), 403);
  EXPECT_EQ(status({{"Origin", "http://evil.example"}}, "POST", "/api/v1/session"), 403);
  EXPECT_EQ(status({{"Sec-Fetch-Site", "cross-site"}}, "GET", "/assets/x.js"), 403);
  EXPECT_EQ(status({{"Host", "evil.example"}}), 403);
  EXPECT_EQ(status({{"Host", "photos.home"}}), 200);
  EXPECT_EQ(status({{"Host", "evil.example"}}, "GET", "/"), 403);
  // Nothing ever tells a browser that other origins may read.
  const Answer preflight = ask("OPTIONS", jobs, "", {{"Origin", "http://127.0.0.1:8420"}});
  EXPECT_EQ(preflight.status, 405);
  EXPECT_EQ(preflight.headers.get("Allow"), "GET, HEAD");
  EXPECT_FALSE(preflight.headers.find("Access-Control-Allow-Origin"));
}

TEST_F(AccessTest, OtherMethodsAndPathsAreExplained) {
  const Answer wrong = ask("PUT", "/api/v1/collections/pictures/images");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.get("Allow"), "GET, HEAD, POST");
  EXPECT_EQ(ask("HEAD", "/api/v1/jobs").status, 200);
  EXPECT_EQ(get("/api/v1/nosuch").json["code"], "not_found");
  EXPECT_EQ(get("/api/v1/jobs/").status, 404);
  EXPECT_EQ(get("/api/v2/jobs").status, 404);
  EXPECT_EQ(get("/nosuch").status, 404);
  EXPECT_EQ(ask("POST", "/nosuch").status, 405);
  EXPECT_EQ(get("/api/v1/../../etc/passwd").status, 400);
  EXPECT_EQ(get("/%2e%2e/%2e%2e/etc/passwd").status, 400);
  EXPECT_EQ(get("/api/v1/jobs?limit=%zz").status, 400);
  EXPECT_EQ(get("/" + std::string(9000, 'a')).status, 414);
  EXPECT_EQ(get("/api/v1/jobs?limt=1").json["hint"], "Did you mean limit?");
  EXPECT_EQ(ask("POST", "/api/v1/jobs/1/pause", "{}").status, 400);
  EXPECT_EQ(ask("GET", "/api/v1/jobs", "x").status, 400);
}

TEST_F(AccessTest, OversizedBodiesAreRefusedByTheirHead) {
  options_.query_bytes_max = 1000;
  make_router();
  http::RequestHead head;
  head.method = "POST";
  head.target = "/api/v1/collections/pictures/search";
  head.via = http::Via::unix_socket;
  head.has_body = true;
  head.content_length = 1001;
  const auto exchange = router_->open(head);
  EXPECT_TRUE(exchange->refused());
  const http::Response response = exchange->run({}, {});
  EXPECT_EQ(response.status, 413);
  EXPECT_THAT(std::string(response.body.view()), HasSubstr("limits.query_bytes_max"));
}

TEST_F(AccessTest, ThePageIsServedFromMemoryOnly) {
  const auto web = dir_ / "web";
  std::filesystem::create_directories(web / "assets");
  std::ofstream(web / "index.html") << "<html>page</html>";
  std::ofstream(web / "docs.html") << "<html>docs</html>";
  std::ofstream(web / "openapi.json") << "{}";
  std::ofstream(web / "assets" / "app-1a2b.js") << "code";
  std::ofstream(web / "assets" / "app-1a2b.js.gz") << "zipped";
  options_.web_dir = web;
  make_router();
  send_token_ = false;
  for (const char* target : {"/", "/c/pictures", "/c/pictures/like/412?min=0.60", "/index.html"}) {
    const Answer page = get(target);
    EXPECT_EQ(page.status, 200) << target;
    EXPECT_EQ(page.body, "<html>page</html>");
    EXPECT_EQ(page.headers.get("Content-Type"), "text/html; charset=utf-8");
    EXPECT_EQ(page.headers.get("Cache-Control"), "no-cache");
    EXPECT_THAT(std::string(page.headers.get("Content-Security-Policy")),
                HasSubstr("script-src 'self'"));
  }
  EXPECT_EQ(get("/docs").body, "<html>docs</html>");
  EXPECT_EQ(get("/openapi.json").headers.get("Content-Type"), "application/json");
  const Answer asset = get("/assets/app-1a2b.js");
  EXPECT_EQ(asset.body, "code");
  EXPECT_THAT(std::string(asset.headers.get("Cache-Control")), HasSubstr("immutable"));
  EXPECT_EQ(asset.headers.get("Vary"), "Accept-Encoding");
  const Answer zipped =
      ask("GET", "/assets/app-1a2b.js", "", {{"Accept-Encoding", "br, gzip;q=0.8"}});
  EXPECT_EQ(zipped.body, "zipped");
  EXPECT_EQ(zipped.headers.get("Content-Encoding"), "gzip");
  EXPECT_EQ(ask("GET", "/assets/app-1a2b.js", "", {{"Accept-Encoding", "gzip;q=0"}}).body, "code");
  EXPECT_EQ(
      ask("GET", "/", "", {{"If-None-Match", std::string(get("/").headers.get("ETag"))}}).status,
      304);
  EXPECT_EQ(get("/assets/nosuch.js").status, 404);
  EXPECT_EQ(get("/assets/app-1a2b.js.gz").status, 404);
  EXPECT_EQ(ask("POST", "/").status, 405);
}

/// The description names every operation there is, and no other.
TEST_F(ApiTest, OpenApiNamesEveryOperation) {
  std::ifstream file(SIMILIS_OPENAPI_FILE);
  ASSERT_TRUE(file) << SIMILIS_OPENAPI_FILE;
  std::set<std::string> described;
  std::string line, path;
  bool in_paths = false;
  while (std::getline(file, line)) {
    if (!line.empty() && line[0] != ' ') in_paths = line == "paths:";
    if (!in_paths) continue;
    if (line.starts_with("  /") && line.ends_with(':')) path = line.substr(2, line.size() - 3);
    for (const auto& [key, method] : {std::pair{"    get:", "GET"},
                                      {"    post:", "POST"},
                                      {"    patch:", "PATCH"},
                                      {"    delete:", "DELETE"}}) {
      if (line == key) described.insert(std::string(method) + " " + path);
    }
  }
  const auto operations = http::Router::operations();
  std::set<std::string> served(operations.begin(), operations.end());
  served.insert("GET /openapi.json");  // a file of the page
  EXPECT_EQ(described, served);
}

TEST_F(AccessTest, OnlyAGoodCredentialMakesAConnectionOnesOwn) {
  const auto authorised = [this](const std::string& target, const std::string& credential,
                                 http::Via via = http::Via::tcp) {
    http::RequestHead head;
    head.method = "GET";
    head.target = target;
    head.headers = {{"Host", "127.0.0.1:8420"}};
    if (!credential.empty()) head.headers.add("Authorization", "Bearer " + credential);
    head.via = via;
    return router_->open(head)->authorised();
  };
  EXPECT_TRUE(authorised("/api/v1/jobs", kToken));
  EXPECT_TRUE(authorised("/api/v1/keys", kToken));  // known, if not allowed
  EXPECT_TRUE(authorised("/api/v1/jobs", "", http::Via::unix_socket));
  EXPECT_FALSE(authorised("/api/v1/jobs", ""));
  EXPECT_FALSE(authorised("/api/v1/jobs", "wrong"));
  EXPECT_FALSE(authorised("/", ""));
  EXPECT_FALSE(authorised("/healthz", kToken));  // nobody looked
}

TEST_F(AccessTest, WithoutACredentialLittleIsTaken) {
  for (const auto& [method, target] : {std::pair{"POST", "/api/v1/session"},
                                       std::pair{"GET", "/healthz"}, std::pair{"GET", "/"}}) {
    http::RequestHead head;
    head.method = method;
    head.target = target;
    head.headers = {{"Host", "127.0.0.1:8420"}, {"Content-Type", "application/json"}};
    head.has_body = true;
    const http::BodyPolicy policy = router_->open(head)->body_policy();
    EXPECT_LE(policy.bytes_max, 4096U) << target;
    EXPECT_GT(policy.time_max.count(), 0) << target;
    EXPECT_LE(policy.time_max, std::chrono::seconds(10)) << target;
  }
  send_token_ = false;
  EXPECT_EQ(
      post_json("/api/v1/session", Json{{"credential", std::string(5000, 'x')}}.dump()).status,
      413);
}

}  // namespace
}  // namespace similis
