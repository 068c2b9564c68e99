#include "vision/decode/bmp.h"

#include <algorithm>
#include <bit>
#include <string>

namespace similis {
namespace {

constexpr int kNone = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3, kAlphaBitFields = 6;
constexpr std::size_t kFileHeaderBytes = 14;
constexpr std::uint64_t kSideMax =
    1u << 24;  // far above any pixel limit, so that products stay in 64 bits

// Little-endian reads; beyond the end they give 0 and note it.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint32_t u8(std::size_t at) {
    if (at >= bytes_.size()) {
      short_ = true;
      return 0;
    }
    return std::to_integer<std::uint32_t>(bytes_[at]);
  }
  std::uint32_t u16(std::size_t at) { return u8(at) | u8(at + 1) << 8; }
  std::uint32_t u32(std::size_t at) { return u16(at) | u16(at + 2) << 16; }
  [[nodiscard]] bool ran_short() const { return short_; }

 private:
  std::span<const std::byte> bytes_;
  bool short_ = false;
};

Error broken(const std::string& what) {
  return {ErrorCode::unreadable_media, "BMP cannot be decoded: " + what};
}

std::size_t row_bytes(const BmpHeader& h) {
  return (static_cast<std::size_t>(h.width) * static_cast<std::size_t>(h.bits) + 31) / 32 * 4;
}

// The value under `mask`, spread to 0..255.
std::uint8_t field(std::uint32_t pixel, std::uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  const std::uint64_t top = mask >> shift;
  return static_cast<std::uint8_t>((std::uint64_t{(pixel & mask) >> shift} * 255 + top / 2) / top);
}

struct Palette {
  std::uint8_t rgba[256][4] = {};
};

Palette read_palette(std::span<const std::byte> file, const BmpHeader& h) {
  Palette palette;
  for (auto& entry : palette.rgba) entry[3] = 255;
  Bytes bytes(file);
  for (int i = 0; i < h.palette_entries; ++i) {
    const std::size_t at = h.palette_offset + static_cast<std::size_t>(i * h.palette_entry_bytes);
    for (std::size_t c = 0; c < 3; ++c)
      palette.rgba[i][c] = static_cast<std::uint8_t>(bytes.u8(at + 2 - c));
  }
  return palette;
}

// Run-length coding: pairs (count, value); (0, 0) ends the row, (0, 1) the picture, (0, 2) jumps,
// (0, n) copies n indexes.
void read_runs(std::span<const std::byte> file, const BmpHeader& h, const Palette& palette,
               std::uint8_t* rgba, bool& ended) {
  Bytes bytes(file);
  const bool wide = h.compression == kRle8;
  std::size_t at = h.pixels_offset;
  std::int64_t x = 0, y = 0;
  auto paint = [&](std::uint32_t index) {
    if (x < h.width && y < h.height) {
      const std::int64_t line = h.bottom_up ? h.height - 1 - y : y;
      std::copy_n(palette.rgba[index], 4, rgba + 4 * (line * h.width + x));
    }
    ++x;
  };
  while (y < h.height && at + 1 < file.size()) {
    const std::uint32_t count = bytes.u8(at), value = bytes.u8(at + 1);
    at += 2;
    if (count > 0) {
      for (std::uint32_t i = 0; i < count; ++i)
        paint(wide ? value : i % 2 == 0 ? value >> 4 : value & 15);
    } else if (value == 0) {
      x = 0;
      ++y;
    } else if (value == 1) {
      ended = true;
      return;
    } else if (value == 2) {
      x += bytes.u8(at);
      y += bytes.u8(at + 1);
      at += 2;
    } else {
      for (std::uint32_t i = 0; i < value; ++i) {
        const std::uint32_t packed = bytes.u8(at + (wide ? i : i / 2));
        paint(wide ? packed : i % 2 == 0 ? packed >> 4 : packed & 15);
      }
      const std::size_t used = wide ? value : (value + 1) / 2;
      at += used + used % 2;
    }
    if (bytes.ran_short()) return;
  }
  ended = y >= h.height;
}

}  // namespace

