#include "vision/decode/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vips/vips.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "vision/decode/jpeg.h"
#include "vision/decode/tensor.h"
#include "vision/decode/vips_picture.h"

namespace similis {
namespace {

class Decode : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(init_decoder().ok()); }
};

// Four quarters: red, green / blue, gray.
RgbImage quarters(int width, int height) {
  RgbImage image{width, height,
                 std::vector<std::uint8_t>(static_cast<std::size_t>(3 * width * height), 0)};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint8_t* p = image.row(y) + 3 * x;
      const bool right = x >= width / 2, low = y >= height / 2;
      if (right && low)
        p[0] = p[1] = p[2] = 128;
      else
        p[low ? 2 : right ? 1 : 0] = 220;
    }
  }
  return image;
}

std::vector<std::byte> png(const RgbImage& image) {
  VipsImage* in = vips_image_new_from_memory(image.pixels.data(), image.pixels.size(), image.width,
                                             image.height, 3, VIPS_FORMAT_UCHAR);
  in->Type = VIPS_INTERPRETATION_sRGB;
  void* data = nullptr;
  std::size_t size = 0;
  EXPECT_EQ(vips_pngsave_buffer(in, &data, &size, "compression", 1, nullptr), 0);
  g_object_unref(in);
  const auto* begin = static_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + size);
  g_free(data);
  return bytes;
}

void expect_color(const RgbImage& image, int x, int y, std::array<int, 3> color, int tolerance) {
  const std::uint8_t* p = image.row(y) + 3 * x;
  for (std::size_t c = 0; c < 3; ++c)
    EXPECT_NEAR(p[c], color[c], tolerance) << "at " << x << ", " << y;
}

constexpr std::array<int, 3> kRed{220, 0, 0}, kGreen{0, 220, 0}, kBlue{0, 0, 220},
    kGray{128, 128, 128};

void* collect_loaders(GType type, void* names) {
  if (!G_TYPE_IS_ABSTRACT(type)) static_cast<std::vector<GType>*>(names)->push_back(type);
  return nullptr;
}

// Every loader of this libvips is either a promised one or blocked, whatever plug-ins are
// installed.
TEST_F(Decode, OnlyThePromisedLoadersAreOpen) {
  std::vector<GType> loaders;
  vips_type_map_all(g_type_from_name("VipsForeignLoad"), collect_loaders, &loaders);
  ASSERT_GT(loaders.size(), 20u);
  std::set<std::string> open;
  for (const GType type : loaders) {
    void* loaded = g_type_class_ref(type);
    const bool blocked = (VIPS_OPERATION_CLASS(loaded)->flags & VIPS_OPERATION_BLOCKED) != 0;
    bool promised = false;
    for (const char* name : kAllowedLoaders)
      promised = promised || g_type_is_a(type, g_type_from_name((std::string(name)).c_str()));
    EXPECT_EQ(blocked, !promised) << g_type_name(type);
    if (!blocked) open.insert(g_type_name(type));
    g_type_class_unref(loaded);
  }
  EXPECT_EQ(open.count("VipsForeignLoadSvgBuffer"), 0u);
  EXPECT_EQ(open.count("VipsForeignLoadTiffBuffer"), 1u);
  EXPECT_EQ(open.count("VipsForeignLoadHeifBuffer"), 1u);
  EXPECT_EQ(open.count("VipsForeignLoadJpegBuffer"), 1u);

  // The modules of the others are not even in the process.
  EXPECT_EQ(g_type_from_name("VipsForeignLoadPdfBuffer"), 0u);
  EXPECT_EQ(g_type_from_name("VipsForeignLoadMagickBuffer"), 0u);

  // And by what a stranger's bytes would meet.
  const std::string svg = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>";
  VipsImage* image = vips_image_new_from_buffer(svg.data(), svg.size(), "", nullptr);
  EXPECT_EQ(image, nullptr);
  vips_error_clear();
  VipsImage* direct = nullptr;
  EXPECT_NE(vips_svgload_buffer(const_cast<char*>(svg.data()), svg.size(), &direct, nullptr), 0);
  EXPECT_THAT(take_vips_error(), testing::HasSubstr("blocked"));
}

