#include "http/server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "base/temporary_folder.h"
#include "http/test_client.h"

namespace similis::http {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

/// Counts to three, one number each 50 ms, or for ever.
class Numbers : public EventStream {
 public:
  explicit Numbers(bool for_ever) : for_ever_(for_ever) {}
  std::optional<std::string> next(const std::stop_token& stop, std::chrono::milliseconds) override {
    if (stop.stop_requested() || (!for_ever_ && number_ == 3)) return std::nullopt;
    std::this_thread::sleep_for(50ms);
    return "data: " + std::to_string(++number_) + "\n\n";
  }

 private:
  const bool for_ever_;
  int number_ = 0;
};

/// Answers by path; counts what was cancelled.
class TestHandler : public RequestHandler {
 public:
  std::atomic<int> cancelled{0};
  std::atomic<int> handled{0};
  std::atomic<bool> release{false};
  std::filesystem::path spool;
  std::uint64_t bytes_max = 1 << 20;
  std::chrono::milliseconds time_max{0};
  std::filesystem::path file;

  class TestExchange : public Exchange {
   public:
    TestExchange(TestHandler& owner, RequestHead head) : owner_(owner), head_(std::move(head)) {}
    [[nodiscard]] bool refused() const override { return head_.target == "/refused"; }
    [[nodiscard]] bool authorised() const override {
      return !head_.target.starts_with("/open") && !refused();
    }
    [[nodiscard]] BodyPolicy body_policy() const override {
      return {owner_.bytes_max, owner_.spool, "limits.test", owner_.time_max};
    }
    Response run(RequestBody body, std::stop_token cancel) override {
      ++owner_.handled;
      Response response;
      response.headers.set("X-Method", head_.method);
      response.headers.set("X-Via", head_.via == Via::tcp ? "tcp" : "unix");
      if (refused()) {
        response.status = 403;
        response.body = Bytes::of(std::string("no"));
      } else if (head_.target == "/slow") {
        for (int i = 0; i < 3000 && !cancel.stop_requested(); ++i)
          std::this_thread::sleep_for(20ms);
        if (cancel.stop_requested()) ++owner_.cancelled;
        response.body = Bytes::of(std::string("done"));
      } else if (head_.target == "/held" || head_.target == "/open-held") {
        while (!owner_.release && !cancel.stop_requested()) std::this_thread::sleep_for(5ms);
        response.body = Bytes::of(std::string("done"));
      } else if (head_.target == "/big") {
        response.body = Bytes::of(std::string(8 << 20, 'x'));
      } else if (head_.target == "/file") {
        auto opened = File::open(owner_.file, O_RDONLY);
        if (opened.ok()) response.body = Bytes::of(std::move(*opened), std::size_t{8} << 20);
      } else if (head_.target == "/nothing") {
        response.status = 204;
      } else if (head_.target == "/three" || head_.target == "/ever") {
        response.headers.set("Content-Type", "text/event-stream");
        response.stream = std::make_unique<Numbers>(head_.target == "/ever");
      } else {
        const bool memory = body.in_memory();
        auto text = body.text();
        response.headers.set("X-Memory", memory ? "yes" : "no");
        response.body = Bytes::of(text.ok() ? *text : text.error().message);
      }
      return response;
    }
    Response fail(const Error& error, int status) override { return owner_.refuse(error, status); }

   private:
    TestHandler& owner_;
    RequestHead head_;
  };

