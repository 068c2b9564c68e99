#include "http/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace similis::http {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(Target, IsTakenApartAndDecoded) {
  const auto target = parse_target("/api/v1/b%20c/%C3%BC?x=1&y=a+b%26c&z&=&x=2#frag");
  ASSERT_TRUE(target.ok());
  EXPECT_THAT(target->segments, ElementsAre("api", "v1", "b c", "ü"));
  EXPECT_THAT(target->query, ElementsAre(Pair("x", "1"), Pair("y", "a b&c"), Pair("z", ""),
                                         Pair("", ""), Pair("x", "2")));
  EXPECT_EQ(*target->parameter("x"), "1");
  EXPECT_EQ(target->parameter("q"), nullptr);
  EXPECT_TRUE(parse_target("/")->segments.empty());
  EXPECT_THAT(parse_target("/a/")->segments, ElementsAre("a", ""));
  EXPECT_THAT(parse_target("//a")->segments, ElementsAre("", "a"));
}

TEST(Target, NeverClimbs) {
  for (const char* bad :
       {"", "x", "*", "http://x/", "/..", "/a/../b", "/a/..", "/%2e%2e/x", "/a/%2E%2E%2fb",
        "/a%2fb", "/a%5cb", "/a\\b", "/./x", "/%", "/%4", "/%zz", "/a%00b", "/x?%", "/x?a=%g1"}) {
    EXPECT_FALSE(parse_target(bad).ok()) << bad;
  }
}

TEST(Target, TakesAnyBytes) {
  const auto seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (int i = 0; i < 20'000; ++i) {
    std::string text = "/";
    const std::size_t length = random() % 20;
    for (std::size_t j = 0; j < length; ++j) text += "/%?&=.+a2\\\0\xFF"[random() % 12];
    const auto target = parse_target(text);
    if (!target.ok()) continue;
    for (const std::string& segment : target->segments) {
      EXPECT_NE(segment, "..");
      EXPECT_EQ(segment.find('/'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace similis::http
