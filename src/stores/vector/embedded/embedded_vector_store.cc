#include "stores/vector/embedded/embedded_vector_store.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <limits>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <system_error>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "engine/index.h"
#include "stores/vector/embedded/attribute_bytes.h"
#include "stores/vector/embedded/attribute_columns.h"

namespace similis {
namespace {

namespace fs = std::filesystem;

// An index's folder is renamed to this before it is deleted, so that a half-deleted one is never
// taken for an index.
constexpr std::string_view kDropped = ".dropped";

engine::CallOptions call_of(const Context& ctx) {
  return {.deadline = ctx.deadline, .cancel = ctx.cancel};
}

/// The folders and files in `folder`; none when it does not exist.
Result<std::vector<fs::path>> entries_of(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) out.push_back(it->path());
  if (error && error != std::errc::no_such_file_or_directory)
    return errno_error(error.value(), "list", folder.native());
  return out;
}

/// A folder named by a positive number; 0 when it is not.
std::int64_t number_of(const fs::path& folder) {
  const std::string name = folder.filename().native();
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  return error == std::errc() && end == name.data() + name.size() && id > 0 ? id : 0;
}

Status remove_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) return errno_error(error.value(), "remove", folder.native());
  return {};
}

class EmbeddedVectorStore final : public VectorStore {
 public:
  explicit EmbeddedVectorStore(const EmbeddedVectorOptions& options)
      : directory_(options.directory) {
    index_options_.memory = engine::make_memory_budget(options.memory_max);
    index_options_.build_memory = options.build_memory_max;
    index_options_.threads = options.threads;
    index_options_.graph_rows_min = options.graph_rows_min;
    index_options_.attributes = std::make_shared<TypedColumnsFormat>();
  }

  /// Finds the indexes on disk, opening none, and finishes deletions that were interrupted.
  Status find_indexes() {
    ASSIGN_OR_RETURN(const auto collections, entries_of(directory_ / "collections"));
    for (const fs::path& collection : collections) {
      ASSIGN_OR_RETURN(const auto indexes, entries_of(collection / "indexes"));
      for (const fs::path& index : indexes) {
        if (index.extension() == kDropped) {
          TRY(remove_folder(index));
        } else if (const IndexId id = number_of(index); id > 0) {
          entry(id)->directory = index;
        }
      }
    }
    return {};
  }

  Status create_index(const Context& ctx, CollectionId collection, IndexId index,
                      std::int32_t dimensions) override {
    TRY(ctx.check());
    if (dimensions < 1)
      return Error(ErrorCode::invalid_argument,
                   "an index of " + std::to_string(dimensions) + " dimensions");
    const engine::IndexShape shape{.dimensions = static_cast<std::uint32_t>(dimensions),
                                   .kind = engine::IndexKind::graph};
    const auto e = entry(index);
    const std::lock_guard lock(e->mutex);
    if (!e->index) {
      TRY(check_closed(*e));
      e->directory = directory_of(collection, index);
      auto made = engine::Index::create(e->directory, shape, index_options_);
      if (made.ok()) {
        adopt(*e, *std::move(made));
        return {};
      }
      if (made.error().code != ErrorCode::already_exists) return std::move(made).error();
      TRY(open_locked(*e));
    }
    const engine::IndexShape& existing = e->index->shape();
    if (existing.dimensions == shape.dimensions) return {};
    return Error(ErrorCode::conflict, "index " + std::to_string(index) + " exists with " +
                                          std::to_string(existing.dimensions) +
                                          " dimensions, not " + std::to_string(dimensions));
  }

