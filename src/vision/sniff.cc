#include "vision/sniff.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace similis {
namespace {

using namespace std::string_view_literals;

struct FormatRow {
  std::string_view word, name, mime;
};
constexpr std::array kFormats = {
    FormatRow{"jpeg", "JPEG", "image/jpeg"}, FormatRow{"png", "PNG", "image/png"},
    FormatRow{"webp", "WebP", "image/webp"}, FormatRow{"gif", "GIF", "image/gif"},
    FormatRow{"tiff", "TIFF", "image/tiff"}, FormatRow{"heic", "HEIC", "image/heic"},
    FormatRow{"avif", "AVIF", "image/avif"}, FormatRow{"jxl", "JPEG XL", "image/jxl"},
    FormatRow{"bmp", "BMP", "image/bmp"},
};

const FormatRow& row(PictureFormat format) {
  return kFormats[static_cast<std::size_t>(format)];
}

Sniffed picture(PictureFormat format) {
  return {SniffKind::picture, format, std::string(row(format).word), std::string(row(format).name)};
}
Sniffed unsupported(std::string_view word, std::string_view name) {
  return {SniffKind::unsupported, PictureFormat::jpeg, std::string(word), std::string(name)};
}
Sniffed other(std::string_view word, std::string_view name) {
  return {SniffKind::other, PictureFormat::jpeg, std::string(word), std::string(name)};
}

// A signature: `bytes` at `offset`. The first that matches decides.
struct Signature {
  std::size_t offset;
  std::string_view bytes;
  SniffKind kind;
  std::string_view word, name;
};
constexpr auto kUnsupported = SniffKind::unsupported;
constexpr auto kOther = SniffKind::other;
constexpr Signature kSignatures[] = {
    {0, "IIRO"sv, kUnsupported, "orf", "RAW"},
    {0, "IIRS"sv, kUnsupported, "orf", "RAW"},
    {0, "MMOR"sv, kUnsupported, "orf", "RAW"},
    {0, "IIU\0"sv, kUnsupported, "rw2", "RAW"},
    {0, "FUJIFILMCCD-RAW"sv, kUnsupported, "raf", "RAW"},
    {0, "FOVb"sv, kUnsupported, "x3f", "RAW"},
    {0, "\0MRM"sv, kUnsupported, "mrw", "RAW"},
    {6, "HEAPCCDR"sv, kUnsupported, "crw", "RAW"},
    {0, "8BPS"sv, kUnsupported, "psd", "Photoshop"},
    {0, "\0\0\0\x0CjP  \r\n\x87\n"sv, kUnsupported, "jp2", "JPEG 2000"},
    {0, "\xFF\x4F\xFF\x51"sv, kUnsupported, "j2k", "JPEG 2000"},
    {0, "\x76\x2F\x31\x01"sv, kUnsupported, "exr", "OpenEXR"},
    {0, "#?RADIANCE"sv, kUnsupported, "hdr", "Radiance HDR"},
    {0, "II\xBC\x01"sv, kUnsupported, "jxr", "JPEG XR"},
    {0, "qoif"sv, kUnsupported, "qoi", "QOI"},
    {0, "gimp xcf"sv, kUnsupported, "xcf", "GIMP"},
    {0, "DDS "sv, kOther, "dds", "DirectX texture"},
    {0, "\0\0\1\0"sv, kOther, "ico", "icon"},
    {0, "%PDF-"sv, kOther, "pdf", "PDF"},
    {0, "%!PS"sv, kOther, "ps", "PostScript file"},
    {0, "AT&TFORM"sv, kOther, "djvu", "DjVu document"},
    {0, "\x1A\x45\xDF\xA3"sv, kOther, "mkv", "video"},
    {0, "FLV\x01"sv, kOther, "flv", "video"},
    {0, "\x30\x26\xB2\x75\x8E\x66\xCF\x11"sv, kOther, "wmv", "video"},
    {0, "\0\0\1\xBA"sv, kOther, "mpg", "video"},
    {0, "\0\0\1\xB3"sv, kOther, "mpg", "video"},
    {0, "ID3"sv, kOther, "mp3", "audio file"},
    {0, "fLaC"sv, kOther, "flac", "audio file"},
    {0, "OggS"sv, kOther, "ogg", "audio file"},
    {0, "MThd"sv, kOther, "mid", "audio file"},
    {0, "PK\x03\x04"sv, kOther, "zip", "ZIP archive"},
    {0, "PK\x05\x06"sv, kOther, "zip", "ZIP archive"},
    {0, "\x1F\x8B"sv, kOther, "gz", "gzip archive"},
    {0, "BZh"sv, kOther, "bz2", "bzip2 archive"},
    {0,
     "\xFD"
     "7zXZ\0"sv,
     kOther, "xz", "xz archive"},
    {0, "7z\xBC\xAF\x27\x1C"sv, kOther, "7z", "7-Zip archive"},
    {0, "Rar!\x1A\x07"sv, kOther, "rar", "RAR archive"},
    {0, "\x28\xB5\x2F\xFD"sv, kOther, "zst", "Zstandard archive"},
    {257, "ustar"sv, kOther, "tar", "tar archive"},
    {0, "SQLite format 3\0"sv, kOther, "sqlite", "database"},
    {0,
     "\x7F"
     "ELF"sv,
     kOther, "elf", "program"},
    {0, "MZ"sv, kOther, "exe", "program"},
    {0, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"sv, kOther, "doc", "Office document"},
    {0, "\0\1\0\0\0"sv, kOther, "ttf", "font"},
    {0, "OTTO"sv, kOther, "otf", "font"},
    {0, "wOFF"sv, kOther, "woff", "font"},
    {0, "wOF2"sv, kOther, "woff2", "font"},
};

bool starts(std::string_view head, std::string_view bytes, std::size_t offset = 0) {
  return head.size() >= offset && head.substr(offset).starts_with(bytes);
}

std::string extension_word(std::string_view file_name) {
  const std::size_t slash = file_name.find_last_of('/');
  if (slash != std::string_view::npos) file_name.remove_prefix(slash + 1);
  const std::size_t dot = file_name.find_last_of('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  const std::string_view extension = file_name.substr(dot + 1);
  if (extension.empty() || extension.size() > 8) return {};
  std::string word;
  for (const char c : extension) {
    const bool digit = c >= '0' && c <= '9';
    const bool lower = c >= 'a' && c <= 'z';
    const bool upper = c >= 'A' && c <= 'Z';
    if (!digit && !lower && !upper) return {};
    word += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return word;
}

bool is_picture_extension(std::string_view word) {
  static constexpr std::string_view kPictures[] = {"jpg", "jpeg", "jpe",  "jfif", "png",  "webp",
                                                   "gif", "tif",  "tiff", "heic", "heif", "avif",
                                                   "jxl", "bmp",  "dib",  "apng"};
  return std::find(std::begin(kPictures), std::end(kPictures), word) != std::end(kPictures);
}

bool is_raw_extension(std::string_view word) {
  static constexpr std::string_view kRaw[] = {"nef", "nrw", "arw", "sr2", "srf", "cr2", "dng",
                                              "pef", "srw", "erf", "3fr", "fff", "iiq", "dcr",
                                              "kdc", "k25", "mos", "mef", "rwl", "gpr"};
  return std::find(std::begin(kRaw), std::end(kRaw), word) != std::end(kRaw);
}

// Camera RAW files are TIFF inside. Those that say so within `head`: Canon's CR2 by its marker, DNG
// by its version tag; Nikon's, Sony's and Pentax' by a first directory that is a reduced preview
// and points to the real picture elsewhere.
bool is_raw_tiff(std::string_view head) {
  if (starts(head, "CR", 8)) return true;
  const bool little = head[0] == 'I';
  auto u16 = [&](std::size_t at) {
    const auto a = static_cast<unsigned char>(head[at]),
               b = static_cast<unsigned char>(head[at + 1]);
    return little ? a | b << 8 : a << 8 | b;
  };
  auto u32 = [&](std::size_t at) {
    const auto a = static_cast<std::uint32_t>(u16(at)), b = static_cast<std::uint32_t>(u16(at + 2));
    return little ? a | b << 16 : a << 16 | b;
  };
  if (head.size() < 8) return false;
  const std::size_t directory = u32(4);
  if (directory > head.size() || head.size() - directory < 2) return false;
  bool reduced = false, sub_directories = false;
  const int entries = u16(directory);
  for (int i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + 12 * static_cast<std::size_t>(i);
    if (at + 12 > head.size()) break;
    const int tag = u16(at);
    if (tag == 0xC612) return true;  // DNGVersion
    if (tag == 254) reduced = (u32(at + 8) & 1) != 0;
    if (tag == 330) sub_directories = true;
  }
  return reduced && sub_directories;
}

// Files of boxes (ISO/IEC 14496-12): HEIC, AVIF and films differ by their brands.
std::optional<Sniffed> sniff_boxes(std::string_view head) {
  if (!starts(head, "ftyp", 4) || head.size() < 12) return std::nullopt;
  const std::size_t size =
      static_cast<unsigned char>(head[2]) << 8 | static_cast<unsigned char>(head[3]);
  const std::string_view major = head.substr(8, 4);
  auto has = [&](std::initializer_list<std::string_view> brands) {
    auto wanted = [&](std::string_view b) {
      return std::find(brands.begin(), brands.end(), b) != brands.end();
    };
    if (wanted(major)) return true;
    for (std::size_t at = 16; at + 4 <= std::min(size, head.size()); at += 4) {
      if (wanted(head.substr(at, 4))) return true;
    }
    return false;
  };
  if (major == "crx ") return unsupported("cr3", "RAW");
  if (has({"avif", "avis"})) return picture(PictureFormat::avif);
  if (has({"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"}))
    return picture(PictureFormat::heic);
  if (major == "M4A " || major == "M4B ") return other("m4a", "audio file");
  if (major == "qt  ") return other("mov", "video");
  if (major.starts_with("3g")) return other("3gp", "video");
  return other("mp4", "video");
}

// Text: UTF-8 or Latin-1 without control characters, or UTF-16 with its mark.
bool is_text(std::string_view head) {
  if (head.empty()) return false;
  if (starts(head, "\xFF\xFE") || starts(head, "\xFE\xFF")) return true;
  return std::none_of(head.begin(), head.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1B) || u == 0x7F;
  });
}

bool contains_fold(std::string_view text, std::string_view lower) {
  return std::search(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
         }) != text.end();
}

bool is_portable_map(std::string_view head) {
  return head.size() > 3 && head[0] == 'P' &&
         ((head[1] >= '1' && head[1] <= '7') || head[1] == 'f' || head[1] == 'F') &&
         (head[2] == '\n' || head[2] == ' ' || head[2] == '\t' || head[2] == '\r');
}

Sniffed sniff_text(std::string_view head, std::string_view extension) {
  if (contains_fold(head, "<svg")) return other("svg", "SVG drawing");
  if (contains_fold(head, "<!doctype html") || contains_fold(head, "<html"))
    return other("html", "web page");
  if (head.starts_with("<?xml")) return other(extension.empty() ? "xml" : extension, "XML file");
  // Text under a picture's name is counted as text.
  if (extension.empty() || is_picture_extension(extension)) {
    return other("txt", "text file");
  }
  return other(extension, "text file");
}

}  // namespace

