#include "worker/protocol.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace similis {
namespace {

constexpr std::uint32_t kHelloMagic = 0x6F6C6C48;
constexpr std::uint32_t kJobMagic = 0x626F4A48;
constexpr std::uint32_t kReplyMagic = 0x79706552;
constexpr int kDimensionMax = 1 << 26;

enum class ReplyKind : std::uint8_t { picture, skipped, failed };

Error malformed(const char* what) {
  return {ErrorCode::corruption, std::string("a decode worker's ") + what + " is malformed"};
}

template <typename T>
void put_optional(ByteWriter& out, const std::optional<T>& value) {
  out.put(std::uint8_t{value.has_value()});
  if (value) out.put(*value);
}
template <typename T>
std::optional<T> get_optional(ByteReader& in) {
  if (in.get<std::uint8_t>() == 0) return std::nullopt;
  return in.get<T>();
}
bool get_bool(ByteReader& in) {
  return in.get<std::uint8_t>() != 0;
}

// An enum below `count`; false otherwise.
template <typename E>
bool get_enum(ByteReader& in, E& value, std::uint8_t count) {
  const auto raw = in.get<std::uint8_t>();
  if (raw >= count) return false;
  value = static_cast<E>(raw);
  return true;
}
template <typename E>
void put_enum(ByteWriter& out, E value) {
  out.put(static_cast<std::uint8_t>(value));
}
constexpr std::uint8_t kFormatCount = static_cast<std::uint8_t>(PictureFormat::bmp) + 1;
constexpr std::uint8_t kKindCount = static_cast<std::uint8_t>(SniffKind::other) + 1;
constexpr std::uint8_t kCodeCount = static_cast<std::uint8_t>(ErrorCode::internal) + 1;

void put(ByteWriter& out, const Preprocess& p) {
  out.put(std::int32_t{p.width_px});
  out.put(std::int32_t{p.height_px});
  put_enum(out, p.fit);
  out.put(p.crop_fraction);
  put_enum(out, p.filter);
  put_optional(out, p.jpeg_quality);
  out.put(std::uint8_t{p.grayscale});
  out.put(std::uint8_t{p.denoise});
}

bool get(ByteReader& in, Preprocess& p) {
  p.width_px = in.get<std::int32_t>();
  p.height_px = in.get<std::int32_t>();
  if (!get_enum(in, p.fit, 2)) return false;
  p.crop_fraction = in.get<double>();
  if (!get_enum(in, p.filter, 3)) return false;
  p.jpeg_quality = get_optional<int>(in);
  p.grayscale = get_bool(in);
  p.denoise = get_bool(in);
  return in.ok();
}

void put(ByteWriter& out, const DecodeRequest& r) {
  out.put(static_cast<std::uint32_t>(r.tensors.size()));
  for (const Preprocess& p : r.tensors) put(out, p);
  out.put(std::uint8_t{r.crop.has_value()});
  const CropRect crop = r.crop.value_or(CropRect{});
  for (const double v : {crop.x, crop.y, crop.width, crop.height}) out.put(v);
  out.put(std::uint8_t{r.thumbnail});
  out.put(std::uint8_t{r.content_hash});
  out.put(std::uint8_t{r.perceptual_hash});
  out.put(std::int32_t{r.preview_width_px});
}

bool get(ByteReader& in, DecodeRequest& r) {
  const auto tensors = in.get<std::uint32_t>();
  if (tensors > kTensorsMax) return false;
  r.tensors.resize(tensors);
  for (Preprocess& p : r.tensors) {
    if (!get(in, p)) return false;
  }
  const bool cropped = get_bool(in);
  CropRect crop;
  for (double* v : {&crop.x, &crop.y, &crop.width, &crop.height}) *v = in.get<double>();
  if (cropped) r.crop = crop;
  r.thumbnail = get_bool(in);
  r.content_hash = get_bool(in);
  r.perceptual_hash = get_bool(in);
  r.preview_width_px = in.get<std::int32_t>();
  return in.ok();
}

// Hands out the arena piece after piece.
template <typename Byte>
class Pieces {
 public:
  explicit Pieces(std::span<Byte> arena) : left_(arena) {}
  // nullopt when it does not fit.
  std::optional<std::span<Byte>> take(std::size_t bytes) {
    if (bytes > left_.size()) return std::nullopt;
    const auto piece = left_.first(bytes);
    left_ = left_.subspan(bytes);
    return piece;
  }

