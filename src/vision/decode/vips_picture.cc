#include "vision/decode/vips_picture.h"

#include <vips/vips.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "vision/decode/exif_text.h"

namespace similis {
namespace {

Error vips_failure(PictureFormat format) {
  const std::string text = take_vips_error();
  const std::string name(format_name(format));
  // libvips has one buffer of words for all failures; memory is the one that says nothing about the
  // picture.
  if (text.find("emory") != std::string::npos) {
    return {ErrorCode::resource_exhausted, name + " needs more memory than the decoder may use"};
  }
  return {ErrorCode::unreadable_media, name + " cannot be decoded: " + text};
}

std::string_view meta_text(VipsImage* image, const char* name) {
  const char* text = nullptr;
  if (vips_image_get_typeof(image, name) == 0 || vips_image_get_string(image, name, &text) != 0) {
    vips_error_clear();
    return {};
  }
  return text;
}

int meta_int(VipsImage* image, const char* name, int otherwise) {
  int value = otherwise;
  if (vips_image_get_typeof(image, name) == 0) return otherwise;
  if (vips_image_get_int(image, name, &value) != 0) {
    vips_error_clear();
    return otherwise;
  }
  return value;
}

std::span<const std::byte> meta_blob(VipsImage* image, const char* name) {
  const void* data = nullptr;
  std::size_t size = 0;
  if (vips_image_get_typeof(image, name) == 0) return {};
  if (vips_image_get_blob(image, name, &data, &size) != 0) {
    vips_error_clear();
    return {};
  }
  return {static_cast<const std::byte*>(data), size};
}

// One step of a pipeline: `out` from `in`; the reference to `in` is given up. False on failure.
template <typename Operation, typename Ptr>
bool step(Ptr& image, Operation operation) {
  VipsImage* out = nullptr;
  if (operation(image.get(), &out) != 0) return false;
  image.reset(out);
  return true;
}

}  // namespace

std::string take_vips_error() {
  std::string text;
  for (const char c : std::string_view(vips_error_buffer())) {
    if (c == '\n' || text.size() >= 160) break;
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u < 0x7F) text += c;
  }
  vips_error_clear();
  // "VipsJpeg: Bogus marker length": the function's name says nothing to the file's owner.
  const std::size_t colon = text.find(": ");
  if (colon != std::string::npos && text.find(' ') > colon) text.erase(0, colon + 2);
  return text.empty() ? "the data are damaged" : text;
}

bool is_srgb_profile(std::span<const std::byte> profile) {
  // ICC.1: header of 128 bytes, colour space at 16, then a count and a table of (signature, offset,
  // size).
  const std::string_view text(reinterpret_cast<const char*>(profile.data()), profile.size());
  if (text.size() < 132 || text.substr(16, 4) != "RGB ") return false;
  auto u32 = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
      value = value << 8 | static_cast<unsigned char>(text[at + i]);
    return std::size_t{value};
  };
  const std::size_t count = std::min<std::size_t>(u32(128), 100);
  for (std::size_t i = 0, at = 132; i < count && at + 12 <= text.size(); ++i, at += 12) {
    if (text.substr(at, 4) != "desc") continue;
    const std::size_t offset = u32(at + 4), size = u32(at + 8);
    if (offset >= text.size()) return false;
    const std::string_view description = text.substr(offset, size);
    using namespace std::string_view_literals;
    return description.find("sRGB") != description.npos ||
           description.find("s\0R\0G\0B"sv) != description.npos;
  }
  return false;
}

void VipsPicture::Unref::operator()(_VipsImage* image) const {
  g_object_unref(image);
}

Result<VipsPicture> VipsPicture::open(PictureFormat format, std::span<const std::byte> bytes) {
  VipsImage* out = nullptr;
  void* data = const_cast<std::byte*>(bytes.data());
  const std::size_t size = bytes.size();
  auto load = [&](auto loader, auto... options) {
    return loader(data, size, &out, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                  VIPS_FAIL_ON_TRUNCATED, options..., nullptr);
  };
  int failed = -1;
  switch (format) {
    case PictureFormat::jpeg:
      failed = load(vips_jpegload_buffer);
      break;
    case PictureFormat::png:
      failed = load(vips_pngload_buffer, "unlimited", FALSE);
      break;
    case PictureFormat::webp:
      failed = load(vips_webpload_buffer);
      break;
    case PictureFormat::gif:
      failed = load(vips_gifload_buffer);
      break;
    case PictureFormat::tiff:
      failed = load(vips_tiffload_buffer);
      break;
    case PictureFormat::heic:
    case PictureFormat::avif:
      failed = load(vips_heifload_buffer);
      break;
    case PictureFormat::jxl:
      failed = load(vips_jxlload_buffer);
      break;
    case PictureFormat::bmp:
      return Error(ErrorCode::internal, "libvips has no decoder for BMP");
  }
  if (failed != 0) return vips_failure(format);
  return VipsPicture(ImagePtr(out), format);
}

