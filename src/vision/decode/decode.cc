#include "vision/decode/decode.h"

#include <dlfcn.h>
#include <gmodule.h>
#include <vips/vips.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "core/sha256.h"
#include "vision/decode/bmp.h"
#include "vision/decode/expected_bytes.h"
#include "vision/decode/jpeg.h"
#include "vision/decode/tensor.h"
#include "vision/decode/vips_picture.h"
#include "vision/hashes.h"
#include "vision/resample.h"

namespace similis {
namespace {

constexpr int kThumbnailQuality = 80;
constexpr int kPreviewQuality = 88;
// The picture is never reduced below this short side while loading, so that requests without
// tensors, or with small ones, share the reduction of the default model's.
constexpr double kShortSideMinPx = 448;

Error ends_early(PictureFormat format, std::uint64_t bytes, std::uint64_t expected) {
  std::string text = std::string(format_name(format)) + " ends early: ";
  if (expected > bytes) {
    const bool least = format == PictureFormat::png;  // chunks beyond the cut one are unknown
    text +=
        with_commas(bytes) + (least ? " of at least " : " of ") + with_commas(expected) + " bytes";
  } else {
    text += "after " + with_commas(bytes) + " bytes the picture is not complete";
  }
  return {ErrorCode::unreadable_media, text, "Get the file again from where it came from."};
}

// Decoders word a file's early end in many ways; the file's own account of its length decides,
// unless it is absurd (damage, not truncation).
Error explained(Error error, PictureFormat format, std::span<const std::byte> bytes,
                const DecodeLimits& limits) {
  if (error.code != ErrorCode::unreadable_media) return error;
  std::uint64_t expected = expected_bytes(format, bytes).value_or(0);
  if (expected > limits.file_bytes_max) expected = 0;
  static constexpr std::string_view kWords[] = {"ends early", "nexpected end of", "Premature end",
                                                "IO error"};
  const bool said_so = std::any_of(
      std::begin(kWords), std::end(kWords),
      [&](std::string_view word) { return error.message.find(word) != std::string::npos; });
  if (expected > bytes.size() || said_so) return ends_early(format, bytes.size(), expected);
  if (format == PictureFormat::jxl) {  // libjxl has one answer to both
    return {ErrorCode::unreadable_media,
            "JPEG XL ends early or is damaged: " + with_commas(bytes.size()) + " bytes",
            "Get the file again from where it came from."};
  }
  return error;
}

// An opened file of any format.
struct Source {
  PictureFormat format = PictureFormat::jpeg;
  std::span<const std::byte> bytes;
  int width = 0;  // as stored
  int height = 0;
  int orientation = 1;
  std::optional<VipsPicture> vips;  // unless BMP
  BmpHeader bmp;
};

Result<Source> open_source(PictureFormat format, std::span<const std::byte> bytes) {
  Source source{format, bytes, 0, 0, 1, std::nullopt, {}};
  if (format == PictureFormat::bmp) {
    ASSIGN_OR_RETURN(source.bmp, read_bmp_header(bytes));
    source.width = source.bmp.width;
    source.height = source.bmp.height;
    return source;
  }
  ASSIGN_OR_RETURN(source.vips, VipsPicture::open(format, bytes));
  source.width = source.vips->width();
  source.height = source.vips->height();
  source.orientation = source.vips->orientation();
  return source;
}

Result<RgbImage> stored_pixels(Source& source, int shrink, const PixelWindow& window) {
  if (source.format == PictureFormat::bmp) {
    ASSIGN_OR_RETURN(const auto rgba, read_bmp_pixels(source.bytes, source.bmp));
    ASSIGN_OR_RETURN(auto picture, VipsPicture::wrap(rgba, source.width, source.height, 4));
    return picture.pixels(shrink, window);
  }
  VipsPicture& vips = *source.vips;
  const auto profile = vips.foreign_profile();
  const bool plain = vips.bands() == 3 || (vips.bands() == 1 && profile.empty());
  if (source.format == PictureFormat::jpeg && plain && shrink <= 8) {
    ASSIGN_OR_RETURN(auto image, decode_jpeg(source.bytes, shrink, window));
    return profile.empty() ? std::move(image) : profile_to_srgb(std::move(image), profile);
  }
  return vips.pixels(shrink, window);
}

// An upright picture, reduced; what was asked for (all of it, or the crop) is `extent` of `image`.
struct Base {
  RgbImage image;
  Extent extent;
};

int choose_shrink(const DecodeRequest& request, const Extent& wanted_upright) {
  double short_side = kShortSideMinPx;
  for (const Preprocess& p : request.tensors) {
    const double fraction = p.fit == Preprocess::Fit::center_crop ? p.crop_fraction : 1;
    short_side = std::max(short_side, 2.0 * std::max(p.width_px, p.height_px) / fraction);
  }
  int shrink = 1;
  auto enough = [&](int f) {
    return std::min(wanted_upright.width, wanted_upright.height) / f >= short_side &&
           std::max(wanted_upright.width, wanted_upright.height) / f >= kThumbnailSidePx &&
           wanted_upright.width / f >= request.preview_width_px;
  };
  while (shrink < 8 && enough(2 * shrink)) shrink *= 2;
  return shrink;
}

Result<Base> make_base(Source& source, const DecodeRequest& request) {
  const int o = source.orientation;
  const double upright_width = orientation_swaps(o) ? source.height : source.width;
  const double upright_height = orientation_swaps(o) ? source.width : source.height;
  Extent wanted{0, 0, upright_width, upright_height};
  if (request.crop) {
    const CropRect& c = *request.crop;
    wanted = {c.x * upright_width, c.y * upright_height, c.width * upright_width,
              c.height * upright_height};
  }
  const int shrink = choose_shrink(request, wanted);
  // The wanted part on the stored, reduced picture, and the whole pixels that hold it.
  Extent part = oriented(wanted, upright_width, upright_height, inverse_orientation(o));
  part = {part.x / shrink, part.y / shrink, part.width / shrink, part.height / shrink};
  const int reduced_width = (source.width + shrink - 1) / shrink,
            reduced_height = (source.height + shrink - 1) / shrink;
  PixelWindow window;
  window.x = std::clamp(static_cast<int>(std::floor(part.x)), 0, reduced_width - 1);
  window.y = std::clamp(static_cast<int>(std::floor(part.y)), 0, reduced_height - 1);
  window.width =
      std::clamp(static_cast<int>(std::ceil(part.x + part.width)), window.x + 1, reduced_width) -
      window.x;
  window.height =
      std::clamp(static_cast<int>(std::ceil(part.y + part.height)), window.y + 1, reduced_height) -
      window.y;

  ASSIGN_OR_RETURN(RgbImage image, stored_pixels(source, shrink, window));
  part.x -= window.x;
  part.y -= window.y;
  Base base;
  base.extent = oriented(part, window.width, window.height, o);
  base.image = oriented(std::move(image), o);
  return base;
}

// A JPEG of the base at `factor` of the file's own resolution.
Result<EncodedImage> encode_reduced(const Base& base, double true_width, double true_height,
                                    double factor, int quality) {
  const int width = std::max(1, static_cast<int>(std::lround(true_width * factor)));
  const int height = std::max(1, static_cast<int>(std::lround(true_height * factor)));
  const RgbImage small = resample(base.image, base.extent, width, height, Preprocess::Filter::area);
  ASSIGN_OR_RETURN(auto bytes, encode_jpeg(small, quality));
  return EncodedImage{PictureFormat::jpeg, std::move(bytes)};
}

bool serves_as_thumbnail(const Source& source, const DecodeRequest& request, int frames) {
  switch (source.format) {
    case PictureFormat::jpeg:
    case PictureFormat::png:
    case PictureFormat::webp:
    case PictureFormat::gif:
      break;
    default:
      return false;
  }
  return !request.crop && frames == 1 && source.orientation == 1 &&
         std::max(source.width, source.height) <= kThumbnailSidePx && source.vips->is_8_bit() &&
         !source.vips->is_cmyk() && source.vips->foreign_profile().empty();
}

// A module beside libvips itself; absent ones are built in, or found missing by the caller.
void load_vips_module(const char* file) {
  Dl_info library{};
  if (::dladdr(reinterpret_cast<void*>(&vips_init), &library) == 0) return;
  const auto folder =
      std::filesystem::path(library.dli_fname).parent_path() /
      ("vips-modules-" + std::to_string(vips_version(0)) + "." + std::to_string(vips_version(1)));
  GModule* module = g_module_open((folder / file).c_str(), G_MODULE_BIND_LAZY);
  if (module != nullptr) g_module_make_resident(module);
}

}  // namespace

Status init_decoder(int threads) {
  // Debian keeps some of libvips' readers in modules, and vips_init() loads all of them: Poppler,
  // ImageMagick and OpenSlide too. It looks below VIPSHOME, where it shall find none; ours are
  // loaded by name.
  ::setenv("VIPSHOME", "/nonexistent", 1);
  if (VIPS_INIT("similis") != 0) {
    return Error(ErrorCode::internal, "libvips cannot start: " + take_vips_error());
  }
  load_vips_module("vips-heif.so");
  load_vips_module("vips-jxl.so");
  for (const char* loader : kAllowedLoaders) {
    if (g_type_from_name(loader) == 0) {
      return Error(ErrorCode::not_found, std::string("libvips has no ") + loader,
                   "Install Debian's libvips42 anew.");
    }
  }
  vips_concurrency_set(threads);
  vips_cache_set_max(0);
  vips_leak_set(FALSE);
  // Blocking a base class blocks its children; those that stay open are opened again by name.
  vips_operation_block_set("VipsForeignLoad", TRUE);
  for (const char* loader : kAllowedLoaders) vips_operation_block_set(loader, FALSE);
  return {};
}

Result<DecodedPicture> decode(std::span<const std::byte> bytes, std::string_view file_name,
                              const DecodeRequest& request, const DecodeLimits& limits) {
  TRY(check_request(request));
  TRY(check_file_bytes(bytes.size(), limits));
  const Sniffed type = sniff(bytes, file_name);
  if (type.kind != SniffKind::picture) return not_a_picture_error(type);

  DecodedPicture picture;
  picture.format = type.format;
  if (request.content_hash) {
    ASSIGN_OR_RETURN(picture.content_hash, sha256(bytes));
  }
  auto opened = open_source(type.format, bytes);
  if (!opened.ok()) return explained(std::move(opened).error(), type.format, bytes, limits);
  Source& source = *opened;
  TRY(check_pixels(source.width, source.height, limits));
  picture.width_px = orientation_swaps(source.orientation) ? source.height : source.width;
  picture.height_px = orientation_swaps(source.orientation) ? source.width : source.height;
  if (source.vips) {
    picture.exif = source.vips->exif();
    picture.frames = source.vips->frames();
  }
  if (!request.wants_pixels()) return picture;

  // Asked before the pixels are taken: libvips gives them once.
  picture.file_is_thumbnail =
      request.thumbnail && serves_as_thumbnail(source, request, picture.frames);
  auto made = make_base(source, request);
  if (!made.ok()) return explained(std::move(made).error(), type.format, bytes, limits);
  const Base& base = *made;

  for (const Preprocess& preprocess : request.tensors) {
    ASSIGN_OR_RETURN(RgbImage tensor, make_tensor(base.image, base.extent, preprocess));
    picture.tensors.push_back(std::move(tensor));
  }
  if (request.perceptual_hash) {
    picture.perceptual_hash =
        perceptual_hash(resample(base.image, base.extent, 32, 32, Preprocess::Filter::area));
  }
  const double width = picture.width_px * (request.crop ? request.crop->width : 1);
  const double height = picture.height_px * (request.crop ? request.crop->height : 1);
  if (request.thumbnail && !picture.file_is_thumbnail) {
    const double factor = std::min(1.0, kThumbnailSidePx / std::max(width, height));
    ASSIGN_OR_RETURN(picture.thumbnail,
                     encode_reduced(base, width, height, factor, kThumbnailQuality));
  }
  if (request.preview_width_px > 0) {
    const double factor =
        std::min({1.0, request.preview_width_px / width, kPreviewSideMaxPx / height});
    ASSIGN_OR_RETURN(picture.preview, encode_reduced(base, width, height, factor, kPreviewQuality));
  }
  return picture;
}

}  // namespace similis
