#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace similis {

/// The formats that are read.
enum class PictureFormat : std::uint8_t { jpeg, png, webp, gif, tiff, heic, avif, jxl, bmp };

/// "jpeg": the stable word, as the API and the database spell it.
std::string_view format_word(PictureFormat format);
/// "JPEG": as messages spell it.
std::string_view format_name(PictureFormat format);
/// "image/jpeg".
std::string_view format_mime(PictureFormat format);

enum class SniffKind : std::uint8_t {
  picture,      // one of PictureFormat
  unsupported,  // a picture in a format that is not read (RAW, PSD, JPEG 2000 ...): a failure the
                // user should see
  broken,       // empty or of unknown content, under a name that promises a picture: a failure
  other,        // not a picture, or SVG: skipped and counted by `word`
};

struct Sniffed {
  SniffKind kind = SniffKind::other;
  PictureFormat format = PictureFormat::jpeg;  // of SniffKind::picture
  std::string word;  // "jpeg", "nef", "mov", "txt"; lower case, at most 8 letters or digits
  std::string name;  // "JPEG", "RAW", "video", "PDF"
};

/// How many of a file's first bytes sniff() makes use of.
inline constexpr std::size_t kSniffBytes = 4096;

/// The type by content. `file_name` (may be empty; only its extension is looked at) decides in
/// three cases only: TIFF content under a RAW camera's extension is RAW; content that no signature
/// matches is `broken` under a picture's extension, and else counted under its own. Never reads
/// beyond `head`; any bytes are fine.
Sniffed sniff(std::span<const std::byte> head, std::string_view file_name = {});

/// Why `sniffed` cannot be used as a picture, in words: "that is a PDF, not a picture" or "RAW is
/// not read; export it as JPEG or TIFF" (unsupported_media), "the file is empty"
/// (unreadable_media). Not for SniffKind::picture.
Error not_a_picture_error(const Sniffed& sniffed);

}  // namespace similis
