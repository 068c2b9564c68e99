#include "config/units.h"

#include <gtest/gtest.h>

namespace similis {
namespace {

using namespace std::chrono_literals;

TEST(Units, Bytes) {
  EXPECT_EQ(parse_bytes("4096").value(), 4096);
  EXPECT_EQ(parse_bytes("512MB").value(), 512 << 20);
  EXPECT_EQ(parse_bytes("512 MiB").value(), 512 << 20);
  EXPECT_EQ(parse_bytes("64k").value(), 65536);
  EXPECT_EQ(parse_bytes("1.5G").value(), 3LL << 29);
  EXPECT_EQ(parse_bytes("2TiB").value(), 2LL << 40);
  EXPECT_EQ(parse_bytes("7b").value(), 7);
  for (const char* bad :
       {"", "MB", "-1", "1.5", "1e3", "5 PB", "1 MB x", "0x10", ".", "99999999999TB", "nan"}) {
    EXPECT_FALSE(parse_bytes(bad).ok()) << bad;
  }
  EXPECT_EQ(format_bytes(0), "0");
  EXPECT_EQ(format_bytes(512 << 20), "512MiB");
  EXPECT_EQ(format_bytes(1536 << 10), "1536KiB");
  EXPECT_EQ(format_bytes(1001), "1001");
}

TEST(Units, Durations) {
  EXPECT_EQ(parse_duration("20s").value(), 20s);
  EXPECT_EQ(parse_duration("250ms").value(), 250ms);
  EXPECT_EQ(parse_duration("1.5h").value(), 90min);
  EXPECT_EQ(parse_duration("7d").value(), 168h);
  EXPECT_EQ(parse_duration("0.1s").value(), 100ms);
  for (const char* bad : {"", "20", "s", "-5s", "5 weeks", "0.0001ms", "99999999999999d"}) {
    EXPECT_FALSE(parse_duration(bad).ok()) << bad;
  }
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(120s), "2m");
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
}

TEST(Units, Counts) {
  EXPECT_EQ(parse_count("250M").value(), 250'000'000);
  EXPECT_EQ(parse_count("250_000_000").value(), 250'000'000);
  EXPECT_EQ(parse_count("0").value(), 0);
  for (const char* bad : {"", "8 MB", "1.5", "x", "_", "-2"})
    EXPECT_FALSE(parse_count(bad).ok()) << bad;
}

TEST(Units, WhatIsFormattedReadsBack) {
  for (const std::int64_t value :
       {0LL, 1LL, 1023LL, 1024LL, 1LL << 20, 3LL << 29, 5LL << 40, (1LL << 53) - 1}) {
    EXPECT_EQ(parse_bytes(format_bytes(value)).value(), value);
    EXPECT_EQ(parse_duration(format_duration(std::chrono::milliseconds(value))).value().count(),
              value);
    EXPECT_EQ(parse_count(format_count(value)).value(), value);
  }
}

}  // namespace
}  // namespace similis
