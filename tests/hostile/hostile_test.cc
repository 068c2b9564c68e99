#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "hostile/hostile_files.h"
#include "vision/decode/decode.h"
#include "vision/hashes.h"
#include "worker/pool.h"

namespace similis::hostile {
namespace {

std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* given = std::getenv("SIMILIS_TEST_SEED");
    const std::uint64_t seed =
        given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::printf("SIMILIS_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
  }();
  return value;
}

const std::vector<HostileFile>& files() {
  static const std::vector<HostileFile> all = [] {
    if (auto status = init_decoder(); !status.ok()) ADD_FAILURE() << status.error().message;
    return make_hostile_files(seed());
  }();
  return all;
}

std::unique_ptr<WorkerPool> start_pool() {
  WorkerPoolOptions options;
  options.worker = SIMILIS_WORKER;
  options.workers = 2;
  auto pool = WorkerPool::start(options);
  if (!pool.ok()) {
    ADD_FAILURE() << pool.error().message;
    std::abort();
  }
  return std::move(pool).value();
}

DecodeRequest everything() {
  DecodeRequest request;
  request.tensors.resize(2);
  request.tensors[1].fit = Preprocess::Fit::center_crop;
  request.tensors[1].crop_fraction = 0.875;
  request.thumbnail = request.content_hash = request.perceptual_hash = true;
  return request;
}

double mean_difference(const RgbImage& a, const RgbImage& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    sum += std::abs(int(a.pixels[i]) - int(b.pixels[i]));
  return sum / double(std::max<std::size_t>(a.pixels.size(), 1));
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

TEST(HostileFiles, AreManyAndNamedApart) {
  EXPECT_GE(files().size(), 200u);
  std::set<std::string> names;
  for (const auto& file : files()) EXPECT_TRUE(names.insert(file.name).second) << file.name;
}

TEST(HostileFiles, EachGivesAPictureOrAReason) {
  auto pool = start_pool();
  std::map<std::string, int> counts;
  for (const HostileFile& file : files()) {
    SCOPED_TRACE(file.name);
    auto outcome =
        pool->decode({}, {std::span<const std::byte>(file.bytes), file.name, everything()});
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    if (const auto* picture = std::get_if<DecodedPicture>(&*outcome)) {
      ++counts["picture"];
      EXPECT_TRUE(file.expect == Expect::picture || file.expect == Expect::typed) << "was decoded";
      EXPECT_GT(picture->width_px, 0);
      EXPECT_EQ(picture->tensors.size(), 2u);
      EXPECT_TRUE(picture->thumbnail.has_value() || picture->file_is_thumbnail);
    } else if (const auto* skipped = std::get_if<SkippedFile>(&*outcome)) {
      ++counts["skipped"];
      EXPECT_EQ(file.expect, Expect::skipped) << "skipped as " << skipped->type.word;
      EXPECT_FALSE(skipped->type.word.empty());
    } else {
      const Error& error = std::get<Error>(*outcome);
      ++counts["failed"];
      EXPECT_TRUE(file.expect == Expect::failed || file.expect == Expect::typed) << error.message;
      EXPECT_FALSE(error.message.empty());
      EXPECT_TRUE(is_printable(error.message)) << error.message;
      EXPECT_THAT(error.message, testing::HasSubstr(file.reason));
      EXPECT_NE(error.code, ErrorCode::internal) << error.message;
      if (std::getenv("SIMILIS_TEST_VERBOSE") != nullptr)
        std::printf("  %-40s %s\n", file.name.c_str(), error.message.c_str());
    }
  }
  std::printf("%zu files: %d pictures, %d failed, %d skipped, %d workers restarted\n",
              files().size(), counts["picture"], counts["failed"], counts["skipped"],
              static_cast<int>(pool->stats().restarts));
}

// Truncation is said as such, with the bytes there were.
TEST(HostileFiles, TruncationIsNamed) {
  auto pool = start_pool();
  for (const HostileFile& file : files()) {
    if (file.name.rfind("truncated-50-", 0) != 0 && file.name.rfind("truncated-90-", 0) != 0)
      continue;
    SCOPED_TRACE(file.name);
    auto outcome =
        pool->decode({}, {std::span<const std::byte>(file.bytes), file.name, everything()});
    ASSERT_TRUE(outcome.ok());
    ASSERT_TRUE(std::holds_alternative<Error>(*outcome));
    EXPECT_THAT(std::get<Error>(*outcome).message, testing::HasSubstr("ends early"));
    EXPECT_THAT(std::get<Error>(*outcome).message,
                testing::HasSubstr(with_commas(file.bytes.size())));
  }
}

TEST(HostileFiles, AllOrientationsGiveTheSameTensor) {
  auto pool = start_pool();
  for (const char* extension : {"jpg", "tif", "webp", "png"}) {
    std::vector<DecodedPicture> pictures;
    for (int o = 1; o <= 8; ++o) {
      const std::string name = "orientation-" + std::to_string(o) + "." + extension;
      SCOPED_TRACE(name);
      const auto file = std::find_if(files().begin(), files().end(),
                                     [&](const auto& f) { return f.name == name; });
      ASSERT_NE(file, files().end());
      auto outcome =
          pool->decode({}, {std::span<const std::byte>(file->bytes), name, everything()});
      ASSERT_TRUE(outcome.ok() && std::holds_alternative<DecodedPicture>(*outcome));
      pictures.push_back(std::get<DecodedPicture>(*std::move(outcome)));
      const DecodedPicture& picture = pictures.back();
      EXPECT_EQ(picture.exif.orientation, o);
      EXPECT_EQ(picture.width_px, 320);
      EXPECT_EQ(picture.height_px, 240);
      for (std::size_t t = 0; t < 2; ++t) {
        const double difference = mean_difference(picture.tensors[t], pictures[0].tensors[t]);
        if (std::string_view(extension) == "jpg") {
          EXPECT_LT(difference,
                    1.0);  // the JPEGs themselves differ: each was compressed in its own direction
        } else {
          EXPECT_EQ(difference, 0);
        }
      }
      EXPECT_LE(hash_distance(*picture.perceptual_hash, *pictures[0].perceptual_hash), 2);
    }
  }
}

// HEIC, AVIF and JPEG XL carry the turn in a field of their own, which the decoder applies.
TEST(HostileFiles, ExifDoesNotTurnWhatTurnsItself) {
  auto pool = start_pool();
  int seen = 0;
  for (const HostileFile& file : files()) {
    if (!file.name.starts_with("exif-orientation-does-not-count.")) continue;
    SCOPED_TRACE(file.name);
    auto outcome =
        pool->decode({}, {std::span<const std::byte>(file.bytes), file.name, everything()});
    ASSERT_TRUE(outcome.ok() && std::holds_alternative<DecodedPicture>(*outcome));
    EXPECT_EQ(std::get<DecodedPicture>(*outcome).width_px, 320);
    EXPECT_EQ(std::get<DecodedPicture>(*outcome).height_px, 240);
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

// Every way to store the scene looks like the scene.
TEST(HostileFiles, ColoursSurviveEveryFormat) {
  auto pool = start_pool();
  DecodeRequest request;
  request.tensors.resize(1);
  auto tensor = [&](const std::string& name) -> RgbImage {
    const auto file =
        std::find_if(files().begin(), files().end(), [&](const auto& f) { return f.name == name; });
    if (file == files().end()) {
      ADD_FAILURE() << "no file " << name;
      return {};
    }
    auto outcome = pool->decode({}, {std::span<const std::byte>(file->bytes), name, request});
    auto picture = outcome.ok() ? picture_or_error(*std::move(outcome))
                                : Result<DecodedPicture>(outcome.error());
    if (!picture.ok()) {
      ADD_FAILURE() << name << ": " << picture.error().message;
      return {};
    }
    return picture->tensors[0];
  };
  const RgbImage reference = tensor("png-rgb.png");
  const std::pair<const char*, double> close[] = {{"jpeg-baseline.jpg", 3},
                                                  {"jpeg-progressive.jpg", 3},
                                                  {"jpeg-444.jpg", 3},
                                                  {"jpeg-p3-profile.jpg", 4},
                                                  {"jpeg-srgb-profile.jpg", 3},
                                                  {"jpeg-garbage-profile.jpg", 3},
                                                  {"png-interlaced.png", 0},
                                                  {"png-16-bit.png", 1},
                                                  {"png-palette-8.png", 4},
                                                  {"png-p3-profile.png", 2.5},
                                                  {"webp-lossy.webp", 4},
                                                  {"webp-lossless.webp", 0},
                                                  {"webp-animated.webp", 4},
                                                  {"gif-still.gif", 4},
                                                  {"gif-animated.gif", 4},
                                                  {"tiff-plain.tif", 0},
                                                  {"tiff-lzw.tif", 0},
                                                  {"tiff-jpeg.tif", 3},
                                                  {"tiff-tiled-pyramid.tif", 0},
                                                  {"tiff-big.tif", 0},
                                                  {"tiff-16-bit.tif", 1},
                                                  {"tiff-float.tif", 1.5},
                                                  {"tiff-pages.tif", 0},
                                                  {"heic.heic", 5},
                                                  {"avif.avif", 5},
                                                  {"avif-lossless.avif", 1},
                                                  {"jxl-lossy.jxl", 3},
                                                  {"jxl-lossless.jxl", 0},
                                                  {"jxl-16-bit.jxl", 3}};
  for (const auto& [name, limit] : close)
    EXPECT_LE(mean_difference(tensor(name), reference), limit) << name;

  const RgbImage gray = tensor("png-gray.png");
  const std::pair<const char*, double> close_gray[] = {{"jpeg-gray.jpg", 2},
                                                       {"png-16-bit-gray.png", 1}};
  for (const auto& [name, limit] : close_gray)
    EXPECT_LE(mean_difference(tensor(name), gray), limit) << name;

  // Over white: the corners of every picture with alpha.
  for (const char* name :
       {"png-alpha.png", "png-16-bit-alpha.png", "png-palette-alpha.png", "webp-alpha.webp",
        "gif-transparent.gif", "tiff-alpha.tif", "heic-alpha.heic", "jxl-alpha.jxl"}) {
    const RgbImage image = tensor(name);
    ASSERT_FALSE(image.pixels.empty());
    EXPECT_GE(image.pixels[0], 253) << name;
    EXPECT_GE(image.pixels[1], 253) << name;
    EXPECT_GE(image.pixels[2], 253) << name;
    const std::uint8_t* middle = image.row(112) + 3 * 112;
    const std::uint8_t* same = reference.row(112) + 3 * 112;
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(middle[c], same[c], 12) << name;
  }

  const RgbImage bmp = tensor("bmp-24.bmp");
  for (const auto& [name, limit] : {std::pair{"bmp-32.bmp", 0.0},
                                    {"bmp-32-alpha.bmp", 0.0},
                                    {"bmp-os2.bmp", 0.0},
                                    {"bmp-top-down.bmp", 0.0},
                                    {"bmp-565.bmp", 4.0},
                                    {"bmp-555.bmp", 4.0}}) {
    EXPECT_LE(mean_difference(tensor(name), bmp), limit) << name;
  }
  EXPECT_EQ(mean_difference(tensor("bmp-rle8.bmp"), tensor("bmp-palette-8.bmp")), 0);
  EXPECT_EQ(mean_difference(tensor("bmp-rle4.bmp"), tensor("bmp-palette-4.bmp")), 0);
}

// Black letters on a transparent (and black) ground: white behind them, and far apart from each
// other.
TEST(HostileFiles, BlackLettersStandOnWhite) {
  auto pool = start_pool();
  (void)files();  // libvips is started
  DecodeRequest request;
  request.tensors.resize(1);
  request.perceptual_hash = true;
  std::vector<DecodedPicture> letters;
  for (const char letter : {'L', 'O', 'T', 'X'}) {
    for (const char* suffix : {".png", ".webp[lossless]", ".tif"}) {
      const Bytes bytes = write_picture(black_letter(letter, 200), {.suffix = suffix});
      auto outcome = pool->decode({}, {std::span<const std::byte>(bytes), "", request});
      ASSERT_TRUE(outcome.ok() && std::holds_alternative<DecodedPicture>(*outcome)) << suffix;
      const auto& picture = std::get<DecodedPicture>(*outcome);
      EXPECT_EQ(picture.tensors[0].pixels[0], 255) << suffix;
      const double white = double(std::count(picture.tensors[0].pixels.begin(),
                                             picture.tensors[0].pixels.end(), 255)) /
                           double(picture.tensors[0].pixels.size());
      EXPECT_GT(white, 0.4);
      EXPECT_LT(white, 0.9);
      if (std::string_view(suffix) == ".png") letters.push_back(picture);
    }
  }
  for (std::size_t i = 0; i < letters.size(); ++i) {
    for (std::size_t j = i + 1; j < letters.size(); ++j) {
      EXPECT_GT(mean_difference(letters[i].tensors[0], letters[j].tensors[0]), 20);
      EXPECT_GT(hash_distance(*letters[i].perceptual_hash, *letters[j].perceptual_hash), 8);
    }
  }
}

}  // namespace
}  // namespace similis::hostile