Result<BmpHeader> read_bmp_header(std::span<const std::byte> file) {
  Bytes bytes(file);
  BmpHeader h;
  h.pixels_offset = bytes.u32(10);
  const std::size_t header_bytes = bytes.u32(14);
  std::int64_t width = 0, height = 0;
  std::uint32_t colors = 0;
  if (header_bytes == 12) {  // OS/2 1.x
    width = bytes.u16(18);
    height = bytes.u16(20);
    h.bits = static_cast<int>(bytes.u16(24));
    h.palette_entry_bytes = 3;
  } else {
    width = static_cast<std::int32_t>(bytes.u32(18));
    height = static_cast<std::int32_t>(bytes.u32(22));
    h.bits = static_cast<int>(bytes.u16(28));
    h.compression = header_bytes >= 20 ? static_cast<int>(bytes.u32(30) & 0xFF) : kNone;
    if (header_bytes >= 20 && bytes.u32(30) > 0xFF) return broken("its compression is unknown");
    colors = header_bytes >= 36 ? bytes.u32(46) : 0;
  }
  if (bytes.ran_short())
    return Error(ErrorCode::unreadable_media, "BMP ends early, within its header");
  h.bottom_up = height > 0;
  height = height < 0 ? -height : height;
  if (width <= 0 || height == 0 || width > std::int64_t{kSideMax} ||
      height > std::int64_t{kSideMax}) {
    return broken("its size is " + std::to_string(width) + " x " + std::to_string(height));
  }
  h.width = static_cast<int>(width);
  h.height = static_cast<int>(height);

  const bool palette = h.bits == 1 || h.bits == 2 || h.bits == 4 || h.bits == 8;
  const bool direct = h.bits == 16 || h.bits == 24 || h.bits == 32;
  const bool fits = (h.compression == kNone && (palette || direct)) ||
                    (h.compression == kRle8 && h.bits == 8) ||
                    (h.compression == kRle4 && h.bits == 4) ||
                    ((h.compression == kBitFields || h.compression == kAlphaBitFields) &&
                     (h.bits == 16 || h.bits == 32));
  if (!fits) {
    return broken("compression " + std::to_string(h.compression) + " with " +
                  std::to_string(h.bits) + " bits a pixel is unknown");
  }
  h.palette_offset = kFileHeaderBytes + header_bytes;
  if (palette) {
    const std::uint32_t all = 1u << h.bits;
    h.palette_entries = static_cast<int>(colors == 0 || colors > all ? all : colors);
    if (h.pixels_offset > h.palette_offset) {  // some writers promise more entries than they store
      const std::size_t room =
          (h.pixels_offset - h.palette_offset) / static_cast<std::size_t>(h.palette_entry_bytes);
      h.palette_entries = static_cast<int>(
          std::min<std::size_t>(static_cast<std::size_t>(h.palette_entries), room));
    }
  }
  if (h.bits == 16) {
    h.masks[0] = 0x7C00, h.masks[1] = 0x03E0, h.masks[2] = 0x001F;
  } else if (h.bits == 32) {
    h.masks[0] = 0xFF0000, h.masks[1] = 0x00FF00, h.masks[2] = 0x0000FF, h.masks[3] = 0xFF000000;
  }
  if (h.compression == kBitFields || h.compression == kAlphaBitFields) {
    // The masks follow the 40 bytes of the basic header, within the later headers or behind it.
    for (std::size_t i = 0; i < 3; ++i) h.masks[i] = bytes.u32(kFileHeaderBytes + 40 + 4 * i);
    h.masks[3] = header_bytes >= 56 || h.compression == kAlphaBitFields
                     ? bytes.u32(kFileHeaderBytes + 52)
                     : 0;
    if (bytes.ran_short())
      return Error(ErrorCode::unreadable_media, "BMP ends early, within its header");
  }
  if (h.compression != kRle8 && h.compression != kRle4) {
    h.bytes_expected = h.pixels_offset + row_bytes(h) * static_cast<std::size_t>(h.height);
  }
  return h;
}

Result<std::vector<std::uint8_t>> read_bmp_pixels(std::span<const std::byte> file,
                                                  const BmpHeader& h) {
  if (file.size() < h.bytes_expected) return Error(ErrorCode::unreadable_media, "BMP ends early");
  const auto width = static_cast<std::size_t>(h.width), height = static_cast<std::size_t>(h.height);
  const Palette palette = read_palette(file, h);
  std::vector<std::uint8_t> rgba(4 * width * height);
  if (h.compression == kRle8 || h.compression == kRle4) {
    bool ended = false;
    read_runs(file, h, palette, rgba.data(), ended);
    if (!ended) return Error(ErrorCode::unreadable_media, "BMP ends early");
    return rgba;
  }
  bool any_alpha = false;
  for (std::size_t y = 0; y < height; ++y) {
    const std::size_t stored = h.bottom_up ? height - 1 - y : y;
    const std::byte* line = file.data() + h.pixels_offset + stored * row_bytes(h);
    auto at = [line](std::size_t i) { return std::to_integer<std::uint32_t>(line[i]); };
    std::uint8_t* out = rgba.data() + 4 * width * y;
    for (std::size_t x = 0; x < width; ++x, out += 4) {
      if (h.bits <= 8) {
        const std::size_t bit = x * static_cast<std::size_t>(h.bits);
        const std::uint32_t index =
            at(bit / 8) >> (8 - h.bits - static_cast<int>(bit % 8)) & ((1u << h.bits) - 1);
        std::copy_n(palette.rgba[index], 4, out);
      } else if (h.bits == 24) {
        out[0] = static_cast<std::uint8_t>(at(3 * x + 2));
        out[1] = static_cast<std::uint8_t>(at(3 * x + 1));
        out[2] = static_cast<std::uint8_t>(at(3 * x));
        out[3] = 255;
      } else {
        std::uint32_t pixel = h.bits == 16 ? at(2 * x) | at(2 * x + 1) << 8
                                           : at(4 * x) | at(4 * x + 1) << 8 | at(4 * x + 2) << 16 |
                                                 at(4 * x + 3) << 24;
        for (std::size_t c = 0; c < 3; ++c) out[c] = field(pixel, h.masks[c]);
        out[3] = h.masks[3] != 0 ? field(pixel, h.masks[3]) : 255;
        any_alpha = any_alpha || out[3] != 0;
      }
    }
  }
  // Most writers of 32 bits leave the fourth byte at zero and mean no transparency.
  if (h.bits == 32 && !any_alpha) {
    for (std::size_t i = 3; i < rgba.size(); i += 4) rgba[i] = 255;
  }
  return rgba;
}

}  // namespace similis
