#include "pictures.h"

#include <vips/vips.h>

#include <memory>
#include <span>
#include <string>

#include "base/file.h"

namespace similis::bench {
namespace {

constexpr int kDistinctMax = 40;

struct Unref {
  void operator()(VipsImage* image) const { g_object_unref(image); }
};
using Image = std::unique_ptr<VipsImage, Unref>;

Error vips_failure() {
  Error error(ErrorCode::internal, std::string("libvips: ") + vips_error_buffer());
  vips_error_clear();
  return error;
}

}  // namespace

Result<std::vector<std::byte>> make_jpeg(int width_px, int height_px, std::uint32_t seed) {
  // Three bands of Perlin noise at a cell size that the seed picks, plus grain.
  Image bands[3];
  for (int band = 0; band < 3; ++band) {
    VipsImage* coarse = nullptr;
    VipsImage* grain = nullptr;
    VipsImage* sum = nullptr;
    const int cell = 16 << ((seed + static_cast<std::uint32_t>(band)) % 4);
    if (vips_perlin(&coarse, width_px, height_px, "cell_size", cell, "uchar", TRUE, "seed",
                    static_cast<int>(seed * 3 + static_cast<std::uint32_t>(band)), nullptr) != 0) {
      return vips_failure();
    }
    const Image owned_coarse(coarse);
    if (vips_gaussnoise(&grain, width_px, height_px, "mean", 0.0, "sigma", 6.0, "seed",
                        static_cast<int>(seed), nullptr) != 0) {
      return vips_failure();
    }
    const Image owned_grain(grain);
    if (vips_add(coarse, grain, &sum, nullptr) != 0) return vips_failure();
    bands[band].reset(sum);
  }
  VipsImage* raw[3] = {bands[0].get(), bands[1].get(), bands[2].get()};
  VipsImage* joined = nullptr;
  if (vips_bandjoin(raw, &joined, 3, nullptr) != 0) return vips_failure();
  const Image owned_joined(joined);
  VipsImage* bytes = nullptr;
  if (vips_cast_uchar(joined, &bytes, nullptr) != 0) return vips_failure();
  const Image owned_bytes(bytes);
  bytes->Type = VIPS_INTERPRETATION_sRGB;
  void* data = nullptr;
  std::size_t size = 0;
  if (vips_jpegsave_buffer(bytes, &data, &size, "Q", 85, nullptr) != 0) return vips_failure();
  const auto* begin = static_cast<const std::byte*>(data);
  std::vector<std::byte> out(begin, begin + size);
  g_free(data);
  return out;
}

Status write_jpegs(const std::filesystem::path& folder, int count, int width_px, int height_px) {
  TRY(make_directories(folder));
  // Noise takes longer to make than to decode. Later pictures repeat earlier ones with a tail
  // behind their end, which makes them other files: nothing is kept from one to the next.
  std::vector<std::vector<std::byte>> made;
  for (int i = 0; i < count; ++i) {
    if (i < kDistinctMax) {
      ASSIGN_OR_RETURN(auto bytes, make_jpeg(width_px, height_px, static_cast<std::uint32_t>(i)));
      made.push_back(std::move(bytes));
    }
    auto bytes = made[static_cast<std::size_t>(i % kDistinctMax)];
    const std::string tail = std::to_string(i);
    const auto tail_bytes = std::as_bytes(std::span(tail));
    bytes.insert(bytes.end(), tail_bytes.begin(), tail_bytes.end());
    TRY(publish_file(folder / ("p" + std::to_string(i) + ".jpg"), bytes));
  }
  return {};
}

}  // namespace similis::bench
