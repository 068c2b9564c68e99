#include "vision/picture.h"

namespace similis {

std::string ExifInfo::camera() const {
  if (camera_make.empty() || camera_model.starts_with(camera_make)) return camera_model;
  return camera_model.empty() ? camera_make : camera_make + " " + camera_model;
}

std::string with_commas(std::uint64_t value) {
  std::string text = std::to_string(value);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

Status check_request(const DecodeRequest& request) {
  auto invalid = [](const std::string& what) { return Error(ErrorCode::invalid_argument, what); };
  if (request.tensors.size() > kTensorsMax) {
    return invalid("at most " + std::to_string(kTensorsMax) + " tensors come from one decode");
  }
  for (const Preprocess& p : request.tensors) {
    if (p.width_px < 1 || p.height_px < 1 || p.width_px > kTensorSideMaxPx ||
        p.height_px > kTensorSideMaxPx) {
      return invalid("a model's input of " + std::to_string(p.width_px) + " x " +
                     std::to_string(p.height_px) + " is outside 1.." +
                     std::to_string(kTensorSideMaxPx));
    }
    if (!(p.crop_fraction > 0 && p.crop_fraction <= 1))
      return invalid("crop_fraction must be above 0 and at most 1");
    if (p.jpeg_quality && (*p.jpeg_quality < 1 || *p.jpeg_quality > 100))
      return invalid("jpeg_quality must be 1..100");
  }
  if (request.crop) {
    const CropRect& c = *request.crop;
    constexpr double kSlack = 1e-6;  // fractions that were rounded on their way here
    const bool inside = c.x >= 0 && c.y >= 0 && c.width > 0 && c.height > 0 &&
                        c.x + c.width <= 1 + kSlack && c.y + c.height <= 1 + kSlack;
    if (!inside)
      return invalid(
          "the crop must lie within the picture: x, y, width and height are fractions of it, 0 to "
          "1");
  }
  if (request.preview_width_px < 0 || request.preview_width_px > kPreviewSideMaxPx) {
    return invalid("a preview is at most " + std::to_string(kPreviewSideMaxPx) + " pixels wide");
  }
  return {};
}

Status check_file_bytes(std::uint64_t bytes, const DecodeLimits& limits) {
  if (bytes <= limits.file_bytes_max) return {};
  return Error(
      ErrorCode::too_large, with_commas(bytes) + " bytes are over limits.file_bytes_max",
      "Raise limits.file_bytes_max (now " + with_commas(limits.file_bytes_max) + ") to read it.");
}

Status check_pixels(int width, int height, const DecodeLimits& limits) {
  if (static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height) <= limits.pixels_max)
    return {};
  return Error(ErrorCode::too_large,
               with_commas(static_cast<std::uint64_t>(width)) + " x " +
                   with_commas(static_cast<std::uint64_t>(height)) + " is over limits.pixels_max",
               "Raise limits.pixels_max (now " + with_commas(limits.pixels_max) + ") to read it.");
}

}  // namespace similis
