#include "http/conditional.h"

#include <gtest/gtest.h>

namespace similis::http {
namespace {

Response answer(Headers headers) {
  RequestHead head;
  head.headers = std::move(headers);
  Response response;
  response.body = Bytes::of(std::string("0123456789"));
  return conditional(head, std::move(response), "\"e1\"");
}

TEST(Conditional, SendsTheWholeWithItsTag) {
  const auto response = answer({});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("ETag"), "\"e1\"");
  EXPECT_EQ(response.body.view(), "0123456789");
}

TEST(Conditional, KnowsWhatTheClientHas) {
  for (const char* known : {"\"e1\"", "W/\"e1\"", "\"x\", \"e1\"", "*"}) {
    const auto response = answer({{"If-None-Match", known}, {"Range", "bytes=0-1"}});
    EXPECT_EQ(response.status, 304) << known;
    EXPECT_EQ(response.body.size(), 0u);
  }
  EXPECT_EQ(answer({{"If-None-Match", "\"e2\""}}).status, 200);
  EXPECT_EQ(answer({{"If-None-Match", "e1"}}).status, 200);
}

TEST(Conditional, SendsRanges) {
  const auto expect = [](const char* range, int status, const char* body,
                         const char* content_range) {
    const auto response = answer({{"Range", range}});
    EXPECT_EQ(response.status, status) << range;
    EXPECT_EQ(response.body.view(), body) << range;
    EXPECT_EQ(response.headers.get("Content-Range"), content_range) << range;
  };
  expect("bytes=0-0", 206, "0", "bytes 0-0/10");
  expect("bytes=2-5", 206, "2345", "bytes 2-5/10");
  expect("bytes=7-", 206, "789", "bytes 7-9/10");
  expect("bytes=7-99", 206, "789", "bytes 7-9/10");
  expect("bytes=-3", 206, "789", "bytes 7-9/10");
  expect("bytes=-99", 206, "0123456789", "bytes 0-9/10");
  expect("bytes=10-", 416, "", "bytes */10");
  expect("bytes=-0", 416, "", "bytes */10");
  for (const char* ignored : {"bytes=5-2", "bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=a-b",
                              "lines=1-2", "bytes=1-2x", "bytes=99999999999999999999-"}) {
    expect(ignored, 200, "0123456789", "");
  }
}

TEST(Conditional, ARangeBeyondTheEndIsNeverKept) {
  RequestHead head;
  head.headers.set("Range", "bytes=10-");
  Response response;
  response.headers.set("Cache-Control", "private, max-age=31536000, immutable");
  response.headers.set("Content-Type", "image/png");
  response.body = Bytes::of(std::string("0123456789"));
  const auto refused = conditional(head, std::move(response), "\"e1\"");
  EXPECT_EQ(refused.status, 416);
  EXPECT_EQ(refused.headers.get("Cache-Control"), "");  // which the router takes for no-store
  EXPECT_EQ(refused.headers.get("Content-Type"), "");
}

TEST(Conditional, IfRangeNeedsTheSameTag) {
  EXPECT_EQ(answer({{"Range", "bytes=0-1"}, {"If-Range", "\"e1\""}}).status, 206);
  EXPECT_EQ(answer({{"Range", "bytes=0-1"}, {"If-Range", "\"e2\""}}).status, 200);
}

}  // namespace
}  // namespace similis::http
