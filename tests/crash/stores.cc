#include "crash/stores.h"

#include <random>

namespace similis {

Result<Stores> open_stores(const std::filesystem::path& data_dir) {
  Stores out;
  ASSIGN_OR_RETURN(out.metadata, open_sqlite_metadata({.file = data_dir / "similis.db"}));
  ASSIGN_OR_RETURN(out.vectors, open_embedded_vectors({.directory = data_dir}));
  ASSIGN_OR_RETURN(out.blobs, open_file_blobs({.directory = data_dir}));
  return out;
}

std::string bmp_bytes(unsigned seed) {
  constexpr int kWidth = 64, kHeight = 48;
  std::mt19937 random(seed);
  std::string out = "BM";
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  };
  constexpr std::uint32_t kPixelBytes = 3 * kWidth * kHeight;
  put(54 + kPixelBytes, 4);
  put(0, 4);
  put(54, 4);
  put(40, 4);  // BITMAPINFOHEADER
  put(kWidth, 4);
  put(kHeight, 4);
  put(1, 2);
  put(24, 2);
  put(0, 4);
  put(kPixelBytes, 4);
  for (int i = 0; i < 4; ++i) put(0, 4);
  const unsigned r = random() % 256, g = random() % 256, b = random() % 256;
  for (unsigned y = 0; y < kHeight; ++y) {
    for (unsigned x = 0; x < kWidth; ++x) {
      put(((b + y) % 256), 1);
      put(((g + x) % 256), 1);
      put(r, 1);
    }
  }
  return out;
}

}  // namespace similis