 private:
  std::span<Byte> left_;
};

template <typename Bytes>
bool store(Pieces<std::byte>& pieces, const Bytes& bytes) {
  const auto piece = pieces.take(bytes.size());
  if (!piece) return false;
  std::memcpy(piece->data(), bytes.data(), bytes.size());
  return true;
}

bool put_encoded(ByteWriter& out, Pieces<std::byte>& pieces,
                 const std::optional<EncodedImage>& image) {
  out.put(std::uint8_t{image.has_value()});
  if (!image) return true;
  put_enum(out, image->format);
  out.put(static_cast<std::uint64_t>(image->bytes.size()));
  return store(pieces, image->bytes);
}

bool get_encoded(ByteReader& in, Pieces<const std::byte>& pieces,
                 std::optional<EncodedImage>& image) {
  if (!get_bool(in)) return true;
  EncodedImage read;
  if (!get_enum(in, read.format, kFormatCount)) return false;
  const auto piece = pieces.take(in.get<std::uint64_t>());
  if (!in.ok() || !piece) return false;
  read.bytes.assign(piece->begin(), piece->end());
  image = std::move(read);
  return true;
}

bool put(ByteWriter& out, Pieces<std::byte>& pieces, const DecodedPicture& p) {
  put_enum(out, p.format);
  out.put(std::int32_t{p.width_px});
  out.put(std::int32_t{p.height_px});
  out.put(std::int32_t{p.frames});
  put_optional(out, p.exif.taken_unix_s);
  out.put_text(p.exif.camera_make);
  out.put_text(p.exif.camera_model);
  put_optional(out, p.exif.latitude_deg);
  put_optional(out, p.exif.longitude_deg);
  out.put(std::int32_t{p.exif.orientation});
  out.put(std::uint8_t{p.content_hash.has_value()});
  const ContentHash hash = p.content_hash.value_or(ContentHash{});
  out.put_raw(hash.data(), hash.size());
  put_optional(out, p.perceptual_hash);
  out.put(std::uint8_t{p.file_is_thumbnail});
  out.put(static_cast<std::uint32_t>(p.tensors.size()));
  for (const RgbImage& tensor : p.tensors) {
    if (!store(pieces, tensor.pixels)) return false;
  }
  return put_encoded(out, pieces, p.thumbnail) && put_encoded(out, pieces, p.preview);
}

bool get(ByteReader& in, Pieces<const std::byte>& pieces, const DecodeRequest& request,
         DecodedPicture& p) {
  if (!get_enum(in, p.format, kFormatCount)) return false;
  p.width_px = in.get<std::int32_t>();
  p.height_px = in.get<std::int32_t>();
  p.frames = in.get<std::int32_t>();
  p.exif.taken_unix_s = get_optional<std::int64_t>(in);
  p.exif.camera_make = in.get_text();
  p.exif.camera_model = in.get_text();
  p.exif.latitude_deg = get_optional<double>(in);
  p.exif.longitude_deg = get_optional<double>(in);
  p.exif.orientation = in.get<std::int32_t>();
  const bool hashed = get_bool(in);
  ContentHash hash{};
  in.get_raw(hash.data(), hash.size());
  if (hashed) p.content_hash = hash;
  p.perceptual_hash = get_optional<std::uint64_t>(in);
  p.file_is_thumbnail = get_bool(in);
  if (in.get<std::uint32_t>() != request.tensors.size()) return false;
  for (const Preprocess& wanted : request.tensors) {
    const auto piece = pieces.take(3 * static_cast<std::size_t>(wanted.width_px) *
                                   static_cast<std::size_t>(wanted.height_px));
    if (!piece) return false;
    const auto* begin = reinterpret_cast<const std::uint8_t*>(piece->data());
    p.tensors.push_back({wanted.width_px, wanted.height_px, {begin, begin + piece->size()}});
  }
  if (!get_encoded(in, pieces, p.thumbnail) || !get_encoded(in, pieces, p.preview)) return false;
  const bool sane = p.width_px > 0 && p.height_px > 0 && p.width_px <= kDimensionMax &&
                    p.height_px <= kDimensionMax && p.frames >= 1 && p.exif.orientation >= 1 &&
                    p.exif.orientation <= 8 && p.exif.camera_make.size() <= 64 &&
                    p.exif.camera_model.size() <= 64 &&
                    std::abs(p.exif.latitude_deg.value_or(0)) <= 90 &&
                    std::abs(p.exif.longitude_deg.value_or(0)) <= 180;
  const bool as_asked = p.content_hash.has_value() == request.content_hash &&
                        p.perceptual_hash.has_value() == request.perceptual_hash &&
                        (p.thumbnail.has_value() || p.file_is_thumbnail) == request.thumbnail &&
                        p.preview.has_value() == (request.preview_width_px > 0);
  return in.ok() && sane && as_asked;
}

void put(ByteWriter& out, const Error& error) {
  put_enum(out, error.code);
  out.put_text(std::string_view(error.message).substr(0, 1024));
  out.put_text(std::string_view(error.hint).substr(0, 1024));
}

bool get(ByteReader& in, Error& error) {
  if (!get_enum(in, error.code, kCodeCount)) return false;
  error.message = in.get_text();
  error.hint = in.get_text();
  return in.ok() && error.message.size() <= 1024 && error.hint.size() <= 1024;
}

}  // namespace

