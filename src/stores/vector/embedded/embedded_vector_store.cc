#include "stores/vector/embedded/embedded_vector_store.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "base/file.h"
#include "engine/index.h"
#include "stores/vector/embedded/attribute_bytes.h"
#include "stores/vector/embedded/attribute_columns.h"

namespace similis {
namespace {

namespace fs = std::filesystem;

engine::CallOptions call_of(const Context& ctx) {
  return {.deadline = ctx.deadline, .cancel = ctx.cancel};
}

/// A folder named by a number; 0 when it is not.
std::int64_t number_of(const fs::path& folder) {
  const std::string name = folder.filename().native();
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  return error == std::errc() && end == name.data() + name.size() ? id : 0;
}

class EmbeddedVectorStore final : public VectorStore {
 public:
  explicit EmbeddedVectorStore(EmbeddedVectorOptions options) : options_(std::move(options)) {}

  /// Finds the indexes on disk, opening none.
  Status find_indexes() {
    std::error_code error;
    for (const auto& collection :
         fs::directory_iterator(options_.directory / "collections", error)) {
      std::error_code inner;
      for (const auto& index : fs::directory_iterator(collection.path() / "indexes", inner)) {
        if (const IndexId id = number_of(index.path()); id > 0) entry(id)->directory = index.path();
      }
    }
    return {};
  }

  Status create_index(const Context& ctx, CollectionId collection, IndexId index,
                      std::int32_t dimensions) override {
    TRY(ctx.check());
    const auto e = entry(index);
    const std::lock_guard lock(e->mutex);
    e->directory = directory_of(collection, index);
    if (!e->index) {
      TRY(make_directories(e->directory.parent_path()));
      auto made = engine::Index::create(
          e->directory, {.dimensions = static_cast<std::uint32_t>(dimensions)}, options());
      if (made.ok()) {
        e->index = *std::move(made);
        return {};
      }
      if (made.error().code != ErrorCode::already_exists) return std::move(made).error();
      TRY(open_locked(*e));
    }
    if (e->index->shape().dimensions == static_cast<std::uint32_t>(dimensions)) return {};
    return Error(ErrorCode::conflict, "index " + std::to_string(index) + " exists with " +
                                          std::to_string(e->index->shape().dimensions) +
                                          " dimensions, not " + std::to_string(dimensions));
  }

  Status drop_index(const Context& ctx, CollectionId collection, IndexId index) override {
    TRY(ctx.check());
    std::shared_ptr<Entry> e;
    {
      const std::unique_lock lock(mutex_);
      const auto it = entries_.find(index);
      if (it != entries_.end()) {
        e = it->second;
        entries_.erase(it);
      }
    }
    if (e) {
      const std::lock_guard lock(e->mutex);
      e->index.reset();  // closes once no call uses it any more
    }
    std::error_code error;
    fs::remove_all(directory_of(collection, index), error);
    if (error)
      return errno_error(error.value(), "remove", directory_of(collection, index).native());
    return {};
  }

  Status open_index(const Context& ctx, CollectionId collection, IndexId index) override {
    TRY(ctx.check());
    std::error_code error;
    if (!find(index) && std::filesystem::exists(directory_of(collection, index), error)) {
      const auto e = entry(index);
      const std::lock_guard lock(e->mutex);
      e->directory = directory_of(collection, index);
    }
    ASSIGN_OR_RETURN([[maybe_unused]] const auto opened, opened_index(index));
    return {};
  }

  Result<WriteToken> upsert(const Context& ctx, IndexId index,
                            std::span<const VectorUpsert> batch) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    std::vector<std::string> bytes;
    bytes.reserve(batch.size());
    std::vector<engine::Row> rows;
    for (const VectorUpsert& item : batch) {
      bytes.push_back(to_bytes(item.attributes));
      rows.push_back({static_cast<std::uint64_t>(item.id), item.vector,
                      std::as_bytes(std::span(bytes.back()))});
    }
    ASSIGN_OR_RETURN(const auto written, opened->upsert(rows, call_of(ctx)));
    return static_cast<WriteToken>(written.lsn);
  }

  Result<WriteToken> update_attributes(const Context& ctx, IndexId index,
                                       std::span<const AttributeUpdate> batch) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    std::vector<std::string> bytes;
    bytes.reserve(batch.size());
    std::vector<engine::AttributeChange> changes;
    for (const AttributeUpdate& item : batch) {
      bytes.push_back(to_bytes(item.attributes));
      changes.push_back(
          {static_cast<std::uint64_t>(item.id), std::as_bytes(std::span(bytes.back()))});
    }
    ASSIGN_OR_RETURN(const auto written, opened->update_attributes(changes, call_of(ctx)));
    return static_cast<WriteToken>(written.lsn);
  }