TEST_F(Decode, ATensorIsTheWholePictureStretched) {
  DecodeRequest request;
  request.tensors.resize(1);
  const auto picture = decode(png(quarters(400, 300)), "", request);
  ASSERT_TRUE(picture.ok()) << picture.error().message;
  const RgbImage& tensor = picture->tensors[0];
  ASSERT_EQ(tensor.width, 224);
  ASSERT_EQ(tensor.height, 224);
  expect_color(tensor, 10, 10, kRed, 0);
  expect_color(tensor, 210, 10, kGreen, 0);
  expect_color(tensor, 10, 210, kBlue, 0);
  expect_color(tensor, 210, 210, kGray, 0);
  // The same as the plain average of each box.
  const RgbImage expected =
      resample(quarters(400, 300), {0, 0, 400, 300}, 224, 224, Preprocess::Filter::area);
  EXPECT_EQ(tensor.pixels, expected.pixels);
}

TEST_F(Decode, CenterCropKeepsTheMiddle) {
  // White bars left and right of a red square: the crop leaves them out.
  RgbImage image{400, 200, std::vector<std::uint8_t>(400 * 200 * 3, 255)};
  for (int y = 0; y < 200; ++y) {
    for (int x = 100; x < 300; ++x) image.row(y)[3 * x + 1] = image.row(y)[3 * x + 2] = 0;
  }
  DecodeRequest request;
  request.tensors.resize(2);
  request.tensors[0].fit = Preprocess::Fit::center_crop;
  request.tensors[1] = {
      .width_px = 100, .height_px = 50, .fit = Preprocess::Fit::center_crop, .crop_fraction = 0.5};
  const auto picture = decode(png(image), "", request);
  ASSERT_TRUE(picture.ok());
  // Enlarging interpolates with what lies just outside the crop, so the outermost pixels are not
  // pure.
  expect_color(picture->tensors[0], 2, 2, {255, 0, 0}, 0);
  expect_color(picture->tensors[0], 221, 221, {255, 0, 0}, 0);
  expect_color(picture->tensors[0], 112, 112, {255, 0, 0}, 0);
  // Half of the largest 2:1 part: 200 x 100 in the middle, all red.
  const auto& half = picture->tensors[1].pixels;
  ASSERT_EQ(half.size(), 100u * 50 * 3);
  for (std::size_t i = 0; i < half.size(); ++i) ASSERT_EQ(half[i], i % 3 == 0 ? 255 : 0);
}

TEST_F(Decode, StepsOfACard) {
  DecodeRequest request;
  request.tensors.resize(4);
  request.tensors[1].grayscale = true;
  request.tensors[2].jpeg_quality = 10;
  request.tensors[3].denoise = true;
  RgbImage image = quarters(224, 224);
  image.row(50)[3 * 50] = 0;  // a speck
  const auto picture = decode(png(image), "", request);
  ASSERT_TRUE(picture.ok());
  expect_color(picture->tensors[0], 50, 50, {0, 0, 0}, 0);
  expect_color(picture->tensors[1], 10, 10, {66, 66, 66}, 1);
  EXPECT_NE(picture->tensors[2].pixels, picture->tensors[0].pixels);
  expect_color(picture->tensors[2], 200, 200, kGray, 6);
  expect_color(picture->tensors[3], 50, 50, kRed, 0);
}