std::string to_bytes(const WorkerHello& hello) {
  ByteWriter out;
  out.put(kHelloMagic);
  out.put(hello.protocol);
  out.put(hello.anonymous_bytes);
  out.put_text(hello.missing_sandbox);
  return out.take();
}

Result<WorkerHello> read_hello(std::string_view bytes) {
  ByteReader in(bytes);
  const auto magic = in.get<std::uint32_t>();
  WorkerHello hello;
  hello.protocol = in.get<std::uint32_t>();
  hello.anonymous_bytes = in.get<std::uint64_t>();
  hello.missing_sandbox = in.get_text();
  if (!in.ok() || in.left() != 0 || magic != kHelloMagic) return malformed("greeting");
  return hello;
}

std::string to_bytes(const JobMessage& job) {
  ByteWriter out;
  out.put(kJobMagic);
  out.put(job.id);
  out.put(job.file_bytes);
  // Only the extension matters, and names may be long.
  out.put_text(job.name.size() > 255 ? std::string_view(job.name).substr(job.name.size() - 255)
                                     : job.name);
  put(out, job.request);
  out.put(job.limits.pixels_max);
  out.put(job.limits.file_bytes_max);
  return out.take();
}

Result<JobMessage> read_job(std::string_view bytes) {
  ByteReader in(bytes);
  const auto magic = in.get<std::uint32_t>();
  JobMessage job;
  job.id = in.get<std::uint64_t>();
  job.file_bytes = in.get<std::uint64_t>();
  job.name = in.get_text();
  const bool request_ok = get(in, job.request);
  job.limits.pixels_max = in.get<std::uint64_t>();
  job.limits.file_bytes_max = in.get<std::uint64_t>();
  if (!request_ok || !in.ok() || in.left() != 0 || magic != kJobMagic) return malformed("job");
  return job;
}

std::string to_bytes(ReplyMessage reply, std::span<std::byte> arena) {
  auto write = [&]() -> std::optional<std::string> {
    ByteWriter out;
    out.put(kReplyMagic);
    out.put(reply.id);
    if (const auto* picture = std::get_if<DecodedPicture>(&reply.outcome)) {
      put_enum(out, ReplyKind::picture);
      Pieces pieces(arena);
      if (!put(out, pieces, *picture)) return std::nullopt;
    } else if (const auto* skipped = std::get_if<SkippedFile>(&reply.outcome)) {
      put_enum(out, ReplyKind::skipped);
      put_enum(out, skipped->type.kind);
      out.put_text(skipped->type.word);
      out.put_text(skipped->type.name);
    } else {
      put_enum(out, ReplyKind::failed);
      put(out, std::get<Error>(reply.outcome));
    }
    return out.take();
  };
  if (auto bytes = write()) return *std::move(bytes);
  reply.outcome = Error(ErrorCode::too_large, "the picture's thumbnail or preview is larger than " +
                                                  std::to_string(arena.size() >> 20) + " MiB");
  return *write();
}

Result<ReplyMessage> read_reply(std::string_view bytes, std::span<const std::byte> arena,
                                const DecodeRequest& request) {
  ByteReader in(bytes);
  const auto magic = in.get<std::uint32_t>();
  ReplyMessage reply;
  reply.id = in.get<std::uint64_t>();
  ReplyKind kind{};
  bool fine = get_enum(in, kind, 3) && magic == kReplyMagic;
  if (fine && kind == ReplyKind::picture) {
    DecodedPicture picture;
    Pieces pieces(arena);
    fine = get(in, pieces, request, picture);
    reply.outcome = std::move(picture);
  } else if (fine && kind == ReplyKind::skipped) {
    SkippedFile skipped;
    fine = get_enum(in, skipped.type.kind, kKindCount) && skipped.type.kind == SniffKind::other;
    skipped.type.word = in.get_text();
    skipped.type.name = in.get_text();
    fine = fine && skipped.type.word.size() <= 8 && skipped.type.name.size() <= 64;
    reply.outcome = std::move(skipped);
  } else if (fine) {
    Error error;
    fine = get(in, error);
    reply.outcome = std::move(error);
  }
  if (!fine || !in.ok() || in.left() != 0) return malformed("reply");
  return reply;
}

}  // namespace similis