  Status drop_index(const Context& ctx, CollectionId collection, IndexId index) override {
    TRY(ctx.check());
    const fs::path folder = directory_of(collection, index);
    fs::path dropped = folder;
    dropped += kDropped;
    // Locked until the folder has its other name: nobody opens or makes the index in between.
    const auto e = entry(index);
    const std::lock_guard lock(e->mutex);
    // Until it is closed it may still write to files by name.
    e->index.reset();
    while (e->open->load()) {
      TRY(ctx.check());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    TRY(remove_folder(dropped));
    std::error_code error;
    fs::rename(folder, dropped, error);
    if (error && error != std::errc::no_such_file_or_directory)
      return errno_error(error.value(), "rename", folder.native());
    {
      const std::unique_lock entries_lock(mutex_);
      if (const auto it = entries_.find(index); it != entries_.end() && it->second == e)
        entries_.erase(it);
    }
    e->directory.clear();  // whoever found this entry before finds no index
    if (error) return {};  // there was none
    TRY(sync_directory(folder.parent_path()));
    return remove_folder(dropped);
  }

  Result<std::vector<StoredIndex>> list_indexes(const Context& ctx) override {
    std::vector<StoredIndex> out;
    ASSIGN_OR_RETURN(const auto collections, entries_of(directory_ / "collections"));
    for (const fs::path& collection : collections) {
      TRY(ctx.check());
      const CollectionId id = number_of(collection);
      if (id == 0) continue;
      ASSIGN_OR_RETURN(const auto indexes, entries_of(collection / "indexes"));
      for (const fs::path& index : indexes) {
        if (number_of(index) > 0) out.push_back({id, number_of(index)});
      }
    }
    return out;
  }

  Status open_index(const Context& ctx, CollectionId collection, IndexId index) override {
    TRY(ctx.check());
    const auto e = entry(index);
    const std::lock_guard lock(e->mutex);
    if (e->index) return {};
    e->directory = directory_of(collection, index);
    return open_locked(*e);
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
    const engine::Snapshot snapshot = opened->snapshot();
    for (std::size_t i = 0; i < searches.size(); ++i)
      TRY(check(searches[i], opened->shape().dimensions, snapshot, i));
    std::vector<VectorHits> out(searches.size());
    // Searches with the same filter go over the vectors together.
    std::vector<bool> done(searches.size());
    for (std::size_t first = 0; first < searches.size(); ++first) {
      if (done[first]) continue;
      std::vector<std::size_t> together;
      std::vector<float> queries;
      engine::SearchOptions options{.k = 1, .call = call_of(ctx)};
      for (std::size_t i = first; i < searches.size(); ++i) {
        if (done[i] || searches[i].filter != searches[first].filter) continue;
        done[i] = true;
        together.push_back(i);
        queries.insert(queries.end(), searches[i].vector.begin(), searches[i].vector.end());
        options.k = std::max(options.k, searches[i].k);
      }
      if (const Filter* filter = searches[first].filter;
          filter != nullptr && !filter->matches_everything()) {
        options.filter = [filter](const engine::AttributeColumns& columns, std::uint32_t begin,
                                  std::uint32_t count, std::span<std::uint64_t> bits) {
          static_cast<const TypedColumns&>(columns).match(*filter, begin, count, bits);
        };
      }
      ASSIGN_OR_RETURN(const auto answer, snapshot.search(queries, options));
      for (std::size_t i = 0; i < together.size(); ++i) {
        VectorHits& hits = out[together[i]];
        const auto& found = answer.hits[i];
        const std::size_t count = std::min(found.size(), searches[together[i]].k);
        for (std::size_t h = 0; h < count; ++h)
          hits.hits.push_back({static_cast<ImageId>(found[h].id), found[h].score});
      }
      // What was read for all of them is counted once.
      out[first].reads = static_cast<std::int64_t>(answer.reads);
      out[first].bytes_read = static_cast<std::int64_t>(answer.bytes_read);
    }
    return out;
  }

  Result<std::vector<std::vector<float>>> fetch(const Context& ctx, IndexId index,
                                                std::span<const ImageId> ids) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    const std::vector<std::uint64_t> raw(ids.begin(), ids.end());
    return opened->fetch(raw, call_of(ctx));
  }

