#include "services/query_vector.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/hex.h"
#include "core/sha256.h"
#include "services/stored_file.h"
#include "worker/decoder.h"

namespace similis {
namespace {

constexpr std::size_t kExamplesMax = 100;
constexpr std::uint32_t kEmbeddingFormat = 1;

/// L2-normalises; false when there is nothing to normalise (all zeros) or a value is not finite.
bool normalise(std::vector<float>& vector) {
  double squares = 0;
  for (const float v : vector) squares += static_cast<double>(v) * static_cast<double>(v);
  if (!std::isfinite(squares) || squares < 1e-20) return false;
  const double scale = 1 / std::sqrt(squares);
  for (float& v : vector) v = static_cast<float>(static_cast<double>(v) * scale);
  return true;
}

std::string embedding_key(const ContentHash& hash, const std::optional<Crop>& crop, IndexId index) {
  ByteWriter key;
  key.put(kEmbeddingFormat);
  key.put_raw(hash.data(), hash.size());
  const Crop whole = crop.value_or(Crop{});
  for (const double v : {whole.x, whole.y, whole.width, whole.height}) key.put(v);
  key.put(index);
  return "embedding:" + key.take();
}

std::string serialised(const QueryVector& query) {
  ByteWriter out;
  out.put(query.width);
  out.put(query.height);
  out.put(static_cast<std::uint32_t>(query.vector.size()));
  out.put_raw(query.vector.data(), query.vector.size() * sizeof(float));
  out.put(static_cast<std::uint32_t>(query.classes.size()));
  for (const ClassScore& c : query.classes) {
    out.put(c.class_id);
    out.put_text(c.name);
    out.put(c.probability);
  }
  return out.take();
}

bool parse(std::string_view bytes, std::size_t dimensions, QueryVector& query) {
  ByteReader in(bytes);
  query.width = in.get<std::int32_t>();
  query.height = in.get<std::int32_t>();
  if (in.get<std::uint32_t>() != dimensions) return false;
  query.vector.resize(dimensions);
  in.get_raw(query.vector.data(), dimensions * sizeof(float));
  const auto count = in.get<std::uint32_t>();
  if (!in.ok() || count > in.left()) return false;
  query.classes.resize(count);
  for (ClassScore& c : query.classes) {
    c.class_id = in.get<std::int32_t>();
    c.name = in.get_text();
    c.probability = in.get<float>();
  }
  return in.ok() && in.left() == 0;
}

Status check_crop(const Crop& crop) {
  const bool ok = crop.x >= 0 && crop.y >= 0 && crop.width > 0 && crop.height > 0 &&
                  crop.x + crop.width <= 1 + 1e-9 && crop.y + crop.height <= 1 + 1e-9;
  if (ok) return {};
  return Error(ErrorCode::invalid_argument, "the crop does not lie within the picture",
               "x, y, width and height are shares of the picture: 0 <= x < x + width <= 1.");
}

class Maker {
 public:
  Maker(const Context& ctx, const Ports& ports, const Collection& collection,
        const IndexInfo& index, Embedder& embedder, const SearchRequest& request)
      : ctx_(ctx),
        ports_(ports),
        collection_(collection),
        index_(index),
        embedder_(embedder),
        request_(request),
        dimensions_(static_cast<std::size_t>(index.dimensions)) {}

  Result<QueryVector> operator()(const QueryPicture& picture) {
    if (!picture.bytes || picture.bytes->empty()) {
      return Error(ErrorCode::unsupported_media, "the query picture is empty",
                   "Send a picture's bytes.");
    }
    ASSIGN_OR_RETURN(const ContentHash hash, sha256(*picture.bytes));
    ASSIGN_OR_RETURN(QueryVector query, of_bytes(*picture.bytes, hash, picture.name));
    query.name = picture.name;
    query.self_hash = hash;
    return query;
  }

  Result<QueryVector> operator()(ImageId id) {
    ASSIGN_OR_RETURN(const ImageRow row, stored_row(id));
    QueryVector query;
    if (request_.crop) {
      ASSIGN_OR_RETURN(const auto bytes, read_stored_file(ctx_, ports_, row));
      // The file may have changed since it was indexed: the hash is of the bytes that are looked
      // at.
      ASSIGN_OR_RETURN(const ContentHash hash, sha256(bytes));
      ASSIGN_OR_RETURN(query, of_bytes(bytes, hash, row.name));
    } else {
      ASSIGN_OR_RETURN(query.vector, stored_vector(id));
      query.classes = row.classes;
      query.width = row.facts.width;
      query.height = row.facts.height;
    }
    query.name = row.name;
    query.self_id = id;
    return query;
  }

  Result<QueryVector> operator()(const std::vector<float>& vector) {
    QueryVector query;
    ASSIGN_OR_RETURN(query.vector, given_vector(vector));
    return query;
  }

