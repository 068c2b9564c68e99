#include "services/picture_preparer.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/sha256.h"
#include "services/folder_walk.h"
#include "services/stored_file.h"
#include "vision/sniff.h"
#include "worker/decoder.h"

namespace similis {

namespace {

/// Rows looked at for one that has a vector or has vanished: of thousands of equal files, the first
/// ones do.
constexpr std::size_t kEqualRowsMax = 64;
constexpr std::size_t kBrokenMax = 10'000;

/// Whether the same bytes will fail again.
bool is_final(ErrorCode code) {
  return code == ErrorCode::unsupported_media || code == ErrorCode::unreadable_media ||
         code == ErrorCode::too_large || code == ErrorCode::internal;
}

std::string camera_of(const ExifInfo& exif) {
  if (exif.camera_make.empty() || exif.camera_model.starts_with(exif.camera_make)) {
    return exif.camera_model;
  }
  return exif.camera_model.empty() ? exif.camera_make : exif.camera_make + " " + exif.camera_model;
}

void describe(const DecodedPicture& decoded, PictureFacts& facts) {
  facts.format = format_word(decoded.format);
  facts.perceptual_hash = decoded.perceptual_hash.value_or(0);
  facts.width = decoded.width_px;
  facts.height = decoded.height_px;
  facts.taken_at = decoded.exif.taken_unix_s;
  facts.camera = camera_of(decoded.exif);
  if (decoded.exif.latitude_deg && decoded.exif.longitude_deg) {
    facts.gps = GpsPosition{*decoded.exif.latitude_deg, *decoded.exif.longitude_deg};
  }
  if (decoded.thumbnail) facts.thumbnail_type = format_mime(decoded.thumbnail->format);
}

/// Whether it was written to since it was opened.
bool has_changed(const File& file, const IngestSource& source) {
  struct stat st{};
  return fstat(file.fd(), &st) != 0 || st.st_size != source.size_bytes ||
         std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec != source.mtime_ns;
}

bool is_vanished(const std::string& path) {
  struct stat st{};
  return stat(path.c_str(), &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

}  // namespace

std::string IngestSource::path() const {
  return place ? join_path(place->path, name) : name;
}

std::size_t ContentHashHasher::operator()(const ContentHash& hash) const {
  std::size_t out = 0;
  std::memcpy(&out, hash.data(), sizeof out);
  return out;
}

PicturePreparer::PicturePreparer(const Ports& ports, CollectionId collection,
                                 const std::vector<IndexTarget>& targets, std::string root)
    : ports_(ports), collection_(collection), targets_(targets), root_(std::move(root)) {}

Result<std::optional<PicturePreparer::Prepared>> PicturePreparer::prepare(
    const Context& ctx, IngestSource source, std::vector<std::byte>& buffer) {
  std::optional<Prepared> out(std::in_place);
  IngestPicture& picture = out->picture;
  picture.source = std::move(source);

  Content content = read(ctx, picture.source, buffer);
  if (content.gone) {
    out->gone = true;
    return out;
  }
  if (content.error) {
    picture.step = IngestPicture::Step::fail;
    picture.error = *std::move(content.error);
    picture.try_again = picture.error.code != ErrorCode::too_large;
    return out;
  }
  ASSIGN_OR_RETURN(picture.facts.content_hash, sha256(content.bytes));
  picture.facts.size_bytes = static_cast<std::int64_t>(content.bytes.size());

  const auto& known = picture.source.known;
  if (known && known->state == RowState::ready &&
      known->content_hash == picture.facts.content_hash) {
    picture.step = IngestPicture::Step::touch;
    picture.id = known->id;
    return out;
  }
  if (!lead(picture.facts.content_hash, picture.source)) return std::optional<Prepared>();
  picture.leads = true;
  // From here on every way out must release those that wait: the caller does when it is done with
  // the picture, and an error ends the run.
  TRY(find_equal(ctx, *out));
  if (out->existing || picture.step == IngestPicture::Step::move) return out;
  if (picture.step == IngestPicture::Step::store) {
    TRY(store_blobs(ctx, content.bytes, std::nullopt, picture));
    return out;
  }
  TRY(decode(ctx, content, picture));
  return out;
}

std::vector<IngestSource> PicturePreparer::release(const IngestPicture& picture) {
  if (!picture.leads) return {};
  return release_hash(picture.facts.content_hash);
}

std::unordered_set<ImageId> PicturePreparer::claimed() const {
  std::lock_guard lock(mutex_);
  return claimed_;
}

/// Reads a file whole. Its size and time are those from before reading, so that a file that is
/// still being written differs at the next scan.
PicturePreparer::Content PicturePreparer::read(const Context& ctx, IngestSource& source,
                                               std::vector<std::byte>& buffer) const {
  Content out;
  if (source.is_upload()) {
    out.bytes = *source.bytes;
    source.size_bytes = static_cast<std::int64_t>(out.bytes.size());
  } else {
    const std::string path = source.path();
    auto opened = root_.empty()
                      ? open_in_roots(ctx, ports_, collection_, source.place->path, source.name)
                      : open_inside(path, root_);
    if (!opened.ok()) {
      out.gone = opened.error().code == ErrorCode::not_found;
      out.error = std::move(opened).error();
      return out;
    }
    source.size_bytes = opened->size_bytes;
    source.mtime_ns = opened->mtime_ns;
    if (source.size_bytes <= ports_.limits.file_bytes_max) {
      const auto size = static_cast<std::size_t>(source.size_bytes);
      if (buffer.size() < size) buffer.resize(size);
      const auto bytes = std::span(buffer).first(size);
      if (auto status = pread_exact(opened->file.fd(), bytes, 0, path); !status.ok()) {
        out.error = std::move(status).error();
        return out;
      }
      out.bytes = bytes;
      out.file = std::move(opened->file);
    }
  }
  if (source.size_bytes > ports_.limits.file_bytes_max) {
    out.error =
        Error(ErrorCode::too_large,
              "the file has " + std::to_string(source.size_bytes) +
                  " bytes, more than the limit of " + std::to_string(ports_.limits.file_bytes_max),
              "Raise limits.file_bytes_max to take it in.");
  }
  return out;
}

/// True when nobody else is at work on these bytes; else `source` waits for that one.
bool PicturePreparer::lead(const ContentHash& hash, IngestSource& source) {
  std::lock_guard lock(mutex_);
  const auto [it, is_first] = waiting_.try_emplace(hash);
  if (!is_first) it->second.push_back(std::move(source));
  return is_first;
}

std::vector<IngestSource> PicturePreparer::release_hash(const ContentHash& hash) {
  std::lock_guard lock(mutex_);
  auto node = waiting_.extract(hash);
  return node.empty() ? std::vector<IngestSource>() : std::move(node.mapped());
}

/// Looks for ready rows of equal bytes: one that vanished hands over its id, any other its vector.
Status PicturePreparer::find_equal(const Context& ctx, Prepared& out) {
  IngestPicture& picture = out.picture;
  const IngestSource& source = picture.source;
  ASSIGN_OR_RETURN(
      const auto rows,
      ports_.metadata.find_by_hash(ctx, collection_, picture.facts.content_hash, kEqualRowsMax));
  if (rows.empty()) return {};
  if (source.is_upload() && !source.known) {
    const auto uploaded =
        std::find_if(rows.begin(), rows.end(), [](const ImageRow& row) { return row.folder == 0; });
    if (uploaded != rows.end()) out.existing = uploaded->id;
  } else if (!source.is_upload() && !source.known && !root_.empty()) {
    const auto vanished = std::find_if(rows.begin(), rows.end(),
                                       [&](const ImageRow& row) { return claim_vanished(row); });
    if (vanished != rows.end()) {
      picture.step = IngestPicture::Step::move;
      picture.id = vanished->id;
    }
  }
  if (!out.existing && picture.step != IngestPicture::Step::move) {
    TRY(share_vector(ctx, rows, out));
    if (picture.step != IngestPicture::Step::store) return {};
  }
  // There is a ready row: whoever waits finds it, too.
  out.released = release_hash(picture.facts.content_hash);
  picture.leads = false;
  return {};
}

bool PicturePreparer::claim_vanished(const ImageRow& row) {
  if (row.folder == 0 || !lies_within(row.folder_path, root_) || !is_vanished(row.path())) {
    return false;
  }
  std::lock_guard lock(mutex_);
  return claimed_.insert(row.id).second;
}

/// Takes facts and vector of a ready row of equal bytes.
Status PicturePreparer::share_vector(const Context& ctx, const std::vector<ImageRow>& rows,
                                     Prepared& out) {
  // A row carries the active index's classes only: with a second index the picture is computed.
  if (targets_.size() != 1) return {};
  IngestPicture& picture = out.picture;
  const ImageRow& row = rows.front();
  ASSIGN_OR_RETURN(auto vectors,
                   ports_.vectors.fetch(ctx, targets_.front().index.id, std::span(&row.id, 1)));
  if (vectors.size() != 1 || vectors.front().empty()) return {};
  // The vector may have been replaced between finding the row and reading it. That is announced in
  // the row before the vector changes, so a row that still is as it was vouches for the vector.
  ASSIGN_OR_RETURN(
      const auto again,
      ports_.metadata.find_by_hash(ctx, collection_, picture.facts.content_hash, kEqualRowsMax));
  if (std::none_of(again.begin(), again.end(),
                   [&](const ImageRow& other) { return other.id == row.id; })) {
    return {};
  }
  picture.facts = row.facts;
  picture.embeddings.push_back({std::move(vectors.front()), row.classes});
  picture.step = IngestPicture::Step::store;
  return {};
}

Status PicturePreparer::decode(const Context& ctx, const Content& content, IngestPicture& picture) {
  {
    std::lock_guard lock(mutex_);
    if (const auto it = broken_.find(picture.facts.content_hash); it != broken_.end()) {
      picture.step = IngestPicture::Step::fail;
      picture.error = it->second;
      return {};
    }
  }
  DecodeRequest request;
  for (const IndexTarget& target : targets_) {
    request.tensors.push_back(target.embedder->info().preprocess);
  }
  request.thumbnail = true;
  request.perceptual_hash = true;
  DecodeJob job{content.bytes, picture.source.name, std::move(request)};
  // The worker reads a file itself, which spares a copy of its bytes.
  if (content.file.is_open()) job.source = &content.file;
  // An error of the call ends the run; what is wrong with the file is an outcome.
  ASSIGN_OR_RETURN(DecodeOutcome outcome, ports_.decoder.decode(ctx, job));
  auto decoded = picture_or_error(std::move(outcome));
  if (content.file.is_open() && has_changed(content.file, picture.source)) {
    // What was decoded may not be what was hashed.
    picture.step = IngestPicture::Step::fail;
    picture.error = Error(ErrorCode::io_error, "the file changed while it was read",
                          "Index it again once it is complete.");
    picture.try_again = true;
    return {};
  }
  if (!decoded.ok()) {
    picture.step = IngestPicture::Step::fail;
    picture.error = std::move(decoded).error();
    picture.try_again = !is_final(picture.error.code);
    std::lock_guard lock(mutex_);
    if (!picture.try_again && broken_.size() < kBrokenMax) {
      broken_.emplace(picture.facts.content_hash, picture.error);
    }
    return {};
  }
  describe(*decoded, picture.facts);
  picture.tensors = std::move(decoded->tensors);
  picture.step = IngestPicture::Step::embed;
  return store_blobs(ctx, content.bytes, decoded->thumbnail, picture);
}

/// Before the row: a blob without a row is swept some day, a row without its blob would be a loss.
Status PicturePreparer::store_blobs(const Context& ctx, std::span<const std::byte> bytes,
                                    const std::optional<EncodedImage>& thumbnail,
                                    const IngestPicture& picture) {
  const ContentHash& hash = picture.facts.content_hash;
  if (thumbnail) {
    TRY(ports_.blobs.put(ctx, BlobKind::thumbnail, hash, thumbnail->bytes,
                         format_mime(thumbnail->format)));
  }
  if (picture.source.is_upload()) {
    TRY(ports_.blobs.put(ctx, BlobKind::upload, hash, bytes, "image/" + picture.facts.format));
  }
  return {};
}

}  // namespace similis
