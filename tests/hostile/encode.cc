#include "hostile/encode.h"

#include <vips/vips.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace similis::hostile {
namespace {

struct Unref {
  void operator()(VipsImage* image) const { g_object_unref(image); }
};
using Image = std::unique_ptr<VipsImage, Unref>;

void must(bool fine, const std::string& what) {
  if (fine) return;
  std::fprintf(stderr, "hostile files: %s: %s\n", what.c_str(), vips_error_buffer());
  std::abort();
}

class Writer {
 public:
  explicit Writer(bool big_endian = false) : big_endian_(big_endian) {}
  Writer& number(std::uint64_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      const unsigned shift = 8 * (big_endian_ ? count - 1 - i : i);
      bytes_.push_back(static_cast<std::byte>(shift < 64 ? value >> shift & 0xFF : 0));
    }
    return *this;
  }
  Writer& text(std::string_view text) {
    for (const char c : text) bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  Writer& append(const Bytes& bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  Bytes take() { return std::move(bytes_); }

 private:
  bool big_endian_;
  Bytes bytes_;
};

std::uint32_t crc32(std::string_view bytes) {  // ISO 3309, as PNG uses it
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

template <typename Operation>
void step(Image& image, Operation operation, const char* what) {
  VipsImage* out = nullptr;
  must(operation(image.get(), &out) == 0, what);
  image.reset(out);
}

}  // namespace

Pixels scene(int width, int height) {
  Pixels p{width, height, 3,
           std::vector<std::uint8_t>(static_cast<std::size_t>(3 * width * height))};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint8_t* v = p.samples.data() + 3 * (y * width + x);
      const double u = double(x) / width, w = double(y) / height;
      v[0] = static_cast<std::uint8_t>(40 + 180 * u);
      v[1] = static_cast<std::uint8_t>(200 - 150 * w);
      v[2] = static_cast<std::uint8_t>(90 + 60 * u * w);
      const double dx = u - 0.3, dy = w - 0.35;
      if (dx * dx + dy * dy < 0.03) v[0] = 240, v[1] = 200, v[2] = 30;  // a sun, left of the middle
      if (u > 0.6 && w > 0.5 && u < 0.9 && w < 0.95) v[0] = 30, v[1] = 40, v[2] = 160;  // a house
      if (w > 0.8 && u < 0.5 && (x / 4) % 2 == 0) v[0] = v[1] = v[2] = 20;              // a fence
    }
  }
  return p;
}

Pixels scene_gray(int width, int height) {
  const Pixels rgb = scene(width, height);
  Pixels p{width, height, 1, {}};
  for (std::size_t i = 0; i < rgb.samples.size(); i += 3) {
    p.samples.push_back(static_cast<std::uint8_t>(
        (rgb.samples[i] * 3 + rgb.samples[i + 1] * 6 + rgb.samples[i + 2]) / 10));
  }
  return p;
}

Pixels scene_alpha(int width, int height) {
  const Pixels rgb = scene(width, height);
  Pixels p{width, height, 4, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const std::uint8_t* v = rgb.samples.data() + 3 * (y * width + x);
      const bool inside =
          x > width / 4 && x < 3 * width / 4 && y > height / 4 && y < 3 * height / 4;
      for (int c = 0; c < 3; ++c) p.samples.push_back(inside ? v[c] : 0);
      p.samples.push_back(inside ? 255 : 0);
    }
  }
  return p;
}

Pixels black_letter(char letter, int side) {
  Pixels p{side, side, 4, std::vector<std::uint8_t>(static_cast<std::size_t>(4 * side * side))};
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const double u = (x + 0.5) / side, w = (y + 0.5) / side;
      const bool frame = u > 0.2 && u < 0.8 && w > 0.1 && w < 0.9;
      bool ink = false;
      switch (letter) {
        case 'L':
          ink = frame && (u < 0.35 || w > 0.75);
          break;
        case 'O':
          ink = frame && (u < 0.35 || u > 0.65 || w < 0.25 || w > 0.75);
          break;
        case 'T':
          ink = frame && (w < 0.25 || std::abs(u - 0.5) < 0.08);
          break;
        default:
          ink = frame && (std::abs(u - w) < 0.1 || std::abs(u + w - 1) < 0.1);
          break;
      }
      p.samples[static_cast<std::size_t>(4 * (y * side + x) + 3)] = ink ? 255 : 0;
    }
  }
  return p;
}