TEST_F(Decode, ACropIsAllThatIsSeen) {
  DecodeRequest request;
  request.tensors.resize(1);
  request.thumbnail = true;
  request.preview_width_px = 4000;
  request.crop = CropRect{0.5, 0, 0.5, 0.5};
  for (const bool as_jpeg : {false, true}) {
    // Large, so that it is reduced while it is loaded.
    const RgbImage image = quarters(4000, 3000);
    const auto bytes = as_jpeg ? encode_jpeg(image, 90).value() : png(image);
    const auto picture = decode(bytes, "", request);
    ASSERT_TRUE(picture.ok()) << picture.error().message;
    EXPECT_EQ(picture->width_px, 4000);
    expect_color(picture->tensors[0], 3, 3, kGreen, 3);
    expect_color(picture->tensors[0], 220, 220, kGreen, 3);
    ASSERT_TRUE(picture->thumbnail.has_value());
    const auto thumbnail = decode_jpeg(picture->thumbnail->bytes, 1, {0, 0, 512, 384});
    ASSERT_TRUE(thumbnail.ok());
    expect_color(*thumbnail, 5, 380, kGreen, 5);
    const auto preview = decode_jpeg(picture->preview->bytes, 1, {0, 0, 2000, 1500});
    ASSERT_TRUE(preview.ok()) << "of the crop's own size, not enlarged";
  }
}

// The tensor does not depend on what else is asked for, nor much on the format's way to reduce.
TEST_F(Decode, TheTensorIsTheSameInEveryRequest) {
  RgbImage image = quarters(2500, 1900);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x)
      image.row(y)[3 * x + 1] ^= static_cast<std::uint8_t>((x / 7 + y / 5) % 32);
  }
  DecodeRequest alone, all;
  alone.tensors.resize(1);
  all.tensors.resize(1);
  all.thumbnail = all.perceptual_hash = all.content_hash = true;
  const auto jpeg = encode_jpeg(image, 92).value();
  const auto a = decode(jpeg, "", alone), b = decode(jpeg, "", all),
             c = decode(png(image), "", alone);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ(a->tensors[0].pixels, b->tensors[0].pixels);
  double sum = 0;
  for (std::size_t i = 0; i < a->tensors[0].pixels.size(); ++i) {
    sum += std::abs(int(a->tensors[0].pixels[i]) - int(c->tensors[0].pixels[i]));
  }
  EXPECT_LT(sum / double(a->tensors[0].pixels.size()), 1.0);
}

TEST_F(Decode, ThumbnailsAndPreviews) {
  DecodeRequest request;
  request.thumbnail = true;
  request.preview_width_px = 1600;
  const auto small = decode(encode_jpeg(quarters(512, 100), 90).value(), "", request);
  ASSERT_TRUE(small.ok());
  EXPECT_TRUE(small->file_is_thumbnail);
  EXPECT_FALSE(small->thumbnail.has_value());
  EXPECT_TRUE(decode_jpeg(small->preview->bytes, 1, {0, 0, 512, 100}).ok());

  const auto large = decode(encode_jpeg(quarters(513, 1027), 90).value(), "", request);
  ASSERT_TRUE(large.ok());
  EXPECT_FALSE(large->file_is_thumbnail);
  ASSERT_TRUE(large->thumbnail.has_value());
  EXPECT_EQ(large->thumbnail->format, PictureFormat::jpeg);
  EXPECT_TRUE(decode_jpeg(large->thumbnail->bytes, 1, {0, 0, 256, 512}).ok());

  // What browsers do not show is never its own thumbnail, however small.
  VipsImage* in = nullptr;
  ASSERT_EQ(vips_black(&in, 64, 48, "bands", 3, nullptr), 0);
  void* data = nullptr;
  std::size_t size = 0;
  ASSERT_EQ(vips_tiffsave_buffer(in, &data, &size, nullptr), 0);
  g_object_unref(in);
  const auto tiff = decode({static_cast<const std::byte*>(data), size}, "", request);
  g_free(data);
  ASSERT_TRUE(tiff.ok());
  EXPECT_FALSE(tiff->file_is_thumbnail);
  EXPECT_TRUE(tiff->thumbnail.has_value());
}

