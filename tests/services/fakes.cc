#include "services/fakes.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <thread>

#include "base/hex.h"
#include "vision/hashes.h"

namespace similis {

namespace {

Error no_index(IndexId index) {
  return Error(ErrorCode::not_found, "there is no index " + std::to_string(index));
}

std::vector<float> normalised(std::span<const float> vector) {
  double norm = 0;
  for (const float x : vector) norm += double{x} * x;
  std::vector<float> out(vector.begin(), vector.end());
  for (float& x : out) x = norm > 0 ? static_cast<float>(x / std::sqrt(norm)) : 0;
  return out;
}

}  // namespace

Result<MemoryVectorStore::Index*> MemoryVectorStore::find(IndexId index) {
  const auto it = indexes_.find(index);
  if (it == indexes_.end()) return no_index(index);
  if (it->second.broken) {
    return Error(ErrorCode::corruption, "index " + std::to_string(index) + " does not open");
  }
  return &it->second;
}

Status MemoryVectorStore::create_index(const Context&, CollectionId collection, IndexId index,
                                       std::int32_t) {
  TRY(faults_.ask_before("vectors.create_index"));
  std::lock_guard lock(mutex_);
  indexes_[index].collection = collection;
  return find(index).ok() ? Status() : Status(find(index).error());
}

Status MemoryVectorStore::drop_index(const Context&, CollectionId, IndexId index) {
  std::lock_guard lock(mutex_);
  indexes_.erase(index);
  return {};
}

Result<std::vector<StoredIndex>> MemoryVectorStore::list_indexes(const Context&) {
  std::lock_guard lock(mutex_);
  std::vector<StoredIndex> out;
  for (const auto& [id, index] : indexes_) out.push_back({index.collection, id});
  return out;
}

Status MemoryVectorStore::open_index(const Context&, CollectionId, IndexId index) {
  std::lock_guard lock(mutex_);
  auto found = find(index);
  if (!found.ok()) return std::move(found).error();
  return {};
}

Result<WriteToken> MemoryVectorStore::upsert(const Context&, IndexId index,
                                             std::span<const VectorUpsert> batch) {
  TRY(faults_.ask_before("vectors.upsert"));
  WriteToken token = 0;
  {
    std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(Index* const found, find(index));
    for (const VectorUpsert& item : batch) {
      found->entries[item.id] = {normalised(item.vector), item.attributes};
      max_id_ = std::max(max_id_, item.id);
    }
    token = ++found->token;
  }
  TRY(faults_.ask_after("vectors.upsert"));
  return token;
}

Result<WriteToken> MemoryVectorStore::update_attributes(const Context&, IndexId index,
                                                        std::span<const AttributeUpdate> batch) {
  TRY(faults_.ask_before("vectors.update_attributes"));
  WriteToken token = 0;
  {
    std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(Index* const found, find(index));
    for (const AttributeUpdate& item : batch) {
      const auto entry = found->entries.find(item.id);
      if (entry != found->entries.end()) entry->second.attributes = item.attributes;
    }
    token = ++found->token;
  }
  TRY(faults_.ask_after("vectors.update_attributes"));
  return token;
}

Result<WriteToken> MemoryVectorStore::erase(const Context&, IndexId index,
                                            std::span<const ImageId> ids) {
  TRY(faults_.ask_before("vectors.erase"));
  WriteToken token = 0;
  {
    std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(Index* const found, find(index));
    for (const ImageId id : ids) found->entries.erase(id);
    token = ++found->token;
  }
  TRY(faults_.ask_after("vectors.erase"));
  return token;
}

Result<std::vector<VectorHits>> MemoryVectorStore::search(const Context&, IndexId index,
                                                          std::span<const VectorSearch> searches) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Index* const found, find(index));
  std::vector<VectorHits> out;
  for (const VectorSearch& search : searches) {
    if (search.at_least > found->token) {
      return Error(ErrorCode::unavailable, "the index lacks writes");
    }
    const auto query = normalised(search.vector);
    VectorHits hits;
    for (const auto& [id, entry] : found->entries) {
      if (search.filter != nullptr && !matches(*search.filter, entry.attributes)) continue;
      float score = 0;
      for (std::size_t i = 0; i < query.size(); ++i) score += query[i] * entry.vector[i];
      hits.hits.push_back({id, score});
    }
    std::stable_sort(hits.hits.begin(), hits.hits.end(),
                     [](const ScoredId& a, const ScoredId& b) { return a.score > b.score; });
    hits.hits.resize(std::min(hits.hits.size(), search.k));
    out.push_back(std::move(hits));
  }
  return out;
}

Result<std::vector<std::vector<float>>> MemoryVectorStore::fetch(const Context&, IndexId index,
                                                                 std::span<const ImageId> ids) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Index* const found, find(index));
  std::vector<std::vector<float>> out;
  for (const ImageId id : ids) {
    const auto entry = found->entries.find(id);
    out.push_back(entry == found->entries.end() ? std::vector<float>() : entry->second.vector);
  }
  return out;
}