Bytes write_picture(const Pixels& pixels, const Writing& writing) {
  // Frames lie below each other; each turns the colours a little.
  std::vector<std::uint8_t> samples;
  for (int f = 0; f < writing.frames; ++f) {
    for (const std::uint8_t s : pixels.samples)
      samples.push_back(static_cast<std::uint8_t>(s + 60 * f));
  }
  Image image(vips_image_new_from_memory_copy(samples.data(), samples.size(), pixels.width,
                                              pixels.height * writing.frames, pixels.bands,
                                              VIPS_FORMAT_UCHAR));
  must(image != nullptr, "pixels");
  image->Type = writing.cmyk       ? VIPS_INTERPRETATION_CMYK
                : pixels.bands < 3 ? VIPS_INTERPRETATION_B_W
                                   : VIPS_INTERPRETATION_sRGB;
  if (writing.sixteen_bits) {
    const bool gray = pixels.bands < 3;
    step(
        image,
        [&](VipsImage* in, VipsImage** out) {
          return vips_colourspace(
              in, out, gray ? VIPS_INTERPRETATION_GREY16 : VIPS_INTERPRETATION_RGB16, nullptr);
        },
        "16 bits");
  }
  if (writing.floats) {
    step(
        image,
        [](VipsImage* in, VipsImage** out) {
          return vips_colourspace(in, out, VIPS_INTERPRETATION_scRGB, nullptr);
        },
        "floats");
  }
  if (writing.profile == "garbage") {
    vips_image_set_blob_copy(image.get(), VIPS_META_ICC_NAME, "no profile at all, but bytes", 28);
  } else if (!writing.profile.empty()) {
    step(
        image,
        [&](VipsImage* in, VipsImage** out) {
          return vips_icc_transform(in, out, writing.profile.c_str(), "input_profile", "srgb",
                                    nullptr);
        },
        "profile");
  }
  if (writing.orientation) {
    vips_image_set_int(image.get(), VIPS_META_ORIENTATION, *writing.orientation);
    vips_image_set_string(image.get(), "exif-ifd0-Orientation",
                          std::to_string(*writing.orientation).c_str());
  }
  for (const auto& [name, value] : writing.exif)
    vips_image_set_string(image.get(), name.c_str(), value.c_str());
  if (writing.frames > 1) {
    vips_image_set_int(image.get(), VIPS_META_PAGE_HEIGHT, pixels.height);
    std::vector<int> delays(static_cast<std::size_t>(writing.frames), 100);
    vips_image_set_array_int(image.get(), "delay", delays.data(), writing.frames);
  }
  void* data = nullptr;
  std::size_t size = 0;
  must(vips_image_write_to_buffer(image.get(), writing.suffix.c_str(), &data, &size, nullptr) == 0,
       writing.suffix);
  const auto* begin = static_cast<const std::byte*>(data);
  Bytes bytes(begin, begin + size);
  g_free(data);
  return bytes;
}