TEST_F(Decode, ExifTells) {
  const RgbImage pixels = quarters(60, 40);
  VipsImage* in = vips_image_new_from_memory(pixels.pixels.data(), pixels.pixels.size(), 60, 40, 3,
                                             VIPS_FORMAT_UCHAR);
  in->Type = VIPS_INTERPRETATION_sRGB;
  const std::pair<const char*, const char*> tags[] = {
      {"exif-ifd0-Make", "Canon"},
      {"exif-ifd0-Model", "Canon EOS 5D"},
      {"exif-ifd2-DateTimeOriginal", "2019:07:14 15:04:05"},
      {"exif-ifd3-GPSLatitudeRef", "S"},
      {"exif-ifd3-GPSLatitude", "33/1 51/1 3540/100"},
      {"exif-ifd3-GPSLongitudeRef", "E"},
      {"exif-ifd3-GPSLongitude", "151/1 12/1 4000/100"},
      {"exif-ifd0-Orientation", "6"}};
  for (const auto& [name, value] : tags) vips_image_set_string(in, name, value);
  vips_image_set_int(in, VIPS_META_ORIENTATION, 6);
  void* data = nullptr;
  std::size_t size = 0;
  ASSERT_EQ(vips_jpegsave_buffer(in, &data, &size, nullptr), 0);
  g_object_unref(in);
  DecodeRequest request;
  request.tensors.resize(1);
  request.tensors[0].width_px = 40;
  request.tensors[0].height_px = 60;
  const auto picture = decode({static_cast<const std::byte*>(data), size}, "", request);
  g_free(data);
  ASSERT_TRUE(picture.ok()) << picture.error().message;
  EXPECT_EQ(picture->exif.camera(), "Canon EOS 5D");
  EXPECT_EQ(picture->exif.camera_make, "Canon");
  EXPECT_EQ(picture->exif.taken_unix_s, 1563116645);
  EXPECT_NEAR(picture->exif.latitude_deg.value_or(0), -33.859833, 1e-5);
  EXPECT_NEAR(picture->exif.longitude_deg.value_or(0), 151.211111, 1e-5);
  EXPECT_EQ(picture->exif.orientation, 6);
  EXPECT_EQ(picture->width_px, 40);
  EXPECT_EQ(picture->height_px, 60);
  // Turned a quarter to the right: the lower left (blue) comes to the upper left.
  expect_color(picture->tensors[0], 5, 5, kBlue, 25);
  expect_color(picture->tensors[0], 35, 5, kRed, 25);
  expect_color(picture->tensors[0], 5, 55, kGray, 25);
}

TEST_F(Decode, HeaderFactsNeedNoPixels) {
  auto bytes = png(quarters(300, 200));
  bytes.resize(200);  // the header is there, the pixels are not
  const auto facts = decode(bytes, "", {});
  ASSERT_TRUE(facts.ok()) << facts.error().message;
  EXPECT_EQ(facts->width_px, 300);
  DecodeRequest request;
  request.thumbnail = true;
  const auto pixels = decode(bytes, "", request);
  ASSERT_FALSE(pixels.ok());
  EXPECT_THAT(pixels.error().message, testing::StartsWith("PNG ends early: 200 of at least"));
}

TEST_F(Decode, RequestsAreChecked) {
  const auto bytes = png(quarters(30, 20));
  auto code = [&](const DecodeRequest& request) {
    const auto result = decode(bytes, "", request);
    return result.ok() ? ErrorCode::internal : result.error().code;
  };
  DecodeRequest r;
  r.crop = CropRect{0.2, 0.2, 0, 0.5};
  EXPECT_EQ(code(r), ErrorCode::invalid_argument);
  r.crop = CropRect{std::nan(""), 0, 1, 1};
  EXPECT_EQ(code(r), ErrorCode::invalid_argument);
  r = {};
  r.tensors.resize(1);
  r.tensors[0].width_px = 0;
  EXPECT_EQ(code(r), ErrorCode::invalid_argument);
  r.tensors[0] = {};
  r.tensors[0].crop_fraction = 1.5;
  EXPECT_EQ(code(r), ErrorCode::invalid_argument);
  r.tensors.assign(kTensorsMax + 1, {});
  EXPECT_EQ(code(r), ErrorCode::invalid_argument);
  r = {};
  r.preview_width_px = 100000;
  EXPECT_EQ(code(r), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace similis
