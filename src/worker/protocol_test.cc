#include "worker/protocol.h"

#include <gtest/gtest.h>

#include <random>

namespace similis {
namespace {

DecodeRequest request() {
  DecodeRequest r;
  r.tensors.resize(2);
  r.tensors[0] = {.width_px = 8, .height_px = 6, .grayscale = true};
  r.tensors[1] = {.width_px = 4,
                  .height_px = 4,
                  .fit = Preprocess::Fit::center_crop,
                  .crop_fraction = 0.875,
                  .jpeg_quality = 70};
  r.crop = CropRect{0.1, 0.2, 0.3, 0.4};
  r.thumbnail = r.content_hash = r.perceptual_hash = true;
  r.preview_width_px = 100;
  return r;
}

DecodedPicture picture() {
  DecodedPicture p;
  p.format = PictureFormat::avif;
  p.width_px = 640;
  p.height_px = 480;
  p.frames = 3;
  p.exif = {.taken_unix_s = -5,
            .camera_make = "A",
            .camera_model = "B",
            .latitude_deg = 1.5,
            .longitude_deg = -2.5,
            .orientation = 7};
  p.content_hash.emplace().fill(std::byte{9});
  p.perceptual_hash = 0x1234;
  p.tensors = {{8, 6, std::vector<std::uint8_t>(8 * 6 * 3, 1)},
               {4, 4, std::vector<std::uint8_t>(4 * 4 * 3, 2)}};
  p.thumbnail = EncodedImage{PictureFormat::jpeg, std::vector<std::byte>(77, std::byte{3})};
  p.preview = EncodedImage{PictureFormat::jpeg, std::vector<std::byte>(88, std::byte{4})};
  return p;
}

TEST(Protocol, AJobComesThroughWhole) {
  const JobMessage job{42, 1234, "photo.jpg", request(), {1000, 2000}};
  const auto read = read_job(to_bytes(job));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->id, 42u);
  EXPECT_EQ(read->file_bytes, 1234u);
  EXPECT_EQ(read->name, "photo.jpg");
  EXPECT_EQ(read->request.tensors, job.request.tensors);
  EXPECT_EQ(read->request.crop->height, 0.4);
  EXPECT_EQ(read->request.preview_width_px, 100);
  EXPECT_EQ(read->limits.pixels_max, 1000u);
}

TEST(Protocol, AReplyComesThroughWhole) {
  std::vector<std::byte> arena(4096);
  const auto read = read_reply(to_bytes(ReplyMessage{7, picture()}, arena), arena, request());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->id, 7u);
  const auto& got = std::get<DecodedPicture>(read->outcome);
  const DecodedPicture expected = picture();
  EXPECT_EQ(got.format, expected.format);
  EXPECT_EQ(got.frames, 3);
  EXPECT_EQ(got.exif.taken_unix_s, -5);
  EXPECT_EQ(got.exif.longitude_deg, -2.5);
  EXPECT_EQ(got.content_hash, expected.content_hash);
  EXPECT_EQ(got.perceptual_hash, expected.perceptual_hash);
  EXPECT_EQ(got.tensors[1].pixels, expected.tensors[1].pixels);
  EXPECT_EQ(got.thumbnail->bytes, expected.thumbnail->bytes);
  EXPECT_EQ(got.preview->bytes, expected.preview->bytes);

  const auto failed = read_reply(
      to_bytes(ReplyMessage{8, Error(ErrorCode::too_large, "m", "h")}, arena), arena, request());
  ASSERT_TRUE(failed.ok());
  EXPECT_EQ(std::get<Error>(failed->outcome).hint, "h");
}

TEST(Protocol, WhatDoesNotFitTheArenaIsAFailure) {
  std::vector<std::byte> arena(200);
  const auto read = read_reply(to_bytes(ReplyMessage{7, picture()}, arena), arena, request());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(std::get<Error>(read->outcome).code, ErrorCode::too_large);
}

TEST(Protocol, AReplyMustAnswerTheRequest) {
  std::vector<std::byte> arena(4096);
  const std::string bytes = to_bytes(ReplyMessage{7, picture()}, arena);
  auto refused = [&](auto change) {
    DecodeRequest other = request();
    change(other);
    const auto read = read_reply(bytes, arena, other);
    return !read.ok() && read.error().code == ErrorCode::corruption;
  };
  EXPECT_TRUE(refused([](DecodeRequest& r) { r.tensors.pop_back(); }));
  EXPECT_TRUE(refused([](DecodeRequest& r) { r.thumbnail = false; }));
  EXPECT_TRUE(refused([](DecodeRequest& r) { r.content_hash = false; }));
  EXPECT_TRUE(refused([](DecodeRequest& r) { r.preview_width_px = 0; }));
  EXPECT_TRUE(refused([](DecodeRequest& r) {
    r.tensors[0].width_px = r.tensors[0].height_px = 40;
  }));  // beyond the arena
}

// A worker that was taken over may say anything.
TEST(Protocol, DamagedRepliesAreRefusedOrHarmless) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<std::byte> arena(4096);
  const std::string whole = to_bytes(ReplyMessage{7, picture()}, arena);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = whole;
    for (unsigned k = 0; k <= random() % 4; ++k)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 3 == 0) bytes.resize(random() % (bytes.size() + 1));
    const auto read = read_reply(bytes, arena, request());
    refused += !read.ok();
    if (const auto* got = read.ok() ? std::get_if<DecodedPicture>(&read->outcome) : nullptr) {
      EXPECT_LE(got->thumbnail->bytes.size() + got->preview->bytes.size(), arena.size());
      EXPECT_GT(got->width_px, 0);
      EXPECT_LE(got->exif.camera_make.size(), 64u);
    }
  }
  EXPECT_GT(refused, 5000);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_FALSE(read_hello(bytes).ok());
    EXPECT_FALSE(read_job(bytes).ok());
    EXPECT_FALSE(read_reply(bytes, arena, request()).ok());
  }
}

}  // namespace
}  // namespace similis