Bytes write_bmp(const Pixels& rgb, BmpKind kind) {
  int bits = 24;
  std::uint32_t compression = 0;
  std::array<std::uint32_t, 4> masks{};
  switch (kind) {
    case BmpKind::rgb32:
      bits = 32;
      break;
    case BmpKind::argb32:
      bits = 32, compression = 3, masks = {0xFF0000, 0xFF00, 0xFF, 0xFF000000};
      break;
    case BmpKind::rgb565:
      bits = 16, compression = 3, masks = {0xF800, 0x07E0, 0x001F, 0};
      break;
    case BmpKind::rgb555:
      bits = 16;
      break;
    case BmpKind::palette8:
    case BmpKind::rle8:
      bits = 8;
      break;
    case BmpKind::palette4:
    case BmpKind::rle4:
      bits = 4;
      break;
    case BmpKind::palette1:
      bits = 1;
      break;
    default:
      break;
  }
  if (kind == BmpKind::rle8) compression = 1;
  if (kind == BmpKind::rle4) compression = 2;
  const bool os2 = kind == BmpKind::os2;
  const bool bottom_up = kind != BmpKind::top_down;
  const std::uint32_t header = os2 ? 12 : compression == 3 ? 56 : 40;
  const std::uint32_t colors = bits <= 8 ? 1u << bits : 0;

  // A palette of gray steps; the picture's gray picks from it.
  auto index_at = [&](int x, int y) {
    const std::uint8_t* v = rgb.samples.data() + 3 * (y * rgb.width + x);
    return static_cast<std::uint32_t>((v[0] * 3 + v[1] * 6 + v[2]) / 10) * colors / 256;
  };
  Writer data;
  for (int line = 0; line < rgb.height; ++line) {
    const int y = bottom_up ? rgb.height - 1 - line : line;
    const std::size_t begin = data.size();
    if (compression == 1 || compression == 2) {  // runs of two at most
      for (int x = 0; x < rgb.width; x += 2) {
        const std::uint32_t a = index_at(x, y), b = x + 1 < rgb.width ? index_at(x + 1, y) : a;
        const unsigned count = x + 1 < rgb.width ? 2 : 1;
        if (compression == 2) {
          data.number(count, 1).number(a << 4 | b, 1);
        } else if (a == b) {
          data.number(count, 1).number(a, 1);
        } else {
          data.number(1, 1).number(a, 1).number(1, 1).number(b, 1);
        }
      }
      data.number(0, 2);
      continue;
    }
    std::uint32_t packed = 0;
    for (int x = 0; x < rgb.width; ++x) {
      const std::uint8_t* v = rgb.samples.data() + 3 * (y * rgb.width + x);
      if (bits <= 8) {
        packed = packed << bits | index_at(x, y);
        const int per_byte = 8 / bits;
        if (x % per_byte == per_byte - 1)
          data.number(packed & 0xFF, 1), packed = 0;
        else if (x == rgb.width - 1)
          data.number((packed << bits * (per_byte - 1 - x % per_byte)) & 0xFF, 1), packed = 0;
      } else if (bits == 16) {
        const std::uint32_t green =
            compression == 3 ? std::uint32_t{v[1]} >> 2 << 5 : std::uint32_t{v[1]} >> 3 << 5;
        data.number((std::uint32_t{v[0]} >> 3 << (compression == 3 ? 11 : 10)) | green |
                        std::uint32_t{v[2]} >> 3,
                    2);
      } else {
        data.number(v[2], 1).number(v[1], 1).number(v[0], 1);
        if (bits == 32) data.number(compression == 3 ? 255 : 0, 1);
      }
    }
    while ((data.size() - begin) % 4 != 0) data.number(0, 1);
  }
  if (compression == 1 || compression == 2) data.number(0, 1).number(1, 1);

  const std::uint32_t offset = 14 + header + colors * (os2 ? 3 : 4);
  Writer out;
  out.text("BM").number(offset + data.size(), 4).number(0, 4).number(offset, 4).number(header, 4);
  const auto width = static_cast<std::uint32_t>(rgb.width);
  const auto height = static_cast<std::uint32_t>(bottom_up ? rgb.height : -rgb.height);
  if (os2) {
    out.number(width, 2).number(height, 2).number(1, 2).number(static_cast<unsigned>(bits), 2);
  } else {
    out.number(width, 4)
        .number(height, 4)
        .number(1, 2)
        .number(static_cast<unsigned>(bits), 2)
        .number(compression, 4);
    out.number(data.size(), 4).number(2835, 4).number(2835, 4).number(colors, 4).number(0, 4);
    if (header == 56) {
      for (const std::uint32_t mask : masks) out.number(mask, 4);
    }
  }
  for (std::uint32_t i = 0; i < colors; ++i) {
    const std::uint32_t level = colors == 1 ? 0 : i * 255 / (colors - 1);
    out.number(level, 1).number(level, 1).number(level, 1);
    if (!os2) out.number(0, 1);
  }
  return out.append(data.take()).take();
}

