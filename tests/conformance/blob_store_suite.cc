#include "conformance/blob_store_suite.h"

#include <openssl/sha.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

namespace similis {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

ContentHash hash_of(std::span<const std::byte> bytes) {
  ContentHash hash{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

constexpr BlobKind kUpload = BlobKind::upload;
constexpr BlobKind kThumbnail = BlobKind::thumbnail;

TEST_P(BlobStoreSuite, BytesAndTypeComeBack) {
  for (const BlobKind kind : {kUpload, kThumbnail}) {
    for (const char* type :
         {"image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff", "image/heic",
          "image/avif", "image/jxl", "image/bmp", "application/octet-stream"}) {
      const auto bytes = bytes_of(std::string("\0\xff", 2) + type);
      const auto key = hash_of(bytes);
      ASSERT_THAT(store().put(ctx_, kind, key, bytes, type), IsOk());
      backend().reopen();
      const Blob blob = value_of(store().get(ctx_, kind, key));
      EXPECT_EQ(blob.bytes, bytes);
      EXPECT_EQ(blob.media_type, type);
      EXPECT_TRUE(value_of(store().contains(ctx_, kind, key)));
    }
  }
}

TEST_P(BlobStoreSuite, KindsAreApart) {
  const auto bytes = bytes_of("picture");
  const auto key = hash_of(bytes);
  const auto thumbnail = bytes_of("its thumbnail");
  ASSERT_THAT(store().put(ctx_, kUpload, key, bytes, "image/png"), IsOk());
  EXPECT_FALSE(value_of(store().contains(ctx_, kThumbnail, key)));
  EXPECT_THAT(store().get(ctx_, kThumbnail, key), FailsWith(ErrorCode::not_found));
  ASSERT_THAT(store().put(ctx_, kThumbnail, key, thumbnail, "image/jpeg"), IsOk());
  EXPECT_EQ(value_of(store().get(ctx_, kUpload, key)).bytes, bytes);
  EXPECT_EQ(value_of(store().get(ctx_, kThumbnail, key)).bytes, thumbnail);
  ASSERT_THAT(store().erase(ctx_, kUpload, key), IsOk());
  EXPECT_TRUE(value_of(store().contains(ctx_, kThumbnail, key)));
}

TEST_P(BlobStoreSuite, AThumbnailIsReplacedAlsoByAnotherType) {
  const ContentHash key = hash_of(bytes_of("k"));
  ASSERT_THAT(store().put(ctx_, kThumbnail, key, bytes_of("first"), "image/jpeg"), IsOk());
  ASSERT_THAT(store().put(ctx_, kThumbnail, key, bytes_of("second"), "image/jpeg"), IsOk());
  EXPECT_EQ(value_of(store().get(ctx_, kThumbnail, key)).bytes, bytes_of("second"));
  ASSERT_THAT(store().put(ctx_, kThumbnail, key, bytes_of("third"), "image/webp"), IsOk());
  const Blob blob = value_of(store().get(ctx_, kThumbnail, key));
  EXPECT_EQ(blob.bytes, bytes_of("third"));
  EXPECT_EQ(blob.media_type, "image/webp");
  EXPECT_EQ(value_of(store().usage(ctx_, kThumbnail)).count, 1);
}

TEST_P(BlobStoreSuite, AnUploadIsKeptOnceAndGetsYoungAgain) {
  const auto bytes = bytes_of("picture");
  const auto key = hash_of(bytes);
  ASSERT_THAT(store().put(ctx_, kUpload, key, bytes, "image/png"), IsOk());
  backend().make_older(kUpload, key, 5000);
  const auto age = [&] {
    std::int64_t out = -1;
    EXPECT_THAT(store().for_each(ctx_, kUpload,
                                 [&](const ContentHash& found, std::int64_t age_s) {
                                   EXPECT_EQ(found, key);
                                   out = age_s;
                                   return true;
                                 }),
                IsOk());
    return out;
  };
  EXPECT_GE(age(), 5000);
  ASSERT_THAT(store().put(ctx_, kUpload, key, bytes, "image/png"), IsOk());
  EXPECT_LT(age(), 100);
  EXPECT_EQ(value_of(store().usage(ctx_, kUpload)).count, 1);
}

TEST_P(BlobStoreSuite, DamageIsNoticedAndHealedByTheSameUpload) {
  const auto bytes = bytes_of("a picture of some bytes");
  const auto key = hash_of(bytes);
  const auto other = bytes_of("another");
  ASSERT_THAT(store().put(ctx_, kUpload, key, bytes, "image/png"), IsOk());
  ASSERT_THAT(store().put(ctx_, kUpload, hash_of(other), other, "image/png"), IsOk());
  EXPECT_THAT(value_of(store().verify(ctx_)), IsEmpty());
  backend().damage(kUpload, key);
  EXPECT_THAT(store().get(ctx_, kUpload, key), FailsWith(ErrorCode::corruption));
  EXPECT_THAT(store().open(ctx_, kUpload, key), FailsWith(ErrorCode::corruption));
  const auto findings = value_of(store().verify(ctx_));
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_FALSE(findings[0].file.empty());
  EXPECT_FALSE(findings[0].what.empty());
  ASSERT_THAT(store().put(ctx_, kUpload, key, bytes, "image/png"), IsOk());
  EXPECT_EQ(value_of(store().get(ctx_, kUpload, key)).bytes, bytes);
  EXPECT_THAT(value_of(store().verify(ctx_)), IsEmpty());
}

TEST_P(BlobStoreSuite, AbsentIsNotFoundAndErasingItIsNoError) {
  const ContentHash key = hash_of(bytes_of("never stored"));
  EXPECT_FALSE(value_of(store().contains(ctx_, kUpload, key)));
  EXPECT_THAT(store().get(ctx_, kUpload, key), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().erase(ctx_, kUpload, key), IsOk());
  EXPECT_THAT(store().erase_aged(ctx_, kUpload, key, 10), IsOk());
}

TEST_P(BlobStoreSuite, OnlyAgedBlobsAreSwept) {
  const auto bytes = bytes_of("picture");
  const auto key = hash_of(bytes);
  for (const BlobKind kind : {kUpload, kThumbnail}) {
    ASSERT_THAT(store().put(ctx_, kind, key, bytes, "image/png"), IsOk());
    ASSERT_THAT(store().erase_aged(ctx_, kind, key, 3600), IsOk());
    EXPECT_TRUE(value_of(store().contains(ctx_, kind, key)));
    backend().make_older(kind, key, 3700);
    ASSERT_THAT(store().erase_aged(ctx_, kind, key, 3600), IsOk());
    EXPECT_FALSE(value_of(store().contains(ctx_, kind, key)));
  }
}

TEST_P(BlobStoreSuite, EveryKeyIsVisitedOnceAndCounted) {
  std::set<ContentHash> keys;
  std::int64_t total = 0;
  for (int i = 0; i < 300; ++i) {
    const auto bytes = bytes_of("picture " + std::to_string(i));
    keys.insert(hash_of(bytes));
    total += static_cast<std::int64_t>(bytes.size());
    ASSERT_THAT(store().put(ctx_, kThumbnail, hash_of(bytes), bytes, "image/jpeg"), IsOk());
  }
  std::multiset<ContentHash> seen;
  ASSERT_THAT(store().for_each(ctx_, kThumbnail,
                               [&](const ContentHash& key, std::int64_t age_s) {
                                 EXPECT_LT(age_s, 600);
                                 seen.insert(key);
                                 return true;
                               }),
              IsOk());
  EXPECT_TRUE(std::equal(seen.begin(), seen.end(), keys.begin(), keys.end()));
  int visits = 0;
  ASSERT_THAT(store().for_each(ctx_, kThumbnail,
                               [&](const ContentHash&, std::int64_t) { return ++visits < 5; }),
              IsOk());
  EXPECT_EQ(visits, 5);
  const BlobUsage usage = value_of(store().usage(ctx_, kThumbnail));
  EXPECT_EQ(usage.count, 300);
  EXPECT_EQ(usage.bytes, total);
  EXPECT_EQ(value_of(store().usage(ctx_, kUpload)).count, 0);
}

TEST_P(BlobStoreSuite, ManyThreadsPutTheSameAndDifferentBlobs) {
  std::vector<std::vector<std::byte>> pictures;
  for (int i = 0; i < 8; ++i) {
    pictures.push_back(bytes_of(std::string(10'000 + i, static_cast<char>('a' + i))));
  }
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = 0; i < pictures.size(); ++i) {
          const auto& bytes = pictures[(i + static_cast<std::size_t>(t)) % pictures.size()];
          const auto key = hash_of(bytes);
          EXPECT_THAT(store().put(ctx_, kUpload, key, bytes, "image/png"), IsOk());
          EXPECT_THAT(store().put(ctx_, kThumbnail, key, bytes, "image/png"), IsOk());
          EXPECT_EQ(value_of(store().get(ctx_, kUpload, key)).bytes, bytes);
          EXPECT_EQ(value_of(store().get(ctx_, kThumbnail, key)).bytes, bytes);
        }
      });
    }
  }
  EXPECT_EQ(value_of(store().usage(ctx_, kUpload)).count, 8);
  EXPECT_EQ(value_of(store().usage(ctx_, kThumbnail)).count, 8);
  EXPECT_THAT(value_of(store().verify(ctx_)), IsEmpty());
}

TEST_P(BlobStoreSuite, LateCallsDoNothing) {
  const Context late = ctx_.with_timeout(-std::chrono::seconds(1));
  const auto bytes = bytes_of("picture");
  EXPECT_THAT(store().put(late, kUpload, hash_of(bytes), bytes, "image/png"),
              FailsWith(ErrorCode::deadline_exceeded));
  EXPECT_FALSE(value_of(store().contains(ctx_, kUpload, hash_of(bytes))));
}

TEST_P(BlobStoreSuite, OpensABlobForReading) {
  const std::vector<std::byte> bytes = bytes_of(std::string(700'000, 'x') + "end");
  const ContentHash key = hash_of(bytes);
  EXPECT_THAT(store().open(ctx_, kUpload, key), FailsWith(ErrorCode::not_found));
  ASSERT_THAT(store().put(ctx_, kUpload, key, bytes, "image/png"), IsOk());
  const File file = value_of(store().open(ctx_, kUpload, key));
  std::vector<std::byte> read(bytes.size());
  ASSERT_THAT(pread_exact(file.fd(), read, 0, "blob"), IsOk());
  EXPECT_EQ(read, bytes);
}

}  // namespace
}  // namespace similis
