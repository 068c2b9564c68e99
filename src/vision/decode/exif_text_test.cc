#include "vision/decode/exif_text.h"

#include <gtest/gtest.h>

#include <string>

namespace similis {
namespace {

TEST(ExifText, Strings) {
  EXPECT_EQ(exif_string("Canon (Canon, ASCII, 6 components, 6 bytes)"), "Canon");
  EXPECT_EQ(exif_string("Galaxy S7 (SM-G930F) (Galaxy S7 (SM-G930F), ASCII, 21 components, 21 "
                        "bytes)"),
            "Galaxy S7 (SM-G930F)");
  EXPECT_EQ(exif_string("a (b), c (a (b), c, ASCII, 9 components, 9 bytes)"), "a (b), c");
  EXPECT_EQ(exif_string("  NIKON CORPORATION   "), "NIKON CORPORATION");
  EXPECT_EQ(exif_string("evil\n\x1B[31m"), "evil[31m");
  EXPECT_EQ(exif_string(""), "");
  EXPECT_EQ(exif_string(std::string(500, 'a')).size(), 64u);
}

TEST(ExifText, Times) {
  EXPECT_EQ(
      exif_time("2019:07:14 15:04:05 (2019:07:14 15:04:05, ASCII, 20 components, 20 bytes)", ""),
      1563116645);
  EXPECT_EQ(exif_time("1970:01:01 00:00:00", ""), 0);
  EXPECT_EQ(exif_time("2019:07:14 15:04:05", "+02:00"), 1563116645 - 7200);
  EXPECT_EQ(exif_time("2019:07:14 15:04:05", "-03:30 (-03:30, ASCII, 7 components, 7 bytes)"),
            1563116645 + 12600);
  EXPECT_EQ(exif_time("2019:07:14 15:04:05", "nonsense"), 1563116645);
  for (const char* bad : {"", "0000:00:00 00:00:00", "2019:13:01 00:00:00", "2019:02:30 00:00:00",
                          "2019:07:14", "2019-07-14 1:2:3", "    :  :     :  :  ",
                          "2019:07:14 25:00:00", "99999999999:01:01 00:00:00"}) {
    EXPECT_FALSE(exif_time(bad, "").has_value()) << bad;
  }
}

TEST(ExifText, Degrees) {
  EXPECT_NEAR(exif_degrees("51/1 30/1 1234/100 (51, 30, 12.34, Rational, 3 components, 24 bytes)",
                           "N (N, ASCII, 2 components, 2 bytes)", 90)
                  .value(),
              51.503428, 1e-6);
  EXPECT_NEAR(exif_degrees("0/1 7/1 3900/100", "W", 180).value(), -0.1275, 1e-6);
  EXPECT_FALSE(exif_degrees("51/0 30/1 0/1", "N", 90).has_value());
  EXPECT_FALSE(exif_degrees("91/1 0/1 0/1", "N", 90).has_value());
  EXPECT_FALSE(exif_degrees("51/1 30/1 0/1", "", 90).has_value());
  EXPECT_FALSE(exif_degrees("51/1", "N", 90).has_value());
}

}  // namespace
}  // namespace similis
