#include "vision/sniff.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>
#include <vector>

namespace similis {
namespace {

using namespace std::string_view_literals;

Sniffed of(std::string_view bytes, std::string_view name = {}) {
  return sniff(std::as_bytes(std::span(bytes)), name);
}

TEST(Sniff, KnowsThePromisedFormats) {
  const std::pair<std::string_view, PictureFormat> heads[] = {
      {"\xFF\xD8\xFF\xE0"sv, PictureFormat::jpeg},
      {"\x89PNG\r\n\x1A\n...."sv, PictureFormat::png},
      {"RIFF\1\2\3\4WEBPVP8 "sv, PictureFormat::webp},
      {"GIF87a"sv, PictureFormat::gif},
      {"GIF89a"sv, PictureFormat::gif},
      {"II*\0\x08\0\0\0"sv, PictureFormat::tiff},
      {"MM\0*\0\0\0\x08"sv, PictureFormat::tiff},
      {"MM\0+\0\x08\0\0"sv, PictureFormat::tiff},
      {"\0\0\0\x18"
       "ftypheic\0\0\0\0mif1heic"sv,
       PictureFormat::heic},
      {"\0\0\0\x1C"
       "ftypmif1\0\0\0\0mif1avifmiaf"sv,
       PictureFormat::avif},
      {"\0\0\0\x14"
       "ftypavif\0\0\0\0avif"sv,
       PictureFormat::avif},
      {"\xFF\x0A\xFA\x1F"sv, PictureFormat::jxl},
      {"\0\0\0\x0CJXL \r\n\x87\n"sv, PictureFormat::jxl},
      {"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"sv, PictureFormat::bmp},
  };
  for (const auto& [bytes, format] : heads) {
    const Sniffed got = of(bytes, "wrong.txt");
    EXPECT_EQ(got.kind, SniffKind::picture) << format_name(format);
    EXPECT_EQ(got.format, format) << format_name(format);
    EXPECT_EQ(got.word, format_word(format));
  }
}

TEST(Sniff, NamesWhatIsNoPicture) {
  struct Case {
    std::string_view bytes, name, word, message;
  };
  const Case cases[] = {
      {"%PDF-1.4"sv, "a.pdf", "pdf", "that is a PDF, not a picture"},
      {"PK\3\4"sv, "a.docx", "zip", "that is a ZIP archive, not a picture"},
      {"\0\0\0\x14"
       "ftypqt  \0\0\0\0qt  "sv,
       "a.mov", "mov", "that is a video, not a picture"},
      {"\0\0\0\x08wide\0\0\0\0mdat"sv, "a.mov", "mov", "that is a video, not a picture"},
      {"\x1A\x45\xDF\xA3"sv, "a.mkv", "mkv", "that is a video, not a picture"},
      {"ID3\3\0\0"sv, "a.mp3", "mp3", "that is an audio file, not a picture"},
      {"<svg xmlns='x'></svg>"sv, "a.svg", "svg",
       "that is an SVG drawing, not a picture made of pixels"},
      {"<?xml version='1.0'?><!-- a --><svg/>"sv, "a.jpg", "svg",
       "that is an SVG drawing, not a picture made of pixels"},
      {"hello, this is a text"sv, "a.md", "md", "that is a text file, not a picture"},
      {"hello, this is a text"sv, "a.jpg", "txt", "that is a text file, not a picture"},
      {"MZ and BM start this text"sv, "notes", "txt", "that is a text file, not a picture"},
      {"BMW is a car maker, says this text"sv, "cars.txt", "txt",
       "that is a text file, not a picture"},
      {"\xFF\xFEh\0i\0"sv, "utf16.txt", "txt", "that is a text file, not a picture"},
      {"\1\2\3\4\5"sv, "x.DAT", "dat", "that is a file of an unknown type, not a picture"},
      {"\1\2\3\4\5"sv, "x", "other", "that is a file of an unknown type, not a picture"},
      {"\1\2\3\4\5"sv, "x.not-a word", "other", "that is a file of an unknown type, not a picture"},
      {""sv, "empty.log", "log", "that is an empty file, not a picture"},
  };
  for (const Case& c : cases) {
    const Sniffed got = of(c.bytes, c.name);
    EXPECT_EQ(got.kind, SniffKind::other) << c.name;
    EXPECT_EQ(got.word, c.word) << c.name;
    EXPECT_EQ(not_a_picture_error(got).message, c.message);
    EXPECT_EQ(not_a_picture_error(got).code, ErrorCode::unsupported_media);
  }
}

TEST(Sniff, RawIsUnsupportedNotSkipped) {
  std::string dng("II*\0\x08\0\0\0\1\0\x12\xC6\1\0\4\0\0\0\1\4\0\0\0\0\0\0"sv);
  std::string nef(
      "MM\0*\0\0\0\x08\0\2\0\xFE\0\4\0\0\0\1\0\0\0\1\1\x4A\0\4\0\0\0\1\0\0\0\0\0\0\0\0"sv);
  for (const auto& [bytes, name] : {std::pair<std::string_view, std::string_view>{dng, "a.tif"},
                                    {nef, "no-extension"},
                                    {"II*\0\x10\0\0\0CR\2\0"sv, "a.cr2"},
                                    {"II*\0\x08\0\0\0"sv, "a.ARW"},
                                    {"FUJIFILMCCD-RAW 0201"sv, "a.raf"},
                                    {"\0\0\0\x18"
                                     "ftypcrx \0\0\0\1crx isom"sv,
                                     "a.cr3"}}) {
    const Sniffed got = of(bytes, name);
    EXPECT_EQ(got.kind, SniffKind::unsupported) << name;
    EXPECT_EQ(not_a_picture_error(got).message, "RAW is not read; export it as JPEG or TIFF")
        << name;
  }
}

TEST(Sniff, UnknownContentUnderAPicturesNameIsBroken) {
  EXPECT_EQ(of("", "a.jpg").kind, SniffKind::broken);
  EXPECT_EQ(not_a_picture_error(of("", "a.JPEG")).message, "the file is empty (0 bytes)");
  EXPECT_EQ(of(std::string_view("\0\0\0\0", 4), "a.png").kind, SniffKind::broken);
  EXPECT_EQ(of("RIF", "a.webp").kind, SniffKind::broken);
  EXPECT_EQ(not_a_picture_error(of("RIF", "dir.x/a.webp")).code, ErrorCode::unreadable_media);
}

TEST(Sniff, AnyBytesAreFine) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string_view starts[] = {"II*\0"sv,
                                     "MM\0*"sv,
                                     "\0\0\0\x18"
                                     "ftyp"sv,
                                     "BM"sv,
                                     "RIFF"sv,
                                     ""sv,
                                     "<"sv};
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(starts[random() % std::size(starts)]);
    const std::size_t size = random() % 80;
    for (std::size_t k = 0; k < size; ++k)
      bytes += static_cast<char>(random() % 4 == 0 ? random() : random() % 16);
    const Sniffed got = of(bytes, "x.tif");
    EXPECT_FALSE(got.word.empty());
    EXPECT_LE(got.word.size(), 8u);
    EXPECT_FALSE(got.name.empty());
  }
}

}  // namespace
}  // namespace similis
