#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/attributes.h"
#include "core/context.h"
#include "core/filter.h"
#include "core/ids.h"

namespace similis {

struct VectorUpsert {
  ImageId id = 0;
  std::span<const float>
      vector;  // the index's dimensions, finite; normalised by the store (cosine)
  Attributes attributes;
};

struct AttributeUpdate {
  ImageId id = 0;
  Attributes attributes;
};

struct ScoredId {
  ImageId id = 0;
  float score = 0;  // cosine, higher is better, within 1e-3 of f32
};

struct VectorSearch {
  std::span<const float> vector;
  std::size_t k = 10;              // 1..capabilities().k_max
  const Filter* filter = nullptr;  // null: everything
  WriteToken at_least = 0;         // the answer reflects this write and all before it
};

struct VectorHits {
  std::vector<ScoredId>
      hits;                // best first, ties by id ascending; fewer than k only when fewer match
  std::int64_t reads = 0;  // requests submitted to the disk (or to the server)
  std::int64_t bytes_read = 0;
  bool exact = true;  // every score was computed on the stored vector
};

struct VectorStoreCapabilities {
  std::size_t k_max = 1000;
  bool exact_scores = true;
};

/// What a graph and its codes take in memory with codes of one length.
struct VectorCodeTier {
  std::string name;                 // "large", "middle", "small", "smallest"
  std::int64_t bytes_a_vector = 0;  // of the codes alone
  std::int64_t bytes_in_memory = 0;
};

struct VectorIndexStats {
  std::int64_t rows = 0;           // live vectors
  std::string kind;                // "flat", "graph"
  std::int64_t rows_in_graph = 0;  // of them; the others are compared one by one
  std::int64_t bytes_in_memory = 0;
  std::int64_t bytes_on_disk = 0;
  std::string code_tier = {};  // the one in memory; "": none is
  std::vector<VectorCodeTier> code_tiers =
      {};                                 // longest first; empty where there is to be no graph
  std::int64_t code_bytes_available = 0;  // what the memory limit leaves to them
  std::int64_t graph_rows_wanted = 0;     // of a graph that is being made; 0: none is
  std::int64_t graph_rows_done = 0;       // of them
};

struct VerifyFinding {
  std::string file;         // relative to the data directory
  std::int64_t offset = 0;  // byte
  std::string what;
};

struct StoredIndex {
  CollectionId collection = 0;
  IndexId index = 0;
};

/// Where embeddings live and are searched: one index per IndexId. Implementations: embedded (our
/// engine), later Milvus. One conformance suite (tests/conformance) states the behaviour; every
/// call is safe from several threads.
class VectorStore {
 public:
  virtual ~VectorStore() = default;

  /// Makes the index, or opens it when it exists with these dimensions (else conflict).
  virtual Status create_index(const Context& ctx, CollectionId collection, IndexId index,
                              std::int32_t dimensions) = 0;
  /// Removes the index and its files. Not an error when it does not exist.
  virtual Status drop_index(const Context& ctx, CollectionId collection, IndexId index) = 0;
  /// Every index that takes up room, whether it opens or not.
  virtual Result<std::vector<StoredIndex>> list_indexes(const Context& ctx) = 0;
  /// Opens an existing index, so that the first search does not wait. not_found when there is none.
  virtual Status open_index(const Context& ctx, CollectionId collection, IndexId index) = 0;

  /// Inserts or replaces by id. Durable and visible on return. Repeating it changes nothing but the
  /// token.
  virtual Result<WriteToken> upsert(const Context& ctx, IndexId index,
                                    std::span<const VectorUpsert> batch) = 0;
  /// Changes what filters see, without touching the vectors. Ids not stored are ignored.
  virtual Result<WriteToken> update_attributes(const Context& ctx, IndexId index,
                                               std::span<const AttributeUpdate> batch) = 0;
  /// Removes. Ids not stored are ignored. Durable and visible on return.
  virtual Result<WriteToken> erase(const Context& ctx, IndexId index,
                                   std::span<const ImageId> ids) = 0;

  /// One answer per search, in order.
  virtual Result<std::vector<VectorHits>> search(const Context& ctx, IndexId index,
                                                 std::span<const VectorSearch> searches) = 0;
  /// The stored vectors of `ids`, L2-normalised; an empty vector for an id that is not stored.
  virtual Result<std::vector<std::vector<float>>> fetch(const Context& ctx, IndexId index,
                                                        std::span<const ImageId> ids) = 0;

  /// What filters see of `ids`; nullopt for an id that is not stored.
  virtual Result<std::vector<std::optional<Attributes>>> fetch_attributes(
      const Context& ctx, IndexId index, std::span<const ImageId> ids) = 0;

  /// The next live ids above `after`, ascending, at most `limit`.
  virtual Result<std::vector<ImageId>> scan_ids(const Context& ctx, IndexId index, ImageId after,
                                                std::size_t limit) = 0;
  /// The index's latest write: what upsert, update_attributes or erase last returned, 0 before. It
  /// counts anew in an index that was made anew.
  virtual Result<WriteToken> latest_token(const Context& ctx, IndexId index) = 0;
  /// The largest id ever written to any index; 0 when none was.
  virtual Result<ImageId> max_id(const Context& ctx) = 0;

  virtual Result<VectorIndexStats> stats(const Context& ctx, IndexId index) = 0;
  /// Reads all of the index's files and reports every byte range whose checksum fails.
  virtual Result<std::vector<VerifyFinding>> verify(const Context& ctx, IndexId index) = 0;
  /// Does now what the index would do by itself in a quiet time, as far as it is worth its while:
  /// searches are as quick afterwards as they get. Changes no answer, but that those of a recall
  /// below 1 may differ. Searches and writes go on.
  virtual Status optimize(const Context& ctx, IndexId index) = 0;
  /// Makes the next opening quick: checkpoints what the log holds.
  virtual Status flush(const Context& ctx, IndexId index) = 0;

  [[nodiscard]] virtual VectorStoreCapabilities capabilities() const = 0;
};

}  // namespace similis
