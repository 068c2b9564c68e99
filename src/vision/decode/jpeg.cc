#include "vision/decode/jpeg.h"

#include <cstdio>  // jpeglib.h needs it before
//
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace similis {
namespace {

// libjpeg reports failures by a call that must not return. We jump back to the frame that called
// it; between the two no object with a destructor lives.
struct ErrorState {
  jpeg_error_mgr base;
  std::jmp_buf back;
  char text[JMSG_LENGTH_MAX] = "";
  bool out_of_memory = false;
  bool end_missing = false;  // the bytes stop before the end marker
  bool blocks_missing =
      false;             // a scan's data stop before its last block: the rest is painted gray
  bool one_pass = true;  // each block is coded once, so that a missing one shows as blocks_missing
};

ErrorState* state_of(j_common_ptr info) {
  return reinterpret_cast<ErrorState*>(info->err);
}

void on_error(j_common_ptr info) {
  ErrorState* state = state_of(info);
  info->err->format_message(info, state->text);
  state->out_of_memory = info->err->msg_code == JERR_OUT_OF_MEMORY;
  std::longjmp(state->back, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  ErrorState* state = state_of(info);
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
      state->end_missing = true;
      break;
    case JWRN_HIT_MARKER:
      state->blocks_missing = true;
      break;
    default:
      break;  // bad codes and stray bytes: the picture is there, perhaps with a blemish
  }
}

jpeg_error_mgr* install(ErrorState& state) {
  jpeg_std_error(&state.base);
  state.base.error_exit = on_error;
  state.base.emit_message = on_message;
  state.base.output_message = [](j_common_ptr) {};
  return &state.base;
}

// Everything that may jump, in a frame of plain data. False on an error, with its text in `state`.
bool decode_into(std::span<const std::byte> bytes, int shrink, const PixelWindow& window,
                 std::uint8_t* pixels, ErrorState& state) {
  jpeg_decompress_struct info;
  std::memset(&info, 0, sizeof info);
  info.err = install(state);
  if (setjmp(state.back) != 0) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  info.scale_num = 1;
  info.scale_denom = static_cast<unsigned>(shrink);
  jpeg_start_decompress(&info);
  const auto width = static_cast<std::size_t>(info.output_width);
  state.one_pass = info.progressive_mode == FALSE && info.arith_code == FALSE;
  if (window.x + window.width > static_cast<int>(info.output_width) ||
      window.y + window.height > static_cast<int>(info.output_height)) {
    std::snprintf(state.text, sizeof state.text, "the header and the data disagree about the size");
    jpeg_destroy_decompress(&info);
    return false;
  }
  auto* scratch = static_cast<std::uint8_t*>(
      info.mem->alloc_large(reinterpret_cast<j_common_ptr>(&info), JPOOL_IMAGE, 3 * width));
  const bool whole_rows = window.x == 0 && static_cast<std::size_t>(window.width) == width;
  const std::size_t row_bytes = 3 * static_cast<std::size_t>(window.width);
  const auto end = static_cast<JDIMENSION>(window.y + window.height);
  while (info.output_scanline < end) {
    const int y = static_cast<int>(info.output_scanline) - window.y;
    std::uint8_t* target = pixels + row_bytes * static_cast<std::size_t>(std::max(y, 0));
    JSAMPROW line = whole_rows && y >= 0 ? target : scratch;
    jpeg_read_scanlines(&info, &line, 1);
    if (y >= 0 && !whole_rows) std::memcpy(target, scratch + 3 * window.x, row_bytes);
  }
  jpeg_abort_decompress(&info);  // what follows the last wanted row is of no interest
  jpeg_destroy_decompress(&info);
  return true;
}

bool encode_from(const RgbImage& image, int quality, unsigned char** out, unsigned long* out_bytes,
                 ErrorState& state) {
  jpeg_compress_struct info;
  std::memset(&info, 0, sizeof info);
  info.err = install(state);
  if (setjmp(state.back) != 0) {
    jpeg_destroy_compress(&info);
    return false;
  }
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, out, out_bytes);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* line = const_cast<JSAMPROW>(image.row(static_cast<int>(info.next_scanline)));
    jpeg_write_scanlines(&info, &line, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return true;
}

}  // namespace

Result<RgbImage> decode_jpeg(std::span<const std::byte> bytes, int shrink,
                             const PixelWindow& window) {
  RgbImage image{window.width, window.height,
                 std::vector<std::uint8_t>(3 * static_cast<std::size_t>(window.width) *
                                           static_cast<std::size_t>(window.height))};
  ErrorState state;
  const bool done = decode_into(bytes, shrink, window, image.pixels.data(), state);
  if (state.out_of_memory) {
    return Error(ErrorCode::resource_exhausted, "JPEG needs more memory than the decoder may use");
  }
  // A lone missing end marker does no harm.
  if (state.end_missing && (!done || state.blocks_missing || !state.one_pass)) {
    return Error(ErrorCode::unreadable_media, "JPEG ends early",
                 "Get the file again from where it came from.");
  }
  if (!done) {
    return Error(ErrorCode::unreadable_media, std::string("JPEG cannot be decoded: ") + state.text);
  }
  if (state.blocks_missing) {
    return Error(ErrorCode::unreadable_media, "JPEG is damaged: a part of the picture is missing",
                 "Get the file again from where it came from.");
  }
  return image;
}

Result<std::vector<std::byte>> encode_jpeg(const RgbImage& image, int quality) {
  unsigned char* data = nullptr;
  unsigned long size = 0;
  ErrorState state;
  const bool done = encode_from(image, quality, &data, &size, state);
  const std::unique_ptr<unsigned char, void (*)(void*)> owned(data, std::free);
  if (!done)
    return Error(ErrorCode::internal, std::string("a JPEG could not be written: ") + state.text);
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  return std::vector<std::byte>(begin, begin + size);
}

}  // namespace similis
