#include "http/guard.h"

#include <gtest/gtest.h>

namespace similis::http {
namespace {

RequestHead with(Headers headers, std::string method = "GET") {
  RequestHead head;
  head.method = std::move(method);
  head.headers = std::move(headers);
  return head;
}

TEST(Host, MustNameThisMachine) {
  for (const char* ours :
       {"localhost", "localhost:8420", "LOCALHOST.:1", "127.0.0.1:8420", "[::1]:8420",
        "similis.localhost", "192.168.1.7:8420", "photos.home", "Photos.Home:80"}) {
    EXPECT_TRUE(check_host(with({{"Host", ours}}), {"photos.home"}).ok()) << ours;
  }
  for (const char* foreign :
       {"evil.example", "localhost.evil.example:8420", "127.0.0.1.evil.example", "evil-localhost",
        "photos.home.evil.example"}) {
    const auto status = check_host(with({{"Host", foreign}}), {"photos.home"});
    ASSERT_FALSE(status.ok()) << foreign;
    EXPECT_EQ(status.error().code, ErrorCode::permission_denied) << foreign;
  }
  for (const char* broken : {"", "a b", "localhost:80:90", "localhost:x", "[::1", "[::1]x",
                             "user@localhost", "localhost/x"}) {
    const auto status = check_host(with({{"Host", broken}}), {});
    ASSERT_FALSE(status.ok()) << broken;
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument) << broken;
  }
  EXPECT_FALSE(check_host(with({}), {}).ok());
  EXPECT_FALSE(check_host(with({{"Host", "localhost"}, {"Host", "evil.example"}}), {}).ok());
}

TEST(Origin, MustBeOurs) {
  const auto ok = [](Headers headers, bool is_page = false, std::string method = "GET") {
    headers.add("Host", "127.0.0.1:8420");
    return check_origin(with(std::move(headers), std::move(method)), {"photos.home"}, is_page).ok();
  };
  EXPECT_TRUE(ok({}));  // curl and friends
  EXPECT_TRUE(ok({{"Origin", "http://127.0.0.1:8420"}}));
  EXPECT_TRUE(ok({{"Origin", "https://photos.home"}}));  // through a proxy
  EXPECT_TRUE(ok({{"Sec-Fetch-Site", "same-origin"}}));
  EXPECT_TRUE(ok({{"Sec-Fetch-Site", "none"}}));
  for (const char* foreign :
       {"http://evil.example", "null", "http://127.0.0.1:3000", "http://localhost:8420", "",
        "127.0.0.1:8420", "http://127.0.0.1:8420.evil.example"}) {
    EXPECT_FALSE(ok({{"Origin", foreign}})) << foreign;
    EXPECT_FALSE(ok({{"Origin", foreign}}, true, "POST")) << foreign;
  }
  // Another port of this host is the same site, but not the same origin.
  EXPECT_FALSE(ok({{"Sec-Fetch-Site", "same-site"}}));
  EXPECT_FALSE(ok({{"Sec-Fetch-Site", "cross-site"}}));
}

TEST(Origin, LinksMayLeadToThePageOnly) {
  const auto ok = [](const char* mode, const char* dest, bool is_page, const char* method) {
    return check_origin(with({{"Host", "localhost"},
                              {"Sec-Fetch-Site", "cross-site"},
                              {"Sec-Fetch-Mode", mode},
                              {"Sec-Fetch-Dest", dest}},
                             method),
                        {}, is_page)
        .ok();
  };
  EXPECT_TRUE(ok("navigate", "document", true, "GET"));
  EXPECT_FALSE(ok("navigate", "document", false, "GET"));  // the API
  EXPECT_FALSE(ok("navigate", "iframe", true, "GET"));
  EXPECT_FALSE(ok("no-cors", "image", true, "GET"));
  EXPECT_FALSE(ok("no-cors", "script", true, "GET"));
  EXPECT_FALSE(ok("navigate", "document", true, "POST"));
}

TEST(SecurityHeaders, AllowNothingFromElsewhere) {
  Response page;
  add_security_headers(page, Audience::page);
  EXPECT_NE(page.headers.get("Content-Security-Policy").find("default-src 'none'"),
            std::string::npos);
  EXPECT_EQ(page.headers.get("Content-Security-Policy").find("unsafe"), std::string::npos);
  Response api;
  add_security_headers(api, Audience::api);
  for (const Response* response : {&page, &api}) {
    EXPECT_EQ(response->headers.get("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(response->headers.get("Referrer-Policy"), "no-referrer");
    EXPECT_EQ(response->headers.get("Cross-Origin-Resource-Policy"), "same-origin");
    EXPECT_NE(response->headers.get("Content-Security-Policy").find("frame-ancestors 'none'"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace similis::http