Result<VipsPicture> VipsPicture::wrap(std::span<const std::uint8_t> pixels, int width, int height,
                                      int bands, std::span<const std::byte> profile) {
  VipsImage* out = vips_image_new_from_memory(pixels.data(), pixels.size(), width, height, bands,
                                              VIPS_FORMAT_UCHAR);
  if (out == nullptr) return vips_failure(PictureFormat::bmp);
  out->Type = VIPS_INTERPRETATION_sRGB;
  if (!profile.empty())
    vips_image_set_blob_copy(out, VIPS_META_ICC_NAME, profile.data(), profile.size());
  return VipsPicture(ImagePtr(out), PictureFormat::bmp);
}

int VipsPicture::width() const {
  return vips_image_get_width(image_.get());
}
int VipsPicture::height() const {
  return vips_image_get_height(image_.get());
}
int VipsPicture::bands() const {
  return vips_image_get_bands(image_.get());
}
int VipsPicture::frames() const {
  return std::max(1, vips_image_get_n_pages(image_.get()));
}
bool VipsPicture::is_8_bit() const {
  return vips_image_get_format(image_.get()) == VIPS_FORMAT_UCHAR;
}
bool VipsPicture::is_cmyk() const {
  return vips_image_get_interpretation(image_.get()) == VIPS_INTERPRETATION_CMYK;
}

int VipsPicture::orientation() const {
  // These turn the picture by a field of their own, which their decoders obey; a second account in
  // EXIF does not count.
  if (format_ == PictureFormat::heic || format_ == PictureFormat::avif ||
      format_ == PictureFormat::jxl)
    return 1;
  const int value = meta_int(image_.get(), VIPS_META_ORIENTATION, 1);
  return value >= 1 && value <= 8 ? value : 1;
}

ExifInfo VipsPicture::exif() const {
  VipsImage* image = image_.get();
  ExifInfo info;
  info.orientation = orientation();
  info.camera_make = exif_string(meta_text(image, "exif-ifd0-Make"));
  info.camera_model = exif_string(meta_text(image, "exif-ifd0-Model"));
  info.taken_unix_s = exif_time(meta_text(image, "exif-ifd2-DateTimeOriginal"),
                                meta_text(image, "exif-ifd2-OffsetTimeOriginal"));
  if (!info.taken_unix_s) {
    info.taken_unix_s = exif_time(meta_text(image, "exif-ifd2-DateTimeDigitized"),
                                  meta_text(image, "exif-ifd2-OffsetTimeDigitized"));
  }
  const auto latitude = exif_degrees(meta_text(image, "exif-ifd3-GPSLatitude"),
                                     meta_text(image, "exif-ifd3-GPSLatitudeRef"), 90);
  const auto longitude = exif_degrees(meta_text(image, "exif-ifd3-GPSLongitude"),
                                      meta_text(image, "exif-ifd3-GPSLongitudeRef"), 180);
  if (latitude && longitude) {
    info.latitude_deg = latitude;
    info.longitude_deg = longitude;
  }
  return info;
}

std::span<const std::byte> VipsPicture::foreign_profile() const {
  const auto profile = meta_blob(image_.get(), VIPS_META_ICC_NAME);
  if (profile.empty() || is_srgb_profile(profile)) return {};
  return profile;
}