  Result<std::vector<std::optional<Attributes>>> fetch_attributes(
      const Context& ctx, IndexId index, std::span<const ImageId> ids) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    const std::vector<std::uint64_t> raw(ids.begin(), ids.end());
    ASSIGN_OR_RETURN(const auto stored, opened->fetch_attributes(raw, call_of(ctx)));
    std::vector<std::optional<Attributes>> out(ids.size());
    for (std::size_t i = 0; i < stored.size(); ++i) {
      if (!stored[i]) continue;
      ASSIGN_OR_RETURN(out[i], attributes_from(*stored[i]));
    }
    return out;
  }

  Result<WriteToken> latest_token(const Context& ctx, IndexId index) override {
    TRY(ctx.check());
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    return static_cast<WriteToken>(opened->snapshot().lsn());
  }

  Result<std::vector<ImageId>> scan_ids(const Context& ctx, IndexId index, ImageId after,
                                        std::size_t limit) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    const auto begin = static_cast<std::uint64_t>(std::max<ImageId>(after, 0));
    ASSIGN_OR_RETURN(const auto ids, opened->snapshot().scan_ids(begin, limit, call_of(ctx)));
    return std::vector<ImageId>(ids.begin(), ids.end());
  }

  /// Opens no index for it: at the start of the program that would read all their vectors.
  Result<ImageId> max_id(const Context& ctx) override {
    std::vector<std::shared_ptr<Entry>> known;
    {
      const std::shared_lock lock(mutex_);
      for (const auto& [id, e] : entries_) known.push_back(e);
    }
    ImageId out = 0;
    for (const auto& e : known) {
      TRY(ctx.check());
      const std::lock_guard lock(e->mutex);
      if (e->index) {
        out = std::max(out, static_cast<ImageId>(e->index->max_id()));
        continue;
      }
      if (e->directory.empty()) continue;
      const auto largest = engine::Index::max_id(e->directory);
      if (largest.ok()) {
        out = std::max(out, static_cast<ImageId>(*largest));
      } else if (largest.error().code != ErrorCode::not_found) {
        // The others' ids are not to be given again for that.
        log(LogLevel::warning,
            "the largest id of an index is not known: " + largest.error().message);
      }  // else its making was interrupted: no id was ever written to it
    }
    return out;
  }

  Result<VectorIndexStats> stats(const Context& ctx, IndexId index) override {
    TRY(ctx.check());
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    const engine::IndexStatistics s = opened->statistics();
    VectorIndexStats out;
    out.rows = static_cast<std::int64_t>(s.rows);
    out.kind = s.graph_rows > 0 ? "graph" : "flat";
    out.rows_in_graph = static_cast<std::int64_t>(s.graph_rows);
    out.bytes_in_memory = static_cast<std::int64_t>(s.bytes_in_memory);
    out.bytes_on_disk = static_cast<std::int64_t>(s.bytes_on_disk);
    out.code_tier = s.code_tier;
    out.graph_rows_wanted = static_cast<std::int64_t>(s.graph_rows_wanted);
    out.graph_rows_done = static_cast<std::int64_t>(s.graph_rows_done);
    for (const engine::CodeTierBytes& tier : s.code_tiers)
      out.code_tiers.push_back(
          {tier.name, tier.record_bytes, static_cast<std::int64_t>(tier.bytes_in_memory)});
    out.code_bytes_available = static_cast<std::int64_t>(
        std::min<std::uint64_t>(s.graph_bytes_available, std::numeric_limits<std::int64_t>::max()));
    return out;
  }

  Result<std::vector<VerifyFinding>> verify(const Context& ctx, IndexId index) override {
    const auto e = find(index);
    if (!e) return absent(index);
    std::unique_lock lock(e->mutex);
    const fs::path folder = e->directory;
    const auto opened = e->index;
    // One that does not open is verified all the same: it is the one that needs it. Nobody may open
    // it meanwhile.
    if (opened) lock.unlock();
    if (!opened && folder.empty()) return absent(index);
    if (!opened) TRY(check_closed(*e));
    auto damage =
        opened ? opened->verify(call_of(ctx)) : engine::Index::verify(folder, call_of(ctx));
    if (!damage.ok()) return std::move(damage).error();
    const fs::path relative = folder.lexically_relative(directory_);
    std::vector<VerifyFinding> out;
    for (const engine::DamageReport& report : *damage) {
      out.push_back({(relative / report.file).native(), static_cast<std::int64_t>(report.offset),
                     report.what});
    }
    return out;
  }

  Status optimize(const Context& ctx, IndexId index) override {
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    return opened->optimize(call_of(ctx));
  }

  Status flush(const Context& ctx, IndexId index) override {
    TRY(ctx.check());
    ASSIGN_OR_RETURN(const auto opened, opened_index(index));
    return opened->checkpoint();
  }

  [[nodiscard]] VectorStoreCapabilities capabilities() const override {
    return {.k_max = engine::kSearchKMax, .exact_scores = true};
  }

 private:
  struct Entry {
    std::mutex mutex;
    fs::path directory;  // empty: dropped, or not there yet
    std::shared_ptr<engine::Index> index;
    /// False once `index` and all that calls hold of it are gone and closed.
    std::shared_ptr<std::atomic<bool>> open = std::make_shared<std::atomic<bool>>(false);
  };

  [[nodiscard]] fs::path directory_of(CollectionId collection, IndexId index) const {
    return directory_ / "collections" / std::to_string(collection) / "indexes" /
           std::to_string(index);
  }

  /// null: there is no such index.
  std::shared_ptr<Entry> find(IndexId index) {
    const std::shared_lock lock(mutex_);
    const auto it = entries_.find(index);
    return it != entries_.end() ? it->second : nullptr;
  }

  /// The entry of an index that is there, or may be.
  std::shared_ptr<Entry> entry(IndexId index) {
    const std::unique_lock lock(mutex_);
    auto& slot = entries_[index];
    if (!slot) slot = std::make_shared<Entry>();
    return slot;
  }

  static Error absent(IndexId index) {
    return {ErrorCode::not_found, "there is no vector index " + std::to_string(index)};
  }

  /// A removal that gave up waiting leaves searches at work on an index that takes no new ones.
  static Status check_closed(const Entry& e) {
    if (!e.open->load()) return {};
    return Error(ErrorCode::unavailable,
                 "the vector index is being closed: a call that began earlier still uses it",
                 "Try again in a moment.");
  }

  Status open_locked(Entry& e) const {
    TRY(check_closed(e));
    ASSIGN_OR_RETURN(auto opened, engine::Index::open(e.directory, index_options_));
    adopt(e, std::move(opened));
    return {};
  }

  static void adopt(Entry& e, std::unique_ptr<engine::Index> index) {
    e.open->store(true);
    e.index = std::shared_ptr<engine::Index>(index.release(), [open = e.open](engine::Index* gone) {
      delete gone;
      open->store(false);
    });
  }

  Result<std::shared_ptr<engine::Index>> opened_index(IndexId index) {
    const auto e = find(index);
    if (!e) return absent(index);
    const std::lock_guard lock(e->mutex);
    if (!e->index) {
      if (e->directory.empty()) return absent(index);
      TRY(open_locked(*e));
    }
    return e->index;
  }

  static Status check(const VectorSearch& search, std::uint32_t dimensions,
                      const engine::Snapshot& snapshot, std::size_t position) {
    const std::string where = "search " + std::to_string(position);
    if (search.k < 1 || search.k > engine::kSearchKMax) {
      return Error(ErrorCode::invalid_argument, where + ": k is " + std::to_string(search.k) +
                                                    ", it must lie between 1 and " +
                                                    std::to_string(engine::kSearchKMax));
    }
    if (search.vector.size() != dimensions) {
      return Error(ErrorCode::invalid_argument,
                   where + ": the query has " + std::to_string(search.vector.size()) +
                       " dimensions, the index " + std::to_string(dimensions));
    }
    // A write is visible before its token is handed out, so this is never true of one's own.
    if (search.at_least > static_cast<WriteToken>(snapshot.lsn())) {
      return Error(ErrorCode::unavailable,
                   "the vector index lacks writes that the database knows of (" +
                       std::to_string(search.at_least) + ", it has " +
                       std::to_string(snapshot.lsn()) + "): it is an older copy",
                   "Restore both from the same copy, or run `similis verify`.");
    }
    return {};
  }

  const fs::path directory_;
  engine::IndexOptions index_options_;
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