Result<std::vector<std::optional<Attributes>>> MemoryVectorStore::fetch_attributes(
    const Context&, IndexId index, std::span<const ImageId> ids) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Index* const found, find(index));
  std::vector<std::optional<Attributes>> out;
  for (const ImageId id : ids) {
    const auto entry = found->entries.find(id);
    out.push_back(entry == found->entries.end() ? std::nullopt
                                                : std::optional(entry->second.attributes));
  }
  return out;
}

Result<std::vector<ImageId>> MemoryVectorStore::scan_ids(const Context&, IndexId index,
                                                         ImageId after, std::size_t limit) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Index* const found, find(index));
  std::vector<ImageId> out;
  for (auto entry = found->entries.upper_bound(after);
       entry != found->entries.end() && out.size() < limit; ++entry) {
    out.push_back(entry->first);
  }
  return out;
}

Result<WriteToken> MemoryVectorStore::latest_token(const Context&, IndexId index) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Index* const found, find(index));
  return found->token;
}

Result<ImageId> MemoryVectorStore::max_id(const Context&) {
  std::lock_guard lock(mutex_);
  for (const auto& [id, index] : indexes_) TRY(find(id));
  return max_id_;
}

Result<VectorIndexStats> MemoryVectorStore::stats(const Context&, IndexId index) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Index* const found, find(index));
  if (stats_) return *stats_;
  return VectorIndexStats{static_cast<std::int64_t>(found->entries.size()), "flat", 0, 0};
}

Result<std::vector<VerifyFinding>> MemoryVectorStore::verify(const Context&, IndexId index) {
  std::lock_guard lock(mutex_);
  if (!indexes_.contains(index)) return no_index(index);
  return damage_[index];
}

void MemoryVectorStore::set_stats(VectorIndexStats stats) {
  std::lock_guard lock(mutex_);
  stats_ = std::move(stats);
}

void MemoryVectorStore::damage(IndexId index, VerifyFinding finding) {
  std::lock_guard lock(mutex_);
  damage_[index].push_back(std::move(finding));
}

void MemoryVectorStore::break_index(IndexId index) {
  std::lock_guard lock(mutex_);
  indexes_.at(index).broken = true;
}

void MemoryVectorStore::lose_index(IndexId index) {
  std::lock_guard lock(mutex_);
  indexes_.erase(index);
}

void MemoryVectorStore::set_attributes(ImageId id, const Attributes& attributes) {
  std::lock_guard lock(mutex_);
  for (auto& [number, index] : indexes_) index.entries.at(id).attributes = attributes;
}

std::map<ImageId, MemoryVectorStore::Entry> MemoryVectorStore::entries() const {
  std::lock_guard lock(mutex_);
  std::map<ImageId, Entry> out;
  for (const auto& [id, index] : indexes_) out.insert(index.entries.begin(), index.entries.end());
  return out;
}

Status MemoryBlobStore::put(const Context&, BlobKind kind, const ContentHash& key,
                            std::span<const std::byte> bytes, std::string_view media_type) {
  const std::string call = kind == BlobKind::upload ? "blobs.put_upload" : "blobs.put_thumbnail";
  TRY(faults_.ask_before(call));
  {
    std::lock_guard lock(mutex_);
    blobs_[{kind, key}] = {Blob{{bytes.begin(), bytes.end()}, std::string(media_type)}, 0};
  }
  return faults_.ask_after(call);
}

Result<Blob> MemoryBlobStore::get(const Context&, BlobKind kind, const ContentHash& key) {
  std::lock_guard lock(mutex_);
  const auto it = blobs_.find({kind, key});
  if (it == blobs_.end()) return Error(ErrorCode::not_found, "no blob " + to_hex(key));
  return it->second.blob;
}

Result<File> MemoryBlobStore::open(const Context& ctx, BlobKind kind, const ContentHash& key) {
  ASSIGN_OR_RETURN(const Blob blob, get(ctx, kind, key));
  File file(::memfd_create("blob", MFD_CLOEXEC));
  if (!file.is_open()) return errno_error(errno, "make", "a file in memory");
  TRY(write_all(file.fd(), blob.bytes, "a file in memory"));
  return file;
}

Result<bool> MemoryBlobStore::contains(const Context&, BlobKind kind, const ContentHash& key) {
  std::lock_guard lock(mutex_);
  return blobs_.contains({kind, key});
}

Status MemoryBlobStore::erase(const Context&, BlobKind kind, const ContentHash& key) {
  std::lock_guard lock(mutex_);
  blobs_.erase({kind, key});
  return {};
}

Status MemoryBlobStore::erase_aged(const Context&, BlobKind kind, const ContentHash& key,
                                   std::int64_t age_min_s) {
  std::lock_guard lock(mutex_);
  const auto it = blobs_.find({kind, key});
  if (it != blobs_.end() && it->second.age_s >= age_min_s) blobs_.erase(it);
  return {};
}

Status MemoryBlobStore::for_each(
    const Context&, BlobKind kind,
    const std::function<bool(const ContentHash&, std::int64_t)>& visit) {
  std::vector<std::pair<ContentHash, std::int64_t>> keys;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, entry] : blobs_) {
      if (key.first == kind) keys.emplace_back(key.second, entry.age_s);
    }
  }
  for (const auto& [hash, age_s] : keys) {
    if (!visit(hash, age_s)) break;
  }
  return {};
}