  Result<WriteToken> erase(const Context& ctx, IndexId index,
                           std::span<const ImageId> ids) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    const std::vector<std::uint64_t> raw(ids.begin(), ids.end());
    ASSIGN_OR_RETURN(const auto written, opened->erase(raw, call_of(ctx)));
    return static_cast<WriteToken>(written.lsn);
  }

  Result<std::vector<VectorHits>> search(const Context& ctx, IndexId index,
                                         std::span<const VectorSearch> searches) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    std::vector<VectorHits> out;
    for (const VectorSearch& wanted : searches) {
      engine::SearchOptions search;
      search.k = wanted.k;
      search.call = call_of(ctx);
      if (wanted.filter != nullptr) {
        search.filter = [filter = wanted.filter](const engine::AttributeColumns& columns,
                                                 std::uint32_t first, std::uint32_t count,
                                                 std::span<std::uint64_t> bits) {
          static_cast<const TypedColumns&>(columns).match(*filter, first, count, bits);
        };
      }
      // A write is visible before it is acknowledged: the latest snapshot reflects every token
      // handed out.
      ASSIGN_OR_RETURN(const auto answer, opened->search(wanted.vector, search));
      VectorHits hits;
      for (const engine::Hit& hit : answer.hits.front())
        hits.hits.push_back({static_cast<ImageId>(hit.id), hit.score});
      hits.reads = static_cast<std::int64_t>(answer.reads);
      hits.bytes_read = static_cast<std::int64_t>(answer.bytes_read);
      out.push_back(std::move(hits));
    }
    return out;
  }

  Result<std::vector<std::vector<float>>> fetch(const Context& ctx, IndexId index,
                                                std::span<const ImageId> ids) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    const std::vector<std::uint64_t> raw(ids.begin(), ids.end());
    return opened->fetch(raw, call_of(ctx));
  }

  Result<std::vector<ImageId>> scan_ids(const Context& ctx, IndexId index, ImageId after,
                                        std::size_t limit) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    ASSIGN_OR_RETURN(const auto ids, opened->snapshot().scan_ids(static_cast<std::uint64_t>(after),
                                                                 limit, call_of(ctx)));
    return std::vector<ImageId>(ids.begin(), ids.end());
  }

  Result<ImageId> max_id(const Context& ctx) override {
    std::vector<IndexId> known;
    {
      const std::shared_lock lock(mutex_);
      for (const auto& [id, e] : entries_) known.push_back(id);
    }
    ImageId out = 0;
    for (const IndexId id : known) {
      TRY(ctx.check());
      ASSIGN_OR_RETURN(const auto opened, opened_index(id));
      out = std::max(out, static_cast<ImageId>(opened->max_id()));
    }
    return out;
  }

  Result<VectorIndexStats> stats(const Context& ctx, IndexId index) override {
    TRY(ctx.check());
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    const engine::IndexStatistics s = opened->statistics();
    VectorIndexStats out;
    out.rows = static_cast<std::int64_t>(s.rows);
    out.kind = "flat";
    out.bytes_in_memory = static_cast<std::int64_t>(s.bytes_in_memory);
    out.bytes_on_disk = static_cast<std::int64_t>(s.bytes_on_disk);
    return out;
  }

  Result<std::vector<VerifyFinding>> verify(const Context& ctx, IndexId index) override {
    const auto e = find(index);
    if (!e) return absent(index);
    fs::path directory;
    std::shared_ptr<engine::Index> opened;
    {
      const std::lock_guard lock(e->mutex);
      directory = e->directory;
      opened = e->index;
    }
    // An index that does not open is verified all the same: it is the one that needs it.
    auto damage =
        opened ? opened->verify(call_of(ctx)) : engine::Index::verify(directory, call_of(ctx));
    if (!damage.ok()) return std::move(damage).error();
    std::vector<VerifyFinding> out;
    const fs::path relative = fs::relative(directory, options_.directory);
    for (const engine::DamageReport& report : *damage) {
      out.push_back({(relative / report.file).native(), static_cast<std::int64_t>(report.offset),
                     report.what});
    }
    return out;
  }

  Status flush(const Context& ctx, IndexId index) override {
    TRY(ctx.check());
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    return opened->checkpoint();
  }

  [[nodiscard]] VectorStoreCapabilities capabilities() const override {
    return {.k_max = engine::kSearchKMax};
  }

 private:
  struct Entry {
    std::mutex mutex;
    fs::path directory;
    std::shared_ptr<engine::Index> index;
  };

  [[nodiscard]] fs::path directory_of(CollectionId collection, IndexId index) const {
    return options_.directory / "collections" / std::to_string(collection) / "indexes" /
           std::to_string(index);
  }

  [[nodiscard]] engine::IndexOptions options() const {
    engine::IndexOptions out;
    out.memory_max = options_.memory_max;
    out.threads = options_.threads;
    out.attributes = std::make_shared<TypedColumnsFormat>();
    return out;
  }

  /// null: there is no such index.
  std::shared_ptr<Entry> find(IndexId index) {
    const std::shared_lock lock(mutex_);
    const auto it = entries_.find(index);
    return it != entries_.end() ? it->second : nullptr;
  }

  /// The entry of an index that is there or about to be made.
  std::shared_ptr<Entry> entry(IndexId index) {
    const std::unique_lock lock(mutex_);
    auto& slot = entries_[index];
    if (!slot) slot = std::make_shared<Entry>();
    return slot;
  }

  static Error absent(IndexId index) {
    return {ErrorCode::not_found, "there is no vector index " + std::to_string(index)};
  }

  Status open_locked(Entry& e) {
    auto opened = engine::Index::open(e.directory, options());
    if (!opened.ok()) return std::move(opened).error();
    e.index = *std::move(opened);
    return {};
  }

  Result<std::shared_ptr<engine::Index>> opened_index(IndexId index) {
    const auto e = find(index);
    if (!e) return absent(index);
    const std::lock_guard lock(e->mutex);
    if (!e->index) TRY(open_locked(*e));
    return e->index;
  }

  const EmbeddedVectorOptions options_;
  std::shared_mutex mutex_;
  std::map<IndexId, std::shared_ptr<Entry>> entries_;
};

}  // namespace

Result<std::unique_ptr<VectorStore>> open_embedded_vectors(const EmbeddedVectorOptions& options) {
  auto store = std::make_unique<EmbeddedVectorStore>(options);
  TRY(store->find_indexes());
  return std::unique_ptr<VectorStore>(std::move(store));
}

}  // namespace similis
