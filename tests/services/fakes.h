#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "services/model_provider.h"
#include "stores/blob/blob_store.h"
#include "stores/vector/vector_store.h"
#include "worker/decoder.h"

namespace similis {

/// Asked before (and after) each writing call of a fake: an error it returns is the call's answer.
/// After: the call has done its work all the same, as with a machine that dies before the answer.
struct Faults {
  std::function<Status(const std::string& call)> before;
  std::function<Status(const std::string& call)> after;
  std::atomic<bool> over{false};  // nothing fails any more, whoever still calls

  /// Not while anybody asks.
  void clear() { before = after = {}; }
  Status ask_before(const std::string& call) const { return ask(before, call); }
  Status ask_after(const std::string& call) const { return ask(after, call); }

 private:
  Status ask(const std::function<Status(const std::string& call)>& whom,
             const std::string& call) const {
    return whom && !over ? whom(call) : Status();
  }
};

/// Exact search over vectors in memory.
class MemoryVectorStore final : public VectorStore {
 public:
  explicit MemoryVectorStore(const Faults& faults) : faults_(faults) {}

  Status create_index(const Context&, CollectionId, IndexId, std::int32_t dimensions) override;
  Status drop_index(const Context&, CollectionId, IndexId) override;
  Status open_index(const Context&, CollectionId, IndexId) override;
  Result<WriteToken> upsert(const Context&, IndexId, std::span<const VectorUpsert>) override;
  Result<WriteToken> update_attributes(const Context&, IndexId,
                                       std::span<const AttributeUpdate>) override;
  Result<WriteToken> erase(const Context&, IndexId, std::span<const ImageId>) override;
  Result<std::vector<VectorHits>> search(const Context&, IndexId,
                                         std::span<const VectorSearch>) override;
  Result<std::vector<std::vector<float>>> fetch(const Context&, IndexId,
                                                std::span<const ImageId>) override;
  Result<std::vector<std::optional<Attributes>>> fetch_attributes(
      const Context&, IndexId, std::span<const ImageId>) override;
  Result<std::vector<StoredIndex>> list_indexes(const Context&) override;
  Result<WriteToken> latest_token(const Context&, IndexId) override;
  Result<std::vector<ImageId>> scan_ids(const Context&, IndexId, ImageId after,
                                        std::size_t limit) override;
  Result<ImageId> max_id(const Context&) override;
  Result<VectorIndexStats> stats(const Context&, IndexId) override;
  Result<std::vector<VerifyFinding>> verify(const Context&, IndexId) override;
  Status optimize(const Context&, IndexId) override {
    ++optimized;
    return faults_.ask_before("vectors.optimize");
  }
  Status flush(const Context&, IndexId) override { return {}; }
  VectorStoreCapabilities capabilities() const override { return {}; }

  struct Entry {
    std::vector<float> vector;
    Attributes attributes;
  };
  [[nodiscard]] std::map<ImageId, Entry> entries() const;  // of all indexes
  std::atomic<int> optimized{0};                           // calls

  /// What stats() says of every index from now on.
  void set_stats(VectorIndexStats stats);

  // ---- damage
  /// verify() reports this of the index from now on.
  void damage(IndexId index, VerifyFinding finding);
  /// The index does not open any more: every call on it but verify and drop is corruption.
  void break_index(IndexId index);
  /// As if its folder had been deleted: tokens begin anew.
  void lose_index(IndexId index);
  /// A picture's attributes, changed behind the database's back.
  void set_attributes(ImageId id, const Attributes& attributes);

 private:
  struct Index {
    CollectionId collection = 0;
    std::map<ImageId, Entry> entries;
    WriteToken token = 0;
    bool broken = false;
  };
  Result<Index*> find(IndexId index);  // under the mutex

  const Faults& faults_;
  mutable std::mutex mutex_;
  std::map<IndexId, Index> indexes_;
  std::optional<VectorIndexStats> stats_;
  std::map<IndexId, std::vector<VerifyFinding>> damage_;
  ImageId max_id_ = 0;
};

class MemoryBlobStore final : public BlobStore {
 public:
  explicit MemoryBlobStore(const Faults& faults) : faults_(faults) {}

  Status put(const Context&, BlobKind, const ContentHash&, std::span<const std::byte>,
             std::string_view media_type) override;
  Result<Blob> get(const Context&, BlobKind, const ContentHash&) override;
  Result<File> open(const Context&, BlobKind, const ContentHash&) override;
  Result<bool> contains(const Context&, BlobKind, const ContentHash&) override;
  Status erase(const Context&, BlobKind, const ContentHash&) override;
  Status erase_aged(const Context&, BlobKind, const ContentHash&, std::int64_t age_min_s) override;
  Status for_each(const Context&, BlobKind,
                  const std::function<bool(const ContentHash&, std::int64_t)>&) override;
  Result<BlobUsage> usage(const Context&, BlobKind) override;
  Result<std::vector<VerifyFinding>> verify(const Context&) override;

  void make_older(std::int64_t seconds);
  /// verify() reports this from now on.
  void damage(VerifyFinding finding);
  [[nodiscard]] std::size_t count(BlobKind kind) const;

 private:
  struct Entry {
    Blob blob;
    std::int64_t age_s = 0;
  };
  const Faults& faults_;
  mutable std::mutex mutex_;
  std::map<std::pair<BlobKind, ContentHash>, Entry> blobs_;
  std::vector<VerifyFinding> damage_;
};

/// Pictures are made of the bytes FF D8 FF and three bytes of colour: a tensor of that colour.
/// Behind them the word BROKEN makes it undecodable, SLOW takes a while.
class FakeDecoder final : public Decoder {
 public:
  Result<DecodeOutcome> decode(const Context& ctx, const DecodeJob& job) override;

  std::atomic<int> decoded{0};
  std::atomic<int> delay_ms{0};
  std::function<void()> before_decode;  // may be empty
};

/// The mean colour and its squares, eight dimensions.
class FakeEmbedder final : public Embedder {
 public:
  explicit FakeEmbedder(std::string name);
  Result<EmbedBatch> embed(const Context& ctx, std::span<const PictureTensor> pictures) override;
  const ModelInfo& info() const override { return info_; }
  std::size_t preferred_batch() const override { return 8; }

  void calibrate(Calibration calibration) { info_.calibration = std::move(calibration); }

  std::atomic<int> embedded{0};
  std::function<Status()> before_embed;

 private:
  ModelInfo info_;
};

class FakeModels final : public ModelProvider {
 public:
  FakeModels() : embedder(std::make_shared<FakeEmbedder>("fake")) {}
  Result<std::shared_ptr<Embedder>> load(std::string_view name) override;
  Result<std::shared_ptr<Embedder>> load_identity(std::string_view identity,
                                                  std::string_view name) override;
  Result<std::vector<Listed>> list() override { return std::vector<Listed>(); }
  Result<std::vector<std::string>> verify() override { return std::vector<std::string>(); }

  std::shared_ptr<FakeEmbedder> embedder;
  std::shared_ptr<FakeEmbedder> kept;  // another model that collections have, if set
  bool missing = false;
};

/// The bytes of a fake picture.
std::string picture_bytes(int red, int green, int blue, const std::string& rest = "");

}  // namespace similis
