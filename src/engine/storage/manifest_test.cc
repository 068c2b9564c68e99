#include "engine/storage/manifest.h"

#include <gtest/gtest.h>

#include <cstring>

namespace similis::engine {
namespace {

Manifest example() {
  Manifest m;
  for (std::size_t i = 0; i < m.index.size(); ++i) m.index[i] = static_cast<std::byte>(i);
  m.kind = 1;
  m.metric = 2;
  m.dimensions = 1280;
  m.lsn = 77;
  m.max_id = 123456;
  m.first_wal = 9;
  m.next_file = 10;
  m.next_segment = 3;
  m.norm_max = 1.5F;
  m.segments = {{1, true, 5, {{2, 40960, 0, 5, 0, 11}, {4, 4096, 5, 0, 2, 12}}, {{7, 99, 8, 1000}}},
                {2, false, 3, {{5, 8192, 0, 3, 0, 13}}, {}}};
  return m;
}

/// With the checksum made right again.
std::vector<std::byte> resealed(std::vector<std::byte> bytes) {
  std::memset(bytes.data() + 12, 0, 4);
  const std::uint32_t checksum = crc32c(bytes);
  std::memcpy(bytes.data() + 12, &checksum, 4);
  return bytes;
}

TEST(Manifest, RoundTrips) {
  const auto decoded = decode_manifest(encode_manifest(example()), "M");
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(*decoded, example());
}

TEST(Manifest, AnyCutOrFlippedBitIsNoticed) {
  const auto bytes = encode_manifest(example());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_manifest(std::span(bytes).first(size), "M").ok()) << size;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(decode_manifest(damaged, "M").ok()) << bit;
  }
}

TEST(Manifest, ANewerFormatIsAConflict) {
  auto bytes = encode_manifest(example());
  bytes[8] = std::byte{9};
  const auto decoded = decode_manifest(resealed(bytes), "M");
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code, ErrorCode::conflict);
  EXPECT_EQ(decoded.error().message, "M: written in format 9, this version reads up to 1");
}

// Whole, but nonsense: each is refused as damage, none trips anything.
TEST(Manifest, ImpossibleOnesAreRefused) {
  const auto refused = [](auto change) {
    Manifest m = example();
    change(m);
    const auto decoded = decode_manifest(encode_manifest(m), "M");
    return !decoded.ok() && decoded.error().code == ErrorCode::corruption;
  };
  EXPECT_TRUE(refused([](Manifest& m) { m.dimensions = 0; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.dimensions = kDimensionsMax + 1; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.segments[0].sealed = false; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.segments[0].rows = 6; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.segments[1].parts[0].first_ordinal = 1; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.segments[1].number = 1; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.segments[1].number = m.next_segment; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.segments[1].parts[0].file = 4; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.segments[1].parts[0].file = m.next_file; }));
  EXPECT_TRUE(refused([](Manifest& m) { m.segments[0].derived[0].file = 5; }));
  // A count of segments that the file does not hold.
  auto bytes = encode_manifest(example());
  const std::uint32_t many = 1000000;
  std::memcpy(bytes.data() + 92, &many, 4);
  EXPECT_EQ(decode_manifest(resealed(bytes), "M").error().code, ErrorCode::corruption);
}

TEST(FileNames, RoundTripAndNothingElseMatches) {
  EXPECT_EQ(part_name(12), "part-0000000012");
  for (const std::uint64_t file : {0ULL, 7ULL, 9999999999ULL, 12345678901ULL}) {
    EXPECT_EQ(parse_name(part_name(file)).file, file);
    EXPECT_EQ(parse_name(part_name(file)).kind, FileKind::part);
    EXPECT_EQ(parse_name(wal_name(file)).kind, FileKind::wal);
    EXPECT_EQ(parse_name(derived_name(file)).kind, FileKind::derived);
  }
  for (const char* name : {"MANIFEST", "LOCK", "part-", "part-12", "part-00000000x2",
                           "wal-0000000001.bak", "part-00000000012", "notes.txt"})
    EXPECT_EQ(parse_name(name).kind, FileKind::other) << name;
  EXPECT_EQ(parse_name("MANIFEST.tmp").kind, FileKind::temporary);
}

TEST(Geometry, SlotsAreWholeSectors) {
  const auto expect = [](std::uint32_t dimensions, std::uint32_t slot, std::uint32_t per_slot) {
    const Geometry g(dimensions);
    EXPECT_EQ(g.slot_bytes, slot) << dimensions;
    EXPECT_EQ(g.rows_per_slot, per_slot) << dimensions;
    EXPECT_EQ(g.stride_bytes % 64, 0U);
    EXPECT_EQ(g.chunk_rows & (g.chunk_rows - 1), 0U);
    EXPECT_GE(g.chunk_rows, 64U);
  };
  expect(2048, 4096, 1);
  expect(1280, 2560, 1);
  expect(512, 1024, 1);
  expect(192, 512, 1);
  expect(128, 512, 2);
  expect(100, 512, 2);
  expect(64, 512, 4);
  expect(1, 512, 256);
}

}  // namespace
}  // namespace similis::engine
