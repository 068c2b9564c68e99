#include "wire/text.h"

#include <gtest/gtest.h>

#include <random>

namespace similis::wire {
namespace {

TEST(Time, IsRfc3339InUtc) {
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(format_time(1'710'498'600), "2024-03-15T10:30:00Z");
  EXPECT_EQ(format_time(-1), "1969-12-31T23:59:59Z");
  EXPECT_EQ(parse_time("2024-03-15T10:30:00Z"), 1'710'498'600);
  EXPECT_EQ(parse_time("2024-03-15T12:30:00.123+02:00"), 1'710'498'600);
  EXPECT_EQ(parse_time("2024-03-15T05:00:00-05:30"), 1'710'498'600);
  for (const char* wrong :
       {"", "2024", "2024-03-15", "2024-02-30T00:00:00Z", "2024-03-15T25:00:00Z",
        "2024-03-15T10:30:00", "2024-03-15T10:30:00.Z", "2024-03-15T10:30:00Zx",
        "2024-03-15T10:30:00+25:00", "x024-03-15T10:30:00Z"}) {
    EXPECT_FALSE(parse_time(wrong)) << wrong;
  }
}

TEST(Time, ComesBackForAnySecondOfTenThousandYears) {
  std::mt19937_64 random(7);
  std::uniform_int_distribution<UnixSeconds> any(-62'135'596'800, 253'402'300'799);
  for (int i = 0; i < 10'000; ++i) {
    const UnixSeconds time = any(random);
    ASSERT_EQ(parse_time(format_time(time)), time);
  }
}

TEST(Id, IsAPositiveDecimalBelowTwoToThe53) {
  EXPECT_EQ(parse_id("1"), 1);
  EXPECT_EQ(parse_id("9007199254740991"), kIdMax);
  for (const char* wrong : {"", "0", "01", "-1", "+1", "1.0", " 1", "1 ", "9007199254740992",
                            "99999999999999999999", "0x1"}) {
    EXPECT_FALSE(parse_id(wrong)) << wrong;
  }
}

TEST(Display, KeepsUtf8AndReplacesTheRest) {
  const std::string good = "Ünter/日本\xF0\x9F\x90\x88.jpg";
  EXPECT_TRUE(is_utf8(good));
  EXPECT_EQ(display_text(good), good);
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(display_text("a\xFFz"), "a" + replacement + "z");
  EXPECT_EQ(display_text("\xC3"), replacement);
  // Overlong, surrogate and beyond U+10FFFF are not UTF-8.
  EXPECT_FALSE(is_utf8("\xC0\xAF"));
  EXPECT_FALSE(is_utf8("\xED\xA0\x80"));
  EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));
}

TEST(Base64, ComesBack) {
  EXPECT_EQ(base64_encode("f"), "Zg==");
  EXPECT_EQ(base64_encode("fo"), "Zm8=");
  EXPECT_EQ(base64_encode("foo"), "Zm9v");
  std::mt19937 random(3);
  for (std::size_t length = 0; length < 100; ++length) {
    std::string bytes(length, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
  for (const char* wrong : {"Z", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9*"}) {
    EXPECT_FALSE(base64_decode(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace similis::wire
