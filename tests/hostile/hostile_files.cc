#include "hostile/hostile_files.h"

#include <algorithm>
#include <random>
#include <string_view>

#include "vision/resample.h"

namespace similis::hostile {
namespace {

using namespace std::literals;

Bytes text_bytes(std::string_view text) {
  Bytes bytes(text.size());
  std::transform(text.begin(), text.end(), bytes.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

Bytes replaced(Bytes bytes, std::size_t at, std::string_view with) {
  for (std::size_t i = 0; i < with.size() && at + i < bytes.size(); ++i)
    bytes[at + i] = static_cast<std::byte>(with[i]);
  return bytes;
}

// The scene so that turning it by `orientation` makes it upright.
Pixels turned(const Pixels& pixels, int orientation) {
  RgbImage image{pixels.width, pixels.height, pixels.samples};
  image = oriented(std::move(image), inverse_orientation(orientation));
  return {image.width, image.height, 3, std::move(image.pixels)};
}

class Files {
 public:
  void add(std::string name, Bytes bytes, Expect expect, std::string reason = {}) {
    files_.push_back({std::move(name), std::move(bytes), expect, std::move(reason)});
  }
  void whole(std::string name, const Pixels& pixels, const Writing& writing) {
    add(std::move(name), write_picture(pixels, writing), Expect::picture);
  }
  std::vector<HostileFile> take() { return std::move(files_); }

 private:
  std::vector<HostileFile> files_;
};

constexpr std::ptrdiff_t kPngHeaderBytes = 33;  // signature and IHDR
constexpr int kWidth = 320, kHeight = 240;

void add_whole(Files& files) {
  const Pixels rgb = scene(kWidth, kHeight), gray = scene_gray(kWidth, kHeight),
               rgba = scene_alpha(kWidth, kHeight);
  files.whole("jpeg-baseline.jpg", rgb, {.suffix = ".jpg"});
  files.whole("jpeg-progressive.jpg", rgb, {.suffix = ".jpg[interlace]"});
  files.whole("jpeg-gray.jpg", gray, {.suffix = ".jpg"});
  files.whole("jpeg-444.jpg", rgb, {.suffix = ".jpg[subsample-mode=off]"});
  files.whole("jpeg-quality-5.jpg", rgb, {.suffix = ".jpg[Q=5]"});
  files.whole("jpeg-restart-markers.jpg", rgb, {.suffix = ".jpg[restart-interval=4]"});
  files.whole("jpeg-p3-profile.jpg", rgb, {.suffix = ".jpg", .profile = "p3"});
  files.whole("jpeg-srgb-profile.jpg", rgb, {.suffix = ".jpg", .profile = "srgb"});
  files.whole("jpeg-garbage-profile.jpg", rgb, {.suffix = ".jpg", .profile = "garbage"});
  files.whole("jpeg-cmyk.jpg", rgba, {.suffix = ".jpg", .cmyk = true});
  files.whole("jpeg-large.jpg", scene(3000, 2000), {.suffix = ".jpg[Q=60]"});
  files.whole("png-rgb.png", rgb, {.suffix = ".png"});
  files.whole("png-interlaced.png", rgb, {.suffix = ".png[interlace]"});
  files.whole("png-gray.png", gray, {.suffix = ".png"});
  files.whole("png-alpha.png", rgba, {.suffix = ".png"});
  files.whole("png-16-bit.png", rgb, {.suffix = ".png", .sixteen_bits = true});
  files.whole("png-16-bit-alpha.png", rgba, {.suffix = ".png", .sixteen_bits = true});
  files.whole("png-16-bit-gray.png", gray, {.suffix = ".png", .sixteen_bits = true});
  files.whole("png-palette-8.png", rgb, {.suffix = ".png[palette]"});
  files.whole("png-palette-4.png", rgb, {.suffix = ".png[palette,bitdepth=4]"});
  files.whole("png-palette-1.png", rgb, {.suffix = ".png[palette,bitdepth=1]"});
  files.whole("png-palette-alpha.png", rgba, {.suffix = ".png[palette]"});
  files.whole("png-gray-1-bit.png", gray, {.suffix = ".png[bitdepth=1]"});
  files.whole("png-p3-profile.png", rgb, {.suffix = ".png", .profile = "p3"});
  files.whole("webp-lossy.webp", rgb, {.suffix = ".webp"});
  files.whole("webp-lossless.webp", rgb, {.suffix = ".webp[lossless]"});
  files.whole("webp-alpha.webp", rgba, {.suffix = ".webp"});
  files.whole("webp-animated.webp", rgb, {.suffix = ".webp", .frames = 3});
  files.whole("gif-still.gif", rgb, {.suffix = ".gif"});
  files.whole("gif-transparent.gif", rgba, {.suffix = ".gif"});
  files.whole("gif-animated.gif", rgb, {.suffix = ".gif", .frames = 3});
  files.whole("tiff-plain.tif", rgb, {.suffix = ".tif"});
  files.whole("tiff-lzw.tif", rgb, {.suffix = ".tif[compression=lzw]"});
  files.whole("tiff-deflate-predictor.tif", rgb,
              {.suffix = ".tif[compression=deflate,predictor=horizontal]"});
  files.whole("tiff-jpeg.tif", rgb, {.suffix = ".tif[compression=jpeg]"});
  files.whole("tiff-tiled-pyramid.tif", rgb, {.suffix = ".tif[tile,pyramid]"});
  files.whole("tiff-big.tif", rgb, {.suffix = ".tif[bigtiff]"});
  files.whole("tiff-16-bit.tif", rgb, {.suffix = ".tif", .sixteen_bits = true});
  files.whole("tiff-float.tif", rgb, {.suffix = ".tif", .floats = true});
  files.whole("tiff-alpha.tif", rgba, {.suffix = ".tif"});
  files.whole("tiff-cmyk.tif", rgba, {.suffix = ".tif", .cmyk = true});
  files.whole("tiff-gray-1-bit.tif", gray, {.suffix = ".tif[bitdepth=1]"});
  files.whole("tiff-pages.tif", rgb, {.suffix = ".tif", .frames = 3});
  files.whole("heic.heic", rgb, {.suffix = ".heic[effort=0]"});
  files.whole("heic-alpha.heic", rgba, {.suffix = ".heic[effort=0]"});
  files.whole("avif.avif", rgb, {.suffix = ".avif[effort=0]"});
  files.whole("avif-lossless.avif", rgb, {.suffix = ".avif[effort=0,lossless]"});
  files.whole("jxl-lossy.jxl", rgb, {.suffix = ".jxl[effort=3]"});
  files.whole("jxl-lossless.jxl", rgb, {.suffix = ".jxl[effort=3,lossless]"});
  files.whole("jxl-alpha.jxl", rgba, {.suffix = ".jxl[effort=3]"});
  files.whole("jxl-16-bit.jxl", rgb, {.suffix = ".jxl[effort=3]", .sixteen_bits = true});

  const std::pair<BmpKind, const char*> bmps[] = {{BmpKind::rgb24, "24"},
                                                  {BmpKind::rgb32, "32"},
                                                  {BmpKind::argb32, "32-alpha"},
                                                  {BmpKind::rgb565, "565"},
                                                  {BmpKind::rgb555, "555"},
                                                  {BmpKind::palette8, "palette-8"},
                                                  {BmpKind::palette4, "palette-4"},
                                                  {BmpKind::palette1, "palette-1"},
                                                  {BmpKind::rle8, "rle8"},
                                                  {BmpKind::rle4, "rle4"},
                                                  {BmpKind::os2, "os2"},
                                                  {BmpKind::top_down, "top-down"}};
  for (const auto& [kind, name] : bmps) {
    files.add(std::string("bmp-") + name + ".bmp", write_bmp(scene(83, 61), kind), Expect::picture);
  }

  for (int o = 1; o <= 8; ++o) {
    const Pixels stored = turned(rgb, o);
    const std::string number = std::to_string(o);
    files.whole("orientation-" + number + ".jpg", stored,
                {.suffix = ".jpg[Q=95]", .orientation = o});
    files.whole("orientation-" + number + ".tif", stored,
                {.suffix = ".tif[compression=lzw]", .orientation = o});
    files.whole("orientation-" + number + ".webp", stored,
                {.suffix = ".webp[lossless]", .orientation = o});
    // libvips writes no eXIf chunk: little-endian TIFF with the one entry, tag 274.
    std::string exif = "II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\0\0\0\0\0\0\0\0"s;
    exif[18] = static_cast<char>(o);
    const Bytes png = write_picture(stored, {.suffix = ".png"});
    files.add("orientation-" + number + ".png",
              joined({Bytes(png.begin(), png.begin() + kPngHeaderBytes), png_chunk("eXIf", exif),
                      Bytes(png.begin() + kPngHeaderBytes, png.end())}),
              Expect::picture);
  }
  for (const char* suffix : {"heic", "avif", "jxl"}) {
    files.whole(std::string("exif-orientation-does-not-count.") + suffix, rgb,
                {.suffix = std::string(".") + suffix + "[effort=3]", .orientation = 6});
  }
  files.whole("orientation-99.jpg", rgb, {.suffix = ".jpg", .orientation = 99});
  files.whole("one-pixel.png", scene(1, 1), {.suffix = ".png"});
  files.whole("one-pixel.jpg", scene(1, 1), {.suffix = ".jpg"});
  files.whole("one-pixel.gif", scene(1, 1), {.suffix = ".gif"});
  files.whole("one-row.png", scene(5000, 1), {.suffix = ".png"});
  files.whole("one-column.jpg", scene(1, 5000), {.suffix = ".jpg"});
  files.whole("thin-panorama.jpg", scene(20000, 30), {.suffix = ".jpg"});
}

void add_wrong_names(Files& files) {
  const Pixels rgb = scene(120, 90);
  files.whole("a-png-called.jpg", rgb, {.suffix = ".png"});
  files.whole("a-jpeg-called.png", rgb, {.suffix = ".jpg"});
  files.whole("a-webp-called.jpeg", rgb, {.suffix = ".webp"});
  files.whole("a-heic-called.jpg", rgb, {.suffix = ".heic[effort=0]"});
  files.whole("a-gif-called.bmp", rgb, {.suffix = ".gif"});
  files.whole("a-jpeg-called.txt", rgb, {.suffix = ".jpg"});
  files.whole("a-jpeg-without-extension", rgb, {.suffix = ".jpg"});
  files.whole("a-jpeg-called.nef", rgb, {.suffix = ".jpg"});
  files.add("a-bmp-called.tif", write_bmp(rgb, BmpKind::rgb24), Expect::picture);
}

void add_bombs(Files& files) {
  for (const auto& [format, name] : {std::pair{PictureFormat::png, "bomb.png"},
                                     {PictureFormat::jpeg, "bomb.jpg"},
                                     {PictureFormat::gif, "bomb.gif"},
                                     {PictureFormat::tiff, "bomb.tif"},
                                     {PictureFormat::bmp, "bomb.bmp"}}) {
    files.add(name, write_bomb(format, 50000, 50000), Expect::failed,
              "50,000 x 50,000 is over limits.pixels_max");
  }
  files.add("bomb.webp", write_bomb(PictureFormat::webp, 50000, 50000), Expect::failed);
  files.add("bomb-sides-of-2-billion.png", write_bomb(PictureFormat::png, 0x7FFFFFFF, 0x7FFFFFFF),
            Expect::failed);
  files.add("bomb-sides-of-2-billion.bmp", write_bomb(PictureFormat::bmp, 0x7FFFFFFF, 0x7FFFFFFF),
            Expect::failed);
  files.add("bomb-sides-of-4-billion.tif", write_bomb(PictureFormat::tiff, 0xFFFFFFFF, 0xFFFFFFFF),
            Expect::failed);
  files.add("no-width.png", write_bomb(PictureFormat::png, 0, 100), Expect::failed);
  files.add("no-size.gif", write_bomb(PictureFormat::gif, 0, 0), Expect::typed);
  files.add("no-size.jpg", write_bomb(PictureFormat::jpeg, 0, 0), Expect::failed);
  files.add("no-size.bmp", write_bomb(PictureFormat::bmp, 0, 0), Expect::failed);
  files.add("promises-too-much.png", write_bomb(PictureFormat::png, 8000, 8000), Expect::failed);
}

void add_truncated(Files& files) {
  const Pixels rgb = scene(kWidth, kHeight);
  const std::pair<const char*, Bytes> pictures[] = {
      {"jpg", write_picture(rgb, {.suffix = ".jpg[Q=95]"})},
      {"progressive.jpg", write_picture(rgb, {.suffix = ".jpg[Q=95,interlace]"})},
      {"png", write_picture(rgb, {.suffix = ".png"})},
      {"interlaced.png", write_picture(rgb, {.suffix = ".png[interlace]"})},
      {"webp", write_picture(rgb, {.suffix = ".webp"})},
      {"gif", write_picture(rgb, {.suffix = ".gif"})},
      {"tif", write_picture(rgb, {.suffix = ".tif"})},
      {"lzw.tif", write_picture(rgb, {.suffix = ".tif[compression=lzw,tile]"})},
      {"heic", write_picture(rgb, {.suffix = ".heic[effort=0]"})},
      {"avif", write_picture(rgb, {.suffix = ".avif[effort=0]"})},
      {"jxl", write_picture(rgb, {.suffix = ".jxl[effort=3]"})},
      {"bmp", write_bmp(rgb, BmpKind::rgb24)},
      {"rle8.bmp", write_bmp(rgb, BmpKind::rle8)},
  };
  for (const auto& [extension, bytes] : pictures) {
    for (const int percent : {0, 3, 10, 25, 50, 75, 90}) {
      const std::size_t size =
          percent == 0 ? 20 : bytes.size() * static_cast<std::size_t>(percent) / 100;
      const Bytes cut(bytes.begin(),
                      bytes.begin() + static_cast<std::ptrdiff_t>(std::min(size, bytes.size())));
      files.add("truncated-" + std::to_string(percent) + "-percent." + extension, cut,
                Expect::failed);
    }
    files.add(std::string("one-byte-short.") + extension, Bytes(bytes.begin(), bytes.end() - 1),
              Expect::typed);
    files.add(std::string("three-bytes.") + extension, Bytes(bytes.begin(), bytes.begin() + 3),
              Expect::failed);
  }
  for (const char* name : {"empty.jpg", "empty.png", "empty.heic"}) {
    files.add(name, {}, Expect::failed, "the file is empty (0 bytes)");
  }
  files.add("empty.txt", {}, Expect::skipped);
  files.add("zeros.jpg", Bytes(5000), Expect::failed, "no known format");
  Bytes half_zeros = pictures[0].second;
  std::fill(half_zeros.begin() + static_cast<std::ptrdiff_t>(half_zeros.size() / 2),
            half_zeros.end(), std::byte{0});
  files.add("second-half-is-zeros.jpg", half_zeros, Expect::typed);
}

void add_flipped(Files& files, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const Pixels rgb = scene(160, 120);
  const std::pair<const char*, Bytes> pictures[] = {
      {"jpg", write_picture(rgb, {.suffix = ".jpg", .orientation = 6, .profile = "p3"})},
      {"progressive.jpg", write_picture(rgb, {.suffix = ".jpg[interlace]"})},
      {"png", write_picture(rgb, {.suffix = ".png"})},
      {"webp", write_picture(rgb, {.suffix = ".webp"})},
      {"gif", write_picture(rgb, {.suffix = ".gif", .frames = 2})},
      {"tif", write_picture(rgb, {.suffix = ".tif[compression=lzw]", .orientation = 3})},
      {"jpeg.tif", write_picture(rgb, {.suffix = ".tif[compression=jpeg,tile]"})},
      {"heic", write_picture(rgb, {.suffix = ".heic[effort=0]"})},
      {"avif", write_picture(rgb, {.suffix = ".avif[effort=0]"})},
      {"jxl", write_picture(rgb, {.suffix = ".jxl[effort=3]"})},
      {"rle8.bmp", write_bmp(rgb, BmpKind::rle8)},
      {"palette.bmp", write_bmp(rgb, BmpKind::palette4)},
  };
  for (const auto& [extension, bytes] : pictures) {
    for (int i = 0; i < 5; ++i) {
      Bytes damaged = bytes;
      // The first bytes stay, so that it is still taken for what it was; even numbers are hit in
      // the header.
      const std::size_t span =
          i % 2 == 0 ? std::min<std::size_t>(damaged.size(), 400) : damaged.size();
      for (int k = 0; k < 1 + 3 * i; ++k) {
        const std::size_t at = 12 + random() % (span - 12);
        damaged[at] ^= static_cast<std::byte>(1u << random() % 8);
      }
      files.add("bits-flipped-" + std::to_string(i) + "." + extension, damaged, Expect::typed);
    }
  }
}

void add_strangers(Files& files) {
  files.add("letter.pdf", text_bytes("%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"), Expect::skipped);
  files.add("pdf-called.jpg", text_bytes("%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"), Expect::skipped);
  files.add("drawing.svg",
            text_bytes("<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
            Expect::skipped);
  files.add(
      "svg-called.png",
      text_bytes(
          "<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"file:///etc/passwd\"/></svg>"),
      Expect::skipped);
  files.add("magick-script.jpg",
            text_bytes("push graphic-context\nviewbox 0 0 640 480\npop graphic-context\n"),
            Expect::skipped);
  files.add("postscript.jpg", text_bytes("%!PS-Adobe-3.0\n(/etc/passwd) run\n"), Expect::skipped);
  files.add("notes.txt", text_bytes("BM stands for bitmap, II*, MM and GIF are words too.\n"),
            Expect::skipped);
  files.add("page.html", text_bytes("<!DOCTYPE html><html><body>not found</body></html>"),
            Expect::skipped);
  files.add("page-called.jpg", text_bytes("<!DOCTYPE html><html><body>404</body></html>"),
            Expect::skipped);
  files.add("archive.zip", text_bytes("PK\x03\x04\x14\0\0\0\0\0"sv), Expect::skipped);
  files.add("film.mov",
            text_bytes("\0\0\0\x14"
                       "ftypqt  \0\0\0\0qt  "sv),
            Expect::skipped);
  files.add("film.mp4",
            text_bytes("\0\0\0\x14"
                       "ftypisom\0\0\0\0isom"sv),
            Expect::skipped);
  files.add("film-called.heic",
            text_bytes("\0\0\0\x14"
                       "ftypisom\0\0\0\0isom"sv),
            Expect::skipped);
  files.add("program",
            text_bytes("\x7F"
                       "ELF\x02\x01\x01\0\0\0"sv),
            Expect::skipped);
  files.add("numbers.csv", text_bytes("a,b\n1,2\n"), Expect::skipped);
  files.add("photo.nef", write_bomb(PictureFormat::tiff, 10, 10), Expect::failed,
            "RAW is not read");
  files.add("photo.cr2", replaced(write_bomb(PictureFormat::tiff, 10, 10), 8, "CR"), Expect::failed,
            "RAW is not read");
  files.add("canon-without-extension",
            text_bytes("\0\0\0\x18"
                       "ftypcrx \0\0\0\1crx isom"sv),
            Expect::failed, "RAW is not read");
  files.add("layers.psd", text_bytes("8BPS\0\1\0\0\0\0\0\0\0\3"sv), Expect::failed,
            "Photoshop is not read");
}

void add_nasties(Files& files) {
  const Pixels rgb = scene(kWidth, kHeight);
  const Bytes jpeg = write_picture(rgb, {.suffix = ".jpg"});
  const Bytes png = write_picture(rgb, {.suffix = ".png"});
  // A chunk right behind the PNG header: a comment of 1 MB, one that unpacks to nothing sane, and
  // one that lies about its length.
  const auto after_header = png.begin() + kPngHeaderBytes;
  auto with_chunk = [&](const Bytes& chunk) {
    return joined({Bytes(png.begin(), after_header), chunk, Bytes(after_header, png.end())});
  };
  files.add("png-comment-of-1-mb.png",
            with_chunk(png_chunk("tEXt", "Comment\0"s + std::string(1 << 20, 'x'))),
            Expect::picture);
  files.add("png-broken-ztxt.png", with_chunk(png_chunk("zTXt", "Comment\0\0not zlib"sv)),
            Expect::typed);
  files.add("png-chunk-length-lies.png", with_chunk(text_bytes("\x7F\xFF\xFF\xFFtEXtoops"sv)),
            Expect::failed);
  files.add("png-unknown-critical-chunk.png", with_chunk(png_chunk("ABCD", "?")), Expect::typed);
  files.add("png-wrong-crc.png", replaced(png, png.size() - 20, "\x12\x34"), Expect::typed);

  auto with_segment = [&](const Bytes& segment) {
    return joined(
        {Bytes(jpeg.begin(), jpeg.begin() + 2), segment, Bytes(jpeg.begin() + 2, jpeg.end())});
  };
  files.add("jpeg-exif-garbage.jpg",
            with_segment(text_bytes("\xFF\xE1\0\x20"
                                    "Exif\0\0garbage garbage garbage."sv)),
            Expect::picture);
  files.add("jpeg-exif-loop.jpg",
            with_segment(text_bytes(
                "\xFF\xE1\0\x22"
                "Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"sv)),
            Expect::picture);
  Bytes comments;
  for (int i = 0; i < 2000; ++i)
    comments = joined({std::move(comments), text_bytes("\xFF\xFE\0\x04hi"sv)});
  files.add("jpeg-2000-comments.jpg", with_segment(comments), Expect::picture);
  files.add("jpeg-second-picture-behind.jpg", joined({jpeg, jpeg}), Expect::picture);
  files.add("jpeg-text-behind.jpg", joined({jpeg, text_bytes("appended by a chat program")}),
            Expect::picture);
  files.add("jpeg-without-end-marker.jpg", Bytes(jpeg.begin(), jpeg.end() - 2), Expect::picture);
  files.add(
      "jpeg-cut-but-ended.jpg",
      joined({Bytes(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(jpeg.size() / 2)),
              text_bytes("\xFF\xD9"sv)}),
      Expect::failed);
  files.add("jpeg-only-markers.jpg", text_bytes("\xFF\xD8\xFF\xD9"sv), Expect::failed);
  // The last scan of a progressive picture a thousand times over: each costs a pass over the whole
  // picture.
  const Bytes progressive = write_picture(scene(1600, 1200), {.suffix = ".jpg[interlace]"});
  std::size_t scan = 0;
  for (std::size_t i = 0; i + 1 < progressive.size(); ++i) {
    if (progressive[i] == std::byte{0xFF} && progressive[i + 1] == std::byte{0xDA}) scan = i;
  }
  Bytes many(progressive.begin(), progressive.end() - 2);
  const Bytes last(progressive.begin() + static_cast<std::ptrdiff_t>(scan), progressive.end() - 2);
  for (int i = 0; i < 300; ++i) many.insert(many.end(), last.begin(), last.end());
  files.add("jpeg-300-scans.jpg", joined({many, text_bytes("\xFF\xD9"sv)}), Expect::typed);

  const Bytes tiff = write_picture(rgb, {.suffix = ".tif"});
  files.add("tiff-directory-beyond-the-end.tif", replaced(tiff, 4, "\xF0\xFF\xFF\x7F"sv),
            Expect::failed);
  files.add("tiff-no-directory.tif", text_bytes("II*\0\0\0\0\0"sv), Expect::failed);
  Bytes loop = write_bomb(PictureFormat::tiff, 10, 10);
  loop[loop.size() - 4] = std::byte{8};  // the next directory is this one
  files.add("tiff-directory-loop.tif", loop, Expect::typed);
  const Bytes gif = write_picture(rgb, {.suffix = ".gif"});
  files.add("gif-without-end.gif", Bytes(gif.begin(), gif.end() - 1), Expect::picture);
  files.add("bmp-offset-beyond-the-end.bmp",
            replaced(write_bmp(rgb, BmpKind::rgb24), 10, "\xFF\xFF\xFF\x7F"sv), Expect::failed);
  files.add("bmp-negative-width.bmp",
            replaced(write_bmp(rgb, BmpKind::rgb24), 18, "\xFF\xFF\xFF\xFF"sv), Expect::failed);
  files.add("bmp-31-bits.bmp", replaced(write_bmp(rgb, BmpKind::rgb24), 28, "\x1F\0"sv),
            Expect::failed);
}

}  // namespace

std::vector<HostileFile> make_hostile_files(std::uint64_t seed) {
  Files files;
  add_whole(files);
  add_wrong_names(files);
  add_bombs(files);
  add_truncated(files);
  add_flipped(files, seed);
  add_strangers(files);
  add_nasties(files);
  return files.take();
}

}  // namespace similis::hostile