  Result<QueryVector> operator()(const std::vector<QueryExample>& examples) {
    if (examples.empty() || examples.size() > kExamplesMax) {
      return Error(ErrorCode::invalid_argument, std::to_string(examples.size()) + " examples",
                   "Give 1 to " + std::to_string(kExamplesMax) + ".");
    }
    std::vector<float> sum(dimensions_, 0.0F);
    for (const QueryExample& example : examples) {
      if (!std::isfinite(example.weight) || std::abs(example.weight) > 100) {
        return Error(ErrorCode::invalid_argument,
                     "an example's weight is not between -100 and 100");
      }
      std::vector<float> vector;
      if (const auto* id = std::get_if<ImageId>(&example.what)) {
        TRY(stored_row(*id));
        ASSIGN_OR_RETURN(vector, stored_vector(*id));
      } else {
        ASSIGN_OR_RETURN(vector, given_vector(std::get<std::vector<float>>(example.what)));
      }
      for (std::size_t i = 0; i < dimensions_; ++i)
        sum[i] += static_cast<float>(example.weight) * vector[i];
    }
    if (!normalise(sum)) {
      return Error(ErrorCode::invalid_argument, "the examples cancel each other out",
                   "Change a weight, or leave one out.");
    }
    QueryVector query;
    query.vector = std::move(sum);
    return query;
  }

 private:
  Result<ImageRow> stored_row(ImageId id) {
    ASSIGN_OR_RETURN(ImageRow row, ports_.metadata.get_image(ctx_, collection_.id, id));
    if (row.state != RowState::ready) {
      return Error(ErrorCode::not_found, "there is no picture " + std::to_string(id) +
                                             " in collection " + collection_.name);
    }
    return row;
  }

  Result<std::vector<float>> stored_vector(ImageId id) {
    ASSIGN_OR_RETURN(auto vectors, ports_.vectors.fetch(ctx_, index_.id, std::span(&id, 1)));
    if (vectors.front().empty()) {
      return Error(ErrorCode::not_found, "picture " + std::to_string(id) + " has no vector",
                   "Run similis verify to mend the index.");
    }
    return std::move(vectors.front());
  }

  Result<std::vector<float>> given_vector(std::vector<float> vector) {
    if (vector.size() != dimensions_) {
      return Error(ErrorCode::invalid_argument,
                   "the vector has " + std::to_string(vector.size()) + " values, the index " +
                       std::to_string(dimensions_),
                   "Use an embedding of the collection's model, " + index_.model_name + ".");
    }
    if (!normalise(vector)) {
      return Error(ErrorCode::invalid_argument, "the vector is zero or not finite");
    }
    return vector;
  }

  Result<QueryVector> of_bytes(std::span<const std::byte> bytes, const ContentHash& hash,
                               const std::string& name) {
    if (request_.crop) TRY(check_crop(*request_.crop));
    const std::string key = embedding_key(hash, request_.crop, index_.id);
    QueryVector query;
    if (request_.use_cache) {
      const auto cached = ports_.cache.get(ctx_, key);
      if (cached && parse(*cached, dimensions_, query)) return query;
      query = {};
    }
    DecodedPicture picture;
    {
      const StageTimer timer(ctx_, "decode");
      DecodeJob job;
      job.source = bytes;
      job.name = name;
      job.request.tensors = {embedder_.info().preprocess};
      if (const auto& crop = request_.crop)
        job.request.crop = CropRect{crop->x, crop->y, crop->width, crop->height};
      ASSIGN_OR_RETURN(auto outcome, ports_.decoder.decode(ctx_, job));
      ASSIGN_OR_RETURN(picture, picture_or_error(std::move(outcome)));
    }
    query.width = picture.width_px;
    query.height = picture.height_px;
    {
      const StageTimer timer(ctx_, "model");
      const RgbImage& image = picture.tensors.front();
      const PictureTensor tensor{static_cast<std::uint32_t>(image.width),
                                 static_cast<std::uint32_t>(image.height), image.pixels};
      ASSIGN_OR_RETURN(auto batch, embedder_.embed(ctx_, std::span(&tensor, 1)));
      query.vector = std::move(batch.front().vector);
      query.classes = std::move(batch.front().classes);
    }
    if (request_.use_cache) ports_.cache.put(ctx_, key, serialised(query), std::chrono::hours(1));
    return query;
  }

  const Context& ctx_;
  const Ports& ports_;
  const Collection& collection_;
  const IndexInfo& index_;
  Embedder& embedder_;
  const SearchRequest& request_;
  const std::size_t dimensions_;
};

}  // namespace

Result<QueryVector> make_query_vector(const Context& ctx, const Ports& ports,
                                      const Collection& collection, const IndexInfo& index,
                                      Embedder& embedder, const SearchRequest& request) {
  return std::visit(Maker(ctx, ports, collection, index, embedder, request), request.query);
}

}  // namespace similis