std::string_view format_word(PictureFormat format) {
  return row(format).word;
}
std::string_view format_name(PictureFormat format) {
  return row(format).name;
}
std::string_view format_mime(PictureFormat format) {
  return row(format).mime;
}

Sniffed sniff(std::span<const std::byte> bytes, std::string_view file_name) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min(bytes.size(), kSniffBytes));
  const std::string extension = extension_word(file_name);

  if (head.empty()) {
    if (is_picture_extension(extension)) {
      return {SniffKind::broken, PictureFormat::jpeg, extension, "empty"};
    }
    return other(extension.empty() ? "other" : extension, "empty file");
  }
  if (starts(head, "\xFF\xD8\xFF")) return picture(PictureFormat::jpeg);
  if (starts(head, "\x89PNG\r\n\x1A\n")) return picture(PictureFormat::png);
  if (starts(head, "GIF87a") || starts(head, "GIF89a")) return picture(PictureFormat::gif);
  if (starts(head, "RIFF") && head.size() >= 12) {
    if (starts(head, "WEBP", 8)) return picture(PictureFormat::webp);
    if (starts(head, "AVI ", 8)) return other("avi", "video");
    if (starts(head, "WAVE", 8)) return other("wav", "audio file");
  }
  if (starts(head, "II*\0"sv) || starts(head, "MM\0*"sv) || starts(head, "II+\0"sv) ||
      starts(head, "MM\0+"sv)) {
    if (is_raw_extension(extension)) return unsupported(extension, "RAW");
    if (is_raw_tiff(head)) return unsupported("raw", "RAW");
    return picture(PictureFormat::tiff);
  }
  if (starts(head, "\xFF\x0A") || starts(head, "\0\0\0\x0CJXL \r\n\x87\n"sv))
    return picture(PictureFormat::jxl);
  // "BM" alone begins many a text: the header's size field must be one that exists.
  if (starts(head, "BM") && head.size() >= 18 && head.substr(15, 3) == "\0\0\0"sv) {
    static constexpr unsigned char kHeaderSizes[] = {12, 16, 40, 52, 56, 64, 108, 124};
    const auto size = static_cast<unsigned char>(head[14]);
    if (std::find(std::begin(kHeaderSizes), std::end(kHeaderSizes), size) !=
        std::end(kHeaderSizes)) {
      return picture(PictureFormat::bmp);
    }
  }
  if (auto boxes = sniff_boxes(head)) return *boxes;
  for (const char* film :
       {"moov", "mdat", "wide", "skip", "pnot"}) {  // QuickTime before it had "ftyp"
    if (starts(head, film, 4)) return other("mov", "video");
  }
  for (const Signature& s : kSignatures) {
    if (s.bytes.size() <= 3 && is_text(head)) continue;  // a text may begin with "MZ"
    if (starts(head, s.bytes, s.offset))
      return {s.kind, PictureFormat::jpeg, std::string(s.word), std::string(s.name)};
  }
  if (is_portable_map(head)) return unsupported("pnm", "PNM");
  for (const std::string_view frame : {"\xFF\xFB"sv, "\xFF\xF3"sv, "\xFF\xF2"sv, "\xFF\xFA"sv}) {
    if (starts(head, frame)) return other("mp3", "audio file");
  }
  // Too few bytes to tell text from a picture's beginning: the name decides.
  if (is_text(head) && !(head.size() < 16 && is_picture_extension(extension)))
    return sniff_text(head, extension);
  if (contains_fold(head, "<svg")) return other("svg", "SVG drawing");
  if (is_picture_extension(extension)) {
    return {SniffKind::broken, PictureFormat::jpeg, extension, "unknown"};
  }
  return other(extension.empty() ? "other" : extension, "file of an unknown type");
}

Error not_a_picture_error(const Sniffed& sniffed) {
  if (sniffed.kind == SniffKind::unsupported) {
    return {ErrorCode::unsupported_media, sniffed.name + " is not read; export it as JPEG or TIFF"};
  }
  if (sniffed.kind == SniffKind::broken) {
    return {ErrorCode::unreadable_media,
            sniffed.name == "empty"
                ? std::string("the file is empty (0 bytes)")
                : "the content is of no known format, although the name ends in ." + sniffed.word,
            "Get the file again from where it came from."};
  }
  if (sniffed.word == "svg") {
    return {ErrorCode::unsupported_media, "that is an SVG drawing, not a picture made of pixels",
            "Export it as PNG and use that."};
  }
  const bool vowel = !sniffed.name.empty() &&
                     std::string_view("aeioAEIOUX").find(sniffed.name[0]) != std::string_view::npos;
  return {ErrorCode::unsupported_media,
          std::string("that is ") + (vowel ? "an " : "a ") + sniffed.name + ", not a picture",
          "JPEG, PNG, WebP, GIF, TIFF, HEIC, AVIF, JPEG XL and BMP are read."};
}

}  // namespace similis