Result<RgbImage> VipsPicture::pixels(int shrink, const PixelWindow& window) {
  ImagePtr image = std::move(image_);
  const bool profiled = [&] {
    const auto profile = meta_blob(image.get(), VIPS_META_ICC_NAME);
    return !profile.empty() && !is_srgb_profile(profile);
  }();
  auto to_srgb = [](VipsImage* in, VipsImage** out) {
    return vips_colourspace(in, out, VIPS_INTERPRETATION_sRGB, nullptr);
  };
  auto run = [&]() -> bool {
    // Floats may mean anything until they are sRGB; integers keep their depth until after the
    // profile.
    if (vips_band_format_isfloat(image->BandFmt) || vips_band_format_iscomplex(image->BandFmt)) {
      if (!step(image, to_srgb)) return false;
    }
    const bool cmyk = image->Type == VIPS_INTERPRETATION_CMYK;
    if (cmyk && image->Bands > 4) {
      if (!step(image, [](VipsImage* in, VipsImage** out) {
            return vips_extract_band(in, out, 0, "n", 4, nullptr);
          })) {
        return false;
      }
    } else if (!cmyk && (image->Bands == 2 || image->Bands == 4)) {
      const double white = image->BandFmt == VIPS_FORMAT_USHORT ? 65535 : 255;
      if (!step(image, [white](VipsImage* in, VipsImage** out) {
            VipsArrayDouble* background = vips_array_double_newv(1, white);
            const int status =
                vips_flatten(in, out, "background", background, "max_alpha", white, nullptr);
            vips_area_unref(VIPS_AREA(background));
            return status;
          })) {
        return false;
      }
    } else if (!cmyk && image->Bands > 4) {
      if (!step(image, [](VipsImage* in, VipsImage** out) {
            return vips_extract_band(in, out, 0, "n", 3, nullptr);
          })) {
        return false;
      }
    }
    // The window in whole source pixels, so that only what it covers is worked on.
    const int x = std::min(window.x * shrink, image->Xsize - 1),
              y = std::min(window.y * shrink, image->Ysize - 1);
    const int width = std::min(window.width * shrink, image->Xsize - x);
    const int height = std::min(window.height * shrink, image->Ysize - y);
    if (x != 0 || y != 0 || width != image->Xsize || height != image->Ysize) {
      if (!step(image, [=](VipsImage* in, VipsImage** out) {
            return vips_extract_area(in, out, x, y, width, height, nullptr);
          })) {
        return false;
      }
    }
    if (shrink > 1 && !step(image, [=](VipsImage* in, VipsImage** out) {
          return vips_shrink(in, out, shrink, shrink, "ceil", TRUE, nullptr);
        })) {
      return false;
    }
    bool converted = false;
    if (profiled) {
      converted = step(image, [](VipsImage* in, VipsImage** out) {
        return vips_icc_transform(in, out, "srgb", "embedded", TRUE, "depth", 8, "intent",
                                  VIPS_INTENT_RELATIVE, nullptr);
      });
      if (!converted) vips_error_clear();  // a broken profile: the colours are taken as they are
    }
    if (!converted && !step(image, to_srgb)) return false;
    if (image->BandFmt != VIPS_FORMAT_UCHAR && !step(image, [](VipsImage* in, VipsImage** out) {
          return vips_cast(in, out, VIPS_FORMAT_UCHAR, nullptr);
        })) {
      return false;
    }
    if (image->Bands < 3) {
      return step(image, [](VipsImage* in, VipsImage** out) {
        VipsImage* gray = nullptr;
        if (vips_extract_band(in, &gray, 0, nullptr) != 0) return -1;
        VipsImage* three[3] = {gray, gray, gray};
        const int status = vips_bandjoin(three, out, 3, nullptr);
        g_object_unref(gray);
        return status;
      });
    }
    return image->Bands == 3 || step(image, [](VipsImage* in, VipsImage** out) {
             return vips_extract_band(in, out, 0, "n", 3, nullptr);
           });
  };
  if (!run()) return vips_failure(format_);
  if (image->Xsize != window.width || image->Ysize != window.height) {
    return Error(ErrorCode::internal, "a picture was reduced to " + std::to_string(image->Xsize) +
                                          " x " + std::to_string(image->Ysize) + " instead of " +
                                          std::to_string(window.width) + " x " +
                                          std::to_string(window.height));
  }
  RgbImage out{window.width, window.height, {}};
  out.pixels.resize(3 * static_cast<std::size_t>(out.width) * static_cast<std::size_t>(out.height));
  // Straight into our memory, without the copy of vips_image_write_to_memory().
  const ImagePtr target(vips_image_new_from_memory(out.pixels.data(), out.pixels.size(), out.width,
                                                   out.height, 3, VIPS_FORMAT_UCHAR));
  if (!target || vips_image_write(image.get(), target.get()) != 0) return vips_failure(format_);
  return out;
}

RgbImage profile_to_srgb(RgbImage image, std::span<const std::byte> profile) {
  auto wrapped = VipsPicture::wrap(image.pixels, image.width, image.height, 3, profile);
  if (!wrapped.ok()) return image;
  auto pixels = wrapped->pixels(1, {0, 0, image.width, image.height});
  return pixels.ok() ? std::move(pixels).value() : image;
}

}  // namespace similis
