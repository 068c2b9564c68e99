// The whole way over real sockets: client, server, router.

#include <thread>

#include "client/socket_transport.h"
#include "http/api_fixture.h"
#include "http/server.h"

namespace similis {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class TransportTest : public ApiTest {
 protected:
  TransportTest() {
    http::ServerOptions options;
    options.listen = http::ListenAddress{.host = "127.0.0.1", .port = 0, .port_given = true};
    options.unix_socket = dir_ / "similis.sock";
    server_ = value_of(http::Server::listen(options, *router_));
    router_->set_address(server_->url(), server_->port());
    server_->start();
    tcp_ = std::make_unique<SocketTransport>(
        ServerPlace{.unix_socket = {}, .port = server_->port(), .credential = kToken});
    local_ = std::make_unique<SocketTransport>(ServerPlace{.unix_socket = options.unix_socket});
  }
  ~TransportTest() override {
    server_->stop();
    stop_running();
  }

  std::unique_ptr<http::Server> server_;
  std::unique_ptr<SocketTransport> tcp_;
  std::unique_ptr<SocketTransport> local_;
};

TEST_F(TransportTest, AsksOverBothKindsOfSocket) {
  for (Transport* transport :
       {static_cast<Transport*>(tcp_.get()), static_cast<Transport*>(local_.get())}) {
    const auto answer = transport->request(ctx_, {.target = "/api/v1/jobs"});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "{\"jobs\":[]}");
    EXPECT_EQ(answer->header("content-type"), "application/json");
    EXPECT_TRUE(transport->is_remote());
  }
  // Only the socket is the owner's.
  EXPECT_EQ(tcp_->request(ctx_, {.target = "/api/v1/keys"})->status, 403);
  EXPECT_EQ(local_->request(ctx_, {.target = "/api/v1/keys"})->status, 200);
  EXPECT_EQ(local_->request(ctx_, {.method = "HEAD", .target = "/healthz"})->status, 200);
  const auto gone =
      local_->request(ctx_, {.method = "DELETE", .target = "/api/v1/collections/nosuch"});
  EXPECT_EQ(gone->status, 404);
}

TEST_F(TransportTest, UploadsSearchesAndDownloads) {
  ASSERT_EQ(tcp_->request(ctx_, {.method = "POST",
                                 .target = "/api/v1/collections",
                                 .headers = {{"Content-Type", "application/json"}},
                                 .body = R"({"name":"pictures"})"})
                ->status,
            201);
  const std::string large = picture_bytes(9, 9, 200, std::string(3 << 20, 'x'));
  const auto uploaded = tcp_->request(
      ctx_, {.method = "POST",
             .target = "/api/v1/collections/pictures/images",
             .headers = {{"Content-Type", "multipart/form-data; boundary=B"}},
             .body = form({{"a.jpg", picture_bytes(250, 1, 1)}, {"large.jpg", large}})});
  ASSERT_TRUE(uploaded.ok()) << uploaded.error().message;
  ASSERT_EQ(uploaded->status, 200) << uploaded->body;
  const auto found = local_->request(
      ctx_, {.method = "POST", .target = "/api/v1/collections/pictures/search?k=1", .body = large});
  ASSERT_EQ(found->status, 200) << found->body;
  const Json hit = Json::parse(found->body)["hits"][0];
  EXPECT_EQ(hit["name"], "large.jpg");
  const auto file = tcp_->request(ctx_, {.target = hit["file_url"].get<std::string>()});
  EXPECT_TRUE(file->body == large);
}

TEST_F(TransportTest, FollowsAJobToItsEnd) {
  for (int i = 0; i < 20; ++i) write(std::to_string(i) + ".jpg", picture_bytes(i * 10, i, 200));
  decoder_.delay_ms = 20;
  const auto started = local_->request(ctx_, {.method = "POST",
                                              .target = "/api/v1/collections/pictures/builds",
                                              .headers = {{"Content-Type", "application/json"}},
                                              .body = Json{{"path", root_}}.dump()});
  ASSERT_EQ(started->status, 202) << started->body;
  start_running();
  std::vector<std::string> states;
  std::int64_t last_id = 0;
  const auto head =
      tcp_->stream(ctx_, {.target = std::string(started->header("Location")) + "/events"},
                   [&](const ServerSentEvent& event) {
                     EXPECT_EQ(event.event, "job");
                     EXPECT_GT(std::stoll(event.id), last_id);
                     last_id = std::stoll(event.id);
                     states.push_back(Json::parse(event.data)["state"]);
                     return true;
                   });
  ASSERT_TRUE(head.ok()) << head.error().message;
  EXPECT_EQ(head->status, 200);
  ASSERT_FALSE(states.empty());
  EXPECT_EQ(states.back(), "done");

  const auto problem = tcp_->stream(ctx_, {.target = "/api/v1/jobs/99/events"},
                                    [](const ServerSentEvent&) { return true; });
  EXPECT_EQ(problem->status, 404);
  EXPECT_THAT(problem->body, HasSubstr("not_found"));
}

TEST_F(TransportTest, StopsWaitingWhenNobodyWantsToKnow) {
  const auto started = local_->request(ctx_, {.method = "POST",
                                              .target = "/api/v1/collections/pictures/builds",
                                              .headers = {{"Content-Type", "application/json"}},
                                              .body = Json{{"path", root_}}.dump()});
  ASSERT_EQ(started->status, 202);
  const std::string events = std::string(started->header("Location")) + "/events";
  std::stop_source stop;
  Context ctx;
  ctx.cancel = stop.get_token();
  std::jthread interrupt([&] {
    std::this_thread::sleep_for(200ms);
    stop.request_stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto cancelled =
      tcp_->stream(ctx, {.target = events}, [](const ServerSentEvent&) { return true; });
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().code, ErrorCode::cancelled);
  const auto late = tcp_->stream(ctx_.with_timeout(200ms), {.target = events},
                                 [](const ServerSentEvent&) { return true; });
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
  const auto enough =
      tcp_->stream(ctx_, {.target = events}, [](const ServerSentEvent&) { return false; });
  EXPECT_TRUE(enough.ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
}

TEST_F(TransportTest, SaysThatNobodyIsThere) {
  server_->stop();
  for (Transport* transport :
       {static_cast<Transport*>(tcp_.get()), static_cast<Transport*>(local_.get())}) {
    const auto answer = transport->request(ctx_, {.target = "/api/v1/jobs"});
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::unavailable) << answer.error().message;
  }
}

TEST_F(TransportTest, EventStreamsEndWithTheServer) {
  const auto started = local_->request(ctx_, {.method = "POST",
                                              .target = "/api/v1/collections/pictures/builds",
                                              .headers = {{"Content-Type", "application/json"}},
                                              .body = Json{{"path", root_}}.dump()});
  ASSERT_EQ(started->status, 202);
  std::jthread stopper([&] {
    std::this_thread::sleep_for(200ms);
    server_->stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto ended =
      tcp_->stream(ctx_, {.target = std::string(started->header("Location")) + "/events"},
                   [](const ServerSentEvent&) { return true; });
  EXPECT_TRUE(ended.ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
}

}  // namespace
}  // namespace similis
