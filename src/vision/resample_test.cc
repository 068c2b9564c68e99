#include "vision/resample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace similis {
namespace {

using Filter = Preprocess::Filter;

RgbImage noise(int width, int height, std::mt19937& random) {
  RgbImage image{width, height,
                 std::vector<std::uint8_t>(static_cast<std::size_t>(3 * width * height))};
  for (auto& v : image.pixels) v = static_cast<std::uint8_t>(random());
  return image;
}

// The plain form: the box of each output pixel, in doubles.
RgbImage slow_area(const RgbImage& source, const Extent& e, int width, int height) {
  RgbImage out{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double x0 = e.x + e.width * x / width, x1 = e.x + e.width * (x + 1) / width;
      const double y0 = e.y + e.height * y / height, y1 = e.y + e.height * (y + 1) / height;
      double sum[3] = {0, 0, 0}, area = 0;
      for (int sy = 0; sy < source.height; ++sy) {
        const double h = std::min(y1, sy + 1.0) - std::max(y0, double(sy));
        if (h <= 0) continue;
        for (int sx = 0; sx < source.width; ++sx) {
          const double w = std::min(x1, sx + 1.0) - std::max(x0, double(sx));
          if (w <= 0) continue;
          area += w * h;
          for (int c = 0; c < 3; ++c) sum[c] += w * h * source.row(sy)[3 * sx + c];
        }
      }
      for (const double s : sum)
        out.pixels.push_back(static_cast<std::uint8_t>(std::lround(s / area)));
    }
  }
  return out;
}

int largest_difference(const RgbImage& a, const RgbImage& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  int worst = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    worst = std::max(worst, std::abs(int(a.pixels[i]) - int(b.pixels[i])));
  return worst;
}

TEST(Resample, AreaIsTheBoxAverage) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 40; ++i) {
    const RgbImage source = noise(20 + int(random() % 60), 20 + int(random() % 60), random);
    std::uniform_real_distribution<double> unit(0, 1);
    Extent e{unit(random) * 5, unit(random) * 5, 0, 0};
    e.width = source.width - e.x - unit(random) * 3;
    e.height = source.height - e.y - unit(random) * 3;
    const int width = 1 + int(random() % 11), height = 1 + int(random() % 11);
    EXPECT_LE(largest_difference(resample(source, e, width, height, Filter::area),
                                 slow_area(source, e, width, height)),
              1);
  }
}

TEST(Resample, SameSizeChangesNothing) {
  std::mt19937 random(1);
  const RgbImage source = noise(33, 21, random);
  for (const Filter filter : {Filter::area, Filter::bilinear, Filter::bicubic}) {
    EXPECT_EQ(resample(source, {0, 0, 33, 21}, 33, 21, filter).pixels, source.pixels);
  }
  // A whole-pixel part is cut out as it is.
  const RgbImage part = resample(source, {5, 4, 10, 8}, 10, 8, Filter::area);
  for (int y = 0; y < 8; ++y) {
    EXPECT_TRUE(std::equal(part.row(y), part.row(y) + 30, source.row(y + 4) + 15));
  }
}

TEST(Resample, FlatStaysFlat) {
  for (const int level : {0, 1, 127, 254, 255}) {
    RgbImage flat{50, 40, std::vector<std::uint8_t>(50 * 40 * 3, static_cast<std::uint8_t>(level))};
    for (const Filter filter : {Filter::area, Filter::bilinear, Filter::bicubic}) {
      for (const int size : {1, 7, 50, 93, 200}) {
        const RgbImage out = resample(flat, {0.3, 0.7, 49.1, 39.2}, size, size, filter);
        EXPECT_TRUE(
            std::all_of(out.pixels.begin(), out.pixels.end(), [&](int v) { return v == level; }));
      }
    }
  }
}

TEST(Resample, EnlargingInterpolates) {
  const RgbImage ramp{2, 1, {0, 0, 0, 200, 200, 200}};
  const RgbImage out = resample(ramp, {0, 0, 2, 1}, 8, 1, Filter::area);
  const int expected[] = {0, 0, 25, 75, 125, 175, 200, 200};
  for (int x = 0; x < 8; ++x)
    EXPECT_NEAR(out.pixels[static_cast<std::size_t>(3 * x)], expected[x], 1) << x;
}

TEST(Resample, IsTheSameForMirroredPictures) {
  std::mt19937 random(7);
  const RgbImage source = noise(301, 203, random);
  for (const Filter filter : {Filter::area, Filter::bilinear, Filter::bicubic}) {
    const RgbImage straight = resample(source, {0, 0, 301, 203}, 64, 64, filter);
    const RgbImage mirrored = resample(oriented(source, 2), {0, 0, 301, 203}, 64, 64, filter);
    EXPECT_LE(largest_difference(oriented(mirrored, 2), straight), 1);
  }
}

TEST(Orientation, TurnsAsExifSays) {
  // Stored: a b c      Corners of the upright picture by orientation (TIFF 6.0, tag 274).
  //         d e f
  const RgbImage stored{3, 2, {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6}};
  const std::vector<std::uint8_t> expected[] = {
      {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
      {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (int o = 1; o <= 8; ++o) {
    const RgbImage upright = oriented(stored, o);
    EXPECT_EQ(upright.width, o >= 5 ? 2 : 3);
    std::vector<std::uint8_t> seen;
    for (std::size_t i = 0; i < upright.pixels.size(); i += 3) seen.push_back(upright.pixels[i]);
    EXPECT_EQ(seen, expected[o - 1]) << "orientation " << o;
    EXPECT_EQ(oriented(upright, inverse_orientation(o)).pixels, stored.pixels);

    // A rectangle follows its pixels: the one pixel 'c'.
    const Extent c = oriented(Extent{2, 0, 1, 1}, 3, 2, o);
    EXPECT_EQ(upright.row(static_cast<int>(c.y))[3 * static_cast<int>(c.x)], 3)
        << "orientation " << o;
    const Extent back = oriented(c, upright.width, upright.height, inverse_orientation(o));
    EXPECT_EQ(back.x, 2);
    EXPECT_EQ(back.y, 0);
  }
}

}  // namespace
}  // namespace similis