Result<BlobUsage> MemoryBlobStore::usage(const Context&, BlobKind kind) {
  return BlobUsage{static_cast<std::int64_t>(count(kind)), 0};
}

Result<std::vector<VerifyFinding>> MemoryBlobStore::verify(const Context&) {
  std::lock_guard lock(mutex_);
  return damage_;
}

void MemoryBlobStore::damage(VerifyFinding finding) {
  std::lock_guard lock(mutex_);
  damage_.push_back(std::move(finding));
}

void MemoryBlobStore::make_older(std::int64_t seconds) {
  std::lock_guard lock(mutex_);
  for (auto& [key, entry] : blobs_) entry.age_s += seconds;
}

std::size_t MemoryBlobStore::count(BlobKind kind) const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      blobs_.begin(), blobs_.end(), [&](const auto& blob) { return blob.first.first == kind; }));
}

Result<DecodeOutcome> FakeDecoder::decode(const Context& ctx, const DecodeJob& job) {
  if (before_decode) before_decode();
  std::vector<std::byte> read;
  if (const auto* open = std::get_if<const File*>(&job.source)) {
    struct stat info{};
    if (::fstat((*open)->fd(), &info) != 0) return errno_error(errno, "stat", job.name);
    read.resize(static_cast<std::size_t>(info.st_size));
    TRY(pread_exact((*open)->fd(), read, 0, job.name));
  }
  const auto* given = std::get_if<std::span<const std::byte>>(&job.source);
  const std::span<const std::byte> bytes = given ? *given : std::span<const std::byte>(read);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms.load()));
  TRY(ctx.check());
  ++decoded;
  if (!text.starts_with("\xFF\xD8\xFF") || text.size() < 6 ||
      text.find("BROKEN") != std::string_view::npos) {
    return DecodeOutcome(Error(ErrorCode::unreadable_media, "JPEG ends early"));
  }
  DecodedPicture out;
  out.width_px = 640;
  out.height_px = 480;
  for (const Preprocess& preprocess : job.request.tensors) {
    RgbImage image;
    image.width = preprocess.width_px;
    image.height = preprocess.height_px;
    const auto pixels = static_cast<std::size_t>(image.width * image.height);
    for (std::size_t i = 0; i < pixels; ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        image.pixels.push_back(static_cast<std::uint8_t>(text[3 + c]));
      }
    }
    out.tensors.push_back(std::move(image));
  }
  if (job.request.perceptual_hash) out.perceptual_hash = 7;
  if (job.request.thumbnail) {
    out.thumbnail = EncodedImage{PictureFormat::jpeg, {bytes.begin(), bytes.end()}};
  }
  return DecodeOutcome(std::move(out));
}

FakeEmbedder::FakeEmbedder(std::string name) {
  info_.name = std::move(name);
  info_.version = "1";
  info_.identity = "identity of " + info_.name;
  info_.dimensions = 8;
  info_.preprocess.width_px = 4;
  info_.preprocess.height_px = 4;
}

Result<EmbedBatch> FakeEmbedder::embed(const Context& ctx,
                                       std::span<const PictureTensor> pictures) {
  TRY(ctx.check());
  if (before_embed) TRY(before_embed());
  EmbedBatch out;
  for (const PictureTensor& picture : pictures) {
    ++embedded;
    std::array<double, 3> sum{};
    for (std::size_t i = 0; i < picture.rgb.size(); ++i) sum[i % 3] += picture.rgb[i];
    Embedding embedding;
    for (double& x : sum) x /= 255.0 * picture.width * picture.height;
    const auto [r, g, b] = sum;
    for (const double x : {r, g, b, r * r, g * g, b * b, r * g * b, 0.1}) {
      embedding.vector.push_back(static_cast<float>(x));
    }
    embedding.vector = normalised(embedding.vector);
    embedding.classes = {{r > g ? 1 : 2, r > g ? "red" : "green", 0.9F}};
    out.push_back(std::move(embedding));
  }
  return out;
}

Result<std::shared_ptr<Embedder>> FakeModels::load(std::string_view name) {
  if (missing || (!name.empty() && name != embedder->info().name)) {
    return Error(ErrorCode::not_found, "there is no model " + std::string(name));
  }
  return std::shared_ptr<Embedder>(embedder);
}

Result<std::shared_ptr<Embedder>> FakeModels::load_identity(std::string_view identity,
                                                            std::string_view name) {
  if (kept && !missing && identity == kept->info().identity) return std::shared_ptr<Embedder>(kept);
  if (missing || identity != embedder->info().identity) {
    return Error(ErrorCode::not_found, "the model " + std::string(name) + " is missing");
  }
  return std::shared_ptr<Embedder>(embedder);
}

std::string picture_bytes(int red, int green, int blue, const std::string& rest) {
  std::string out = "\xFF\xD8\xFF";
  for (const int c : {red, green, blue}) out += static_cast<char>(c);
  return out + rest;
}

}  // namespace similis