  std::unique_ptr<Exchange> open(RequestHead head) override {
    return std::make_unique<TestExchange>(*this, std::move(head));
  }
  Response refuse(const Error& error, int status) override {
    Response response;
    response.status = status;
    response.body = Bytes::of(error.message);
    return response;
  }
};

class ServerTest : public testing::Test {
 protected:
  void start() {
    options.listen = ListenAddress{.host = "127.0.0.1", .port = 0, .port_given = true};
    auto made = Server::listen(options, handler);
    ASSERT_TRUE(made.ok()) << made.error().message;
    server = std::move(*made);
    server->start();
  }
  TestClient client() { return TestClient(server->port()); }
  static void wait_until(const std::function<bool()>& condition) {
    for (int i = 0; i < 3000 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    EXPECT_TRUE(condition());
  }

  TemporaryFolder folder;
  TestHandler handler;
  ServerOptions options;
  std::unique_ptr<Server> server;
};

TEST_F(ServerTest, KeepsAConnectionAndAnswersPipelinedRequestsInOrder) {
  start();
  auto c = client();
  c.send(
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
      "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
      "GET /c HTTP/1.1\r\nHost: x\r\n\r\n"
      "HEAD /big HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
  auto reply = c.reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "one");
  EXPECT_EQ(reply.field("Connection"), "keep-alive");
  EXPECT_EQ(reply.field("X-Via"), "tcp");
  EXPECT_EQ(c.reply().body, "two");
  EXPECT_EQ(c.reply().body, "");
  reply = c.reply(true);
  EXPECT_EQ(reply.field("Content-Length"), std::to_string(8 << 20));
  EXPECT_EQ(reply.field("X-Method"), "HEAD");
  reply = c.reply();
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(reply.field("Content-Length"), "");
  c.send("GET /d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(c.reply().field("Connection"), "close");
  EXPECT_EQ(c.read_all(), "");
}

TEST_F(ServerTest, TakesRequestsByteByByte) {
  start();
  auto c = client();
  for (const char byte : std::string("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")) {
    c.send(std::string_view(&byte, 1));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(c.reply().body, "ok");
}

TEST_F(ServerTest, SendsLargeAnswersWhole) {
  start();
  auto c = client();
  c.send("GET /big HTTP/1.0\r\n\r\n");
  const auto reply = c.reply();
  EXPECT_EQ(reply.body.size(), std::size_t{8} << 20);
  EXPECT_EQ(reply.field("Connection"), "close");
}

TEST_F(ServerTest, SpoolsLargeBodiesAndKeepsNothing) {
  handler.spool = folder.path() / "spool";
  handler.bytes_max = 64 << 20;
  start();
  std::mt19937_64 random(1);
  std::string body(5'000'000, '\0');
  for (char& c : body) c = static_cast<char>(random());
  auto c = client();
  c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n");
  c.send(body);
  const auto reply = c.reply();
  EXPECT_EQ(reply.field("X-Memory"), "no");
  EXPECT_TRUE(reply.body == body);
  EXPECT_TRUE(std::filesystem::is_empty(handler.spool));
}

TEST_F(ServerTest, RefusesByTheHeadAloneAndStillDeliversTheAnswer) {
  start();
  auto c = client();
  c.send("POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n");
  c.send(std::string(200'000, 'x'));
  const auto reply = c.reply();
  EXPECT_EQ(reply.status, 403);
  EXPECT_EQ(reply.field("Connection"), "close");
}

TEST_F(ServerTest, AnswersExpectContinue) {
  start();
  auto c = client();
  c.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(c.reply().status, 100);
  c.send("ok");
  EXPECT_EQ(c.reply().body, "ok");
  c.send("POST /refused HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(c.reply().status, 403);
}

TEST_F(ServerTest, LimitsBodies) {
  handler.bytes_max = 1000;
  start();
  auto c = client();
  c.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" +
         std::string(1000, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n");
  const auto reply = c.reply();
  EXPECT_EQ(reply.status, 413);
  EXPECT_THAT(reply.body, HasSubstr("1000"));
}

TEST_F(ServerTest, LimitsTheMemoryOfAllBodiesTogether) {
  options.limits.body_memory_max = 200'000;
  start();
  auto first = client();
  first.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n" +
             std::string(149'999, 'x'));
  wait_until([&] { return server->body_bytes() == 149'999; });
  auto second = client();
  second.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n" +
              std::string(150'000, 'x'));
  EXPECT_EQ(second.reply().status, 503);
  first.send("x");
  EXPECT_EQ(first.reply().status, 200);
  auto third = client();
  third.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n" +
             std::string(150'000, 'x'));
  EXPECT_EQ(third.reply().status, 200);
}

TEST_F(ServerTest, LimitsHeads) {
  start();
  auto c = client();
  c.send("GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(c.reply().status, 414);
  auto d = client();
  d.send("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n");
  EXPECT_EQ(d.reply().status, 431);
}

TEST_F(ServerTest, SlowHeadsAndBodiesEnd) {
  options.limits.header_timeout = 300ms;
  options.limits.idle_timeout = 300ms;
  options.limits.body_window = 300ms;
  start();
  auto silent = client();
  auto slow_head = client();
  slow_head.send("GET / HTT");
  auto slow_body = client();
  slow_body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nab");
  auto idle = client();
  idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(idle.reply().status, 200);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_EQ(slow_head.reply().status, 408);
  EXPECT_EQ(slow_body.reply().status, 408);
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
}

TEST_F(ServerTest, ABodyWithATimeLimitMustBeThereByThen) {
  options.limits.body_window_bytes = 1;
  options.limits.body_window = 100ms;
  handler.time_max = 500ms;
  start();
  auto c = client();
  c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n");
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<bool> ended{false};
  std::jthread drip([&] {  // fast enough for the window
    for (int i = 0; i < 400 && !ended; ++i) {
      c.send("x");
      std::this_thread::sleep_for(25ms);
    }
  });
  EXPECT_EQ(c.reply().status, 408);
  ended = true;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(ServerTest, SendsFilesWithoutHoldingThemInMemory) {
  std::string bytes(std::size_t{8} << 20, 'x');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 1000);
  handler.file = folder.path() / "large";
  std::ofstream(handler.file) << bytes;
  start();
  auto c = client();
  c.send("HEAD /file HTTP/1.1\r\nHost: x\r\n\r\nGET /file HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(c.reply(true).field("Content-Length"), std::to_string(bytes.size()));
  EXPECT_TRUE(c.reply().body == bytes);
  // One that turns out shorter cannot be answered whole: the connection ends before its length.
  std::filesystem::resize_file(handler.file, 1 << 20);
  c.send("GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_LT(c.read_all().size(), std::size_t{2} << 20);
}

TEST_F(ServerTest, SlowReadersEnd) {
  options.limits.write_timeout = 300ms;
  start();
  auto c = client();
  const int small = 4096;
  ::setsockopt(c.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  c.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  wait_until([&] { return server->connections() == 0; });
}

TEST_F(ServerTest, CancelsWhatNobodyWaitsFor) {
  start();
  auto c = client();
  c.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  wait_until([&] { return handler.handled == 1; });
  c.close();
  wait_until([&] { return handler.cancelled == 1; });
}

TEST_F(ServerTest, StreamsEvents) {
  start();
  auto c = client();
  c.send("GET /three HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string all = c.read_all();
  EXPECT_THAT(all, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(all, HasSubstr("\r\n\r\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"));
  EXPECT_THAT(all, Not(HasSubstr("Content-Length")));
}

TEST_F(ServerTest, LimitsStreamsAndNoticesWhenAListenerLeaves) {
  options.limits.streams_max = 2;
  start();
  auto a = client();
  auto b = client();
  a.send("GET /ever HTTP/1.1\r\nHost: x\r\n\r\n");
  b.send("GET /ever HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(a.read_until("data: 2"));
  EXPECT_TRUE(b.read_until("data: 2"));
  auto c = client();
  c.send("GET /ever HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(c.reply().status, 503);
  a.close();
  bool works = false;
  for (int i = 0; i < 50 && !works; ++i) {
    std::this_thread::sleep_for(50ms);
    auto d = client();
    d.send("GET /ever HTTP/1.1\r\nHost: x\r\n\r\n");
    works = d.read_until("data: 1");
  }
  EXPECT_TRUE(works);
}

TEST_F(ServerTest, LimitsConnections) {
  options.limits.connections_max = 3;
  options.unix_socket = folder.path() / "s.sock";
  start();
  std::vector<TestClient> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(client());
    held.back().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(held.back().reply().status, 200);
  }
  auto c = client();
  EXPECT_EQ(c.reply().status, 503);
  TestClient owner(options.unix_socket);
  owner.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(owner.reply().field("X-Via"), "unix");
}

TEST_F(ServerTest, WhoShowsNoCredentialGivesWayWhenAllPlacesAreTaken) {
  options.limits.connections_max = 6;
  start();
  const auto ask = [](TestClient& c, const std::string& path) {
    c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return c.reply().status;
  };
  // Places are taken in order: each is there before the next one comes.
  const auto taken = [this](std::size_t places) {
    wait_until([&] { return server->connections() == places; });
  };
  auto known = client();
  EXPECT_EQ(ask(known, "/"), 200);
  auto silent = client();
  taken(2);
  auto slow_head = client();
  slow_head.send("GET / HT");
  taken(3);
  auto stranger = client();  // an answer without a credential is no way to a lasting place
  EXPECT_EQ(ask(stranger, "/open"), 200);
  auto slow_body = client();
  slow_body.send(
      "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(slow_body.read_until("100 Continue\r\n\r\n"));
  slow_body.send("ab");
  auto at_work = client();
  at_work.send("GET /open-held HTTP/1.1\r\nHost: x\r\n\r\n");
  wait_until([&] { return handler.handled == 3; });

  // Each newcomer is served, and the one that waited longest is gone.
  std::vector<TestClient> newcomers;
  for (TestClient* oldest : {&silent, &slow_head, &stranger, &slow_body}) {
    newcomers.push_back(client());
    EXPECT_EQ(ask(newcomers.back(), "/"), 200);
    EXPECT_EQ(oldest->read_all(), "");
  }
  taken(6);
  // Those that are known or being served stay.
  auto late = client();
  EXPECT_EQ(late.reply().status, 503);
  handler.release = true;
  EXPECT_EQ(at_work.reply().status, 200);
  EXPECT_EQ(ask(known, "/"), 200);
  for (TestClient& newcomer : newcomers) EXPECT_EQ(ask(newcomer, "/"), 200);
}

TEST_F(ServerTest, UnixSocketIsTheOwnersAlone) {
  // Longer than sockaddr_un takes.
  const auto deep = folder.path() / std::string(100, 'a') / std::string(100, 'b');
  std::filesystem::create_directories(deep);
  options.unix_socket = deep / "similis.sock";
  start();
  struct stat info{};
  ASSERT_EQ(::stat(options.unix_socket.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  TestClient c(options.unix_socket);
  c.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(c.reply().status, 200);
  server->stop();
  EXPECT_FALSE(std::filesystem::exists(options.unix_socket));
}

TEST_F(ServerTest, StopsWithinItsGrace) {
  options.limits.grace = 3000ms;
  start();
  auto idle = client();
  idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(idle.reply().status, 200);
  auto held = client();
  held.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  auto stream = client();
  stream.send("GET /ever HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(stream.read_until("data: 1"));
  auto slow = client();
  slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  wait_until([&] { return handler.handled == 4; });
  const auto begin = std::chrono::steady_clock::now();
  std::jthread stopper([&] { server->stop(); });
  wait_until([&] {
    try {
      client();
      return false;
    } catch (const std::runtime_error&) {
      return true;  // no new connections
    }
  });
  EXPECT_EQ(idle.read_all(), "");
  handler.release = true;
  const auto reply = held.reply();
  EXPECT_EQ(reply.body, "done");
  EXPECT_EQ(reply.field("Connection"), "close");
  stopper.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
  EXPECT_EQ(handler.cancelled, 1);
  EXPECT_EQ(slow.reply().status, 0);
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(ServerTest, StopsAtOnceWhenNothingIsUnderWay) {
  start();
  auto c = client();
  const auto begin = std::chrono::steady_clock::now();
  server->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);  // well within the grace
}

TEST_F(ServerTest, MalformedRequestsGet400) {
  start();
  for (const char* bad : {
           "GET\r\n\r\n",
           "GET / HTTP/9.9\r\n\r\n",
           "GET / FTP/1.1\r\n\r\n",
           "GET  / HTTP/1.1\r\n\r\n",
           "G\x01T / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nno colon\r\n\r\n",
           "GET / HTTP/1.1\r\nBad Name: x\r\n\r\n",
           "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
           "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
           "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
           "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "\x16\x03\x01\x02",
           "\r\n\r\n\r\n\r\n",
       }) {
    auto c = client();
    c.send(bad);
    c.end();
    const auto reply = c.reply();
    EXPECT_TRUE(reply.status == 400 || reply.status == 505) << bad << " got " << reply.status;
  }
  auto c = client();
  c.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  EXPECT_EQ(c.reply().status, 400);
}

TEST_F(ServerTest, SurvivesGarbage) {
  start();
  const auto seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  const std::string seeds[] = {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"};
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = i % 4 == 3 ? std::string(random() % 300, '\0') : seeds[i % 4 % 3];
    for (char& c : bytes) {
      if (i % 4 == 3 || random() % 12 == 0) c = static_cast<char>(random());
    }
    bytes.resize(random() % (bytes.size() + 1));
    auto c = client();
    c.send(bytes);
    if (random() % 2 == 0) {
      c.end();
      c.read_all();
    }
  }
  auto c = client();
  c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(c.reply().status, 200);
  wait_until([&] { return server->connections() <= 1; });
}

TEST_F(ServerTest, ManyClientsAtOnce) {
  start();
  std::vector<std::jthread> clients;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      auto c = client();
      for (int j = 0; j < 200; ++j) {
        const std::string text = std::to_string(i) + "/" + std::to_string(j);
        c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(text.size()) +
               "\r\n\r\n" + text);
        if (c.reply().body != text) ++wrong;
      }
    });
  }
  clients.clear();
  EXPECT_EQ(wrong, 0);
}

TEST(Listen, TakesTheNextFreePortUnlessOneWasGiven) {
  TestHandler handler;
  ServerOptions options;
  options.listen = ListenAddress{.host = "127.0.0.1", .port = 0, .port_given = true};
  auto first = Server::listen(options, handler);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ((*first)->url(), "http://127.0.0.1:" + std::to_string((*first)->port()));
  EXPECT_FALSE((*first)->port_moved());
  options.listen->port = (*first)->port();
  const auto refused = Server::listen(options, handler);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("is taken"));
  options.listen->port_given = false;
  const auto moved = Server::listen(options, handler);
  ASSERT_TRUE(moved.ok());
  EXPECT_TRUE((*moved)->port_moved());
  EXPECT_NE((*moved)->port(), (*first)->port());
}

TEST(Listen, BeyondLoopbackNeedsAKey) {
  TestHandler handler;
  ServerOptions options;
  options.listen = ListenAddress{.host = "0.0.0.0", .port = 0, .port_given = true};
  const auto refused = Server::listen(options, handler);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().hint, HasSubstr("similis keys create"));
  options.has_api_key = true;
  EXPECT_TRUE(Server::listen(options, handler).ok());
}

TEST(Listen, ReadsAddresses) {
  const auto expect = [](const char* text, const char* host, int port, bool given) {
    const auto read = parse_listen(text);
    ASSERT_TRUE(read.ok()) << text << ": " << read.error().message;
    EXPECT_EQ(read->host, host) << text;
    EXPECT_EQ(read->port, port) << text;
    EXPECT_EQ(read->port_given, given) << text;
  };
  expect("127.0.0.1:8420", "127.0.0.1", 8420, true);
  expect("0.0.0.0", "0.0.0.0", 8420, false);
  expect(":9000", "127.0.0.1", 9000, true);
  expect("9000", "127.0.0.1", 9000, true);
  expect("localhost:1", "127.0.0.1", 1, true);
  expect("[::1]:8420", "::1", 8420, true);
  expect("::1", "::1", 8420, false);
  for (const char* wrong :
       {"example.com:80", "127.0.0.1:70000", "127.0.0.1:x", "[::1", "1.2.3:4", "[::1]8420"}) {
    EXPECT_FALSE(parse_listen(wrong).ok()) << wrong;
  }
  EXPECT_TRUE(is_loopback("127.9.9.9"));
  EXPECT_TRUE(is_loopback("::1"));
  EXPECT_FALSE(is_loopback("0.0.0.0"));
  EXPECT_FALSE(is_loopback("192.168.1.1"));
}

}  // namespace
}  // namespace similis::http
