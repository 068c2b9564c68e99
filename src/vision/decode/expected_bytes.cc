#include "vision/decode/expected_bytes.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "vision/decode/bmp.h"

namespace similis {
namespace {

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, bool big_endian)
      : bytes_(bytes), big_endian_(big_endian) {}

  // `count` (1..8) bytes at `at` as a number; nullopt beyond the end.
  [[nodiscard]] std::optional<std::uint64_t> number(std::uint64_t at, unsigned count) const {
    if (at > bytes_.size() || bytes_.size() - at < count) return std::nullopt;
    std::uint64_t value = 0;
    for (unsigned i = 0; i < count; ++i) {
      value = value << 8 |
              std::to_integer<std::uint64_t>(bytes_[at + (big_endian_ ? i : count - 1 - i)]);
    }
    return value;
  }
  [[nodiscard]] bool is(std::uint64_t at, const char (&text)[5]) const {
    return at <= bytes_.size() && bytes_.size() - at >= 4 &&
           std::memcmp(bytes_.data() + at, text, 4) == 0;
  }

 private:
  std::span<const std::byte> bytes_;
  bool big_endian_;
};

std::optional<std::uint64_t> png(std::span<const std::byte> bytes) {
  const Reader reader(bytes, true);
  std::uint64_t at = 8;
  while (auto length = reader.number(at, 4)) {
    if (reader.is(at + 4, "IEND")) return at + 12;
    at += 12 + *length;
    if (at > bytes.size()) break;
  }
  return at + 12;  // the chunk that was cut and the end chunk
}

std::optional<std::uint64_t> boxes(std::span<const std::byte> bytes) {
  const Reader reader(bytes, true);
  std::uint64_t at = 0;
  while (at < bytes.size()) {
    auto length = reader.number(at, 4);
    if (length == std::uint64_t{1}) length = reader.number(at + 8, 8);
    if (!length || *length < 8 || *length > (std::uint64_t{1} << 48))
      return std::nullopt;  // 0: to the file's end
    at += *length;
  }
  return at;
}

std::optional<std::uint64_t> tiff(std::span<const std::byte> bytes) {
  const Reader reader(bytes, std::to_integer<char>(bytes[0]) == 'M');
  const auto version = reader.number(2, 2);
  const bool big = version == std::uint64_t{43};
  const auto directory = big ? reader.number(8, 8) : reader.number(4, 4);
  if (!directory) return std::nullopt;
  const unsigned word = big ? 8 : 4;
  const auto entries = reader.number(*directory, big ? 8 : 2);
  if (!entries)
    return *directory < (std::uint64_t{1} << 48) ? std::optional(*directory + 2) : std::nullopt;

  struct Array {
    std::uint64_t count = 0, at = 0;
    unsigned width = 0;
  } offsets, lengths;
  std::uint64_t needed = 0;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(*entries, 4096); ++i) {
    const std::uint64_t at = *directory + (big ? 8 : 2) + i * (big ? 20 : 12);
    const auto tag = reader.number(at, 2), type = reader.number(at + 2, 2),
               count = reader.number(at + 4, word);
    if (!tag || !type || !count) return std::nullopt;
    const unsigned width = *type == 3 ? 2 : *type == 4 ? 4 : *type == 16 ? 8 : 0;
    if (width == 0 || *count > bytes.size()) continue;
    const std::uint64_t value_at = at + 4 + word;
    Array array{
        *count,
        *count * width <= word ? value_at : reader.number(value_at, word).value_or(UINT64_MAX),
        width};
    if (*tag == 273 || *tag == 324) offsets = array;  // StripOffsets, TileOffsets
    if (*tag == 279 || *tag == 325) lengths = array;  // StripByteCounts, TileByteCounts
  }
  for (std::uint64_t i = 0; i < std::min(offsets.count, lengths.count); ++i) {
    const auto offset = reader.number(offsets.at + i * offsets.width, offsets.width);
    const auto length = reader.number(lengths.at + i * lengths.width, lengths.width);
    if (!offset || !length || *offset > (std::uint64_t{1} << 48) ||
        *length > (std::uint64_t{1} << 48))
      return std::nullopt;
    needed = std::max(needed, *offset + *length);
  }
  return needed == 0 ? std::nullopt : std::optional(needed);
}

}  // namespace

std::optional<std::uint64_t> expected_bytes(PictureFormat format,
                                            std::span<const std::byte> bytes) {
  if (bytes.size() < 16) return std::nullopt;
  switch (format) {
    case PictureFormat::png:
      return png(bytes);
    case PictureFormat::webp: {
      const auto size = Reader(bytes, false).number(4, 4);
      return size ? std::optional(*size + 8) : std::nullopt;
    }
    case PictureFormat::tiff:
      return tiff(bytes);
    case PictureFormat::heic:
    case PictureFormat::avif:
      return boxes(bytes);
    case PictureFormat::jxl:
      return bytes[0] == std::byte{0} ? boxes(bytes) : std::nullopt;
    case PictureFormat::bmp: {
      const auto header = read_bmp_header(bytes);
      return header.ok() && header->bytes_expected > 0
                 ? std::optional<std::uint64_t>(header->bytes_expected)
                 : std::nullopt;
    }
    case PictureFormat::jpeg:
    case PictureFormat::gif:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace similis