Bytes png_chunk(std::string_view type, std::string_view data) {
  Writer out(true);
  const std::string body = std::string(type) + std::string(data);
  return out.number(data.size(), 4).text(body).number(crc32(body), 4).take();
}

Bytes write_bomb(PictureFormat format, std::uint32_t width, std::uint32_t height) {
  using namespace std::string_view_literals;
  Writer little, big(true);
  switch (format) {
    case PictureFormat::png: {
      Writer header(true);
      header.number(width, 4).number(height, 4).number(8, 1).number(2, 1).number(0, 3);
      const Bytes fields = header.take();
      const std::string_view text(reinterpret_cast<const char*>(fields.data()), fields.size());
      return big.text("\x89PNG\r\n\x1A\n"sv)
          .append(png_chunk("IHDR", text))
          .append(png_chunk("IDAT", "\x78\x9C\x63\0\0\0\1\0\1"sv))
          .append(png_chunk("IEND", ""))
          .take();
    }
    case PictureFormat::gif:
      return little.text("GIF89a")
          .number(width, 2)
          .number(height, 2)
          .number(0, 3)
          .text(",")
          .number(0, 4)
          .number(width, 2)
          .number(height, 2)
          .number(0, 1)
          .text("\x02\x02\x44\x01\0;"sv)
          .take();
    case PictureFormat::jpeg: {
      Bytes bytes = write_picture(scene(32, 32), {.suffix = ".jpg"});
      for (std::size_t i = 0; i + 9 < bytes.size(); ++i) {  // the frame header's size fields
        if (bytes[i] == std::byte{0xFF} && bytes[i + 1] == std::byte{0xC0}) {
          const Bytes size = Writer(true).number(height, 2).number(width, 2).take();
          std::copy(size.begin(), size.end(), bytes.begin() + static_cast<std::ptrdiff_t>(i) + 5);
          break;
        }
      }
      return bytes;
    }
    case PictureFormat::tiff: {
      struct Entry {
        std::uint32_t tag, type, count, value;
      };
      const Entry entries[] = {{256, 4, 1, width}, {257, 4, 1, height}, {258, 3, 1, 8},
                               {259, 3, 1, 1},     {262, 3, 1, 1},      {273, 4, 1, 8},
                               {277, 3, 1, 1},     {278, 4, 1, height}, {279, 4, 1, 100}};
      little.text("II").number(42, 2).number(8, 4).number(std::size(entries), 2);
      for (const Entry& e : entries)
        little.number(e.tag, 2).number(e.type, 2).number(e.count, 4).number(e.value, 4);
      return little.number(0, 4).take();
    }
    case PictureFormat::bmp:
      return little.text("BM")
          .number(54, 4)
          .number(0, 4)
          .number(54, 4)
          .number(40, 4)
          .number(width, 4)
          .number(height, 4)
          .number(1, 2)
          .number(24, 2)
          .number(0, 24)
          .number(0, 64)
          .take();
    case PictureFormat::webp:
      return little.text("RIFF")
          .number(40, 4)
          .text("WEBPVP8X")
          .number(10, 4)
          .number(0, 4)
          .number(width - 1, 3)
          .number(height - 1, 3)
          .text("VP8L")
          .number(8, 4)
          .text("\x2F\0\0\0\0\0\0\0"sv)
          .take();
    default:
      break;
  }
  must(false, "no bomb in this format");
  return {};
}

}  // namespace similis::hostile
