#include "services/query_service.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/bytes.h"
#include "base/hex.h"
#include "core/sha256.h"
#include "services/candidates.h"
#include "services/query_vector.h"

namespace similis {
namespace {

constexpr std::size_t kCandidatesMax = 1000;
constexpr std::chrono::seconds kPageLife{15 * 60};
/// Part of every key: raise it when what is cached, or what it is computed from, changes its
/// meaning.
constexpr std::uint32_t kCacheFormat = 1;

Error expired_cursor() {
  return {ErrorCode::gone, "this page's cursor has expired", "Search again."};
}

}  // namespace

struct QueryService::Impl {
  Ports ports;

  // How many pictures are ready, counted once an epoch: the figure is shown with every answer.
  std::mutex totals_mutex;
  std::unordered_map<CollectionId, std::pair<std::int64_t, std::int64_t>> totals;  // epoch, count

  Result<std::int64_t> total(const Context& ctx, const Collection& collection) {
    {
      std::lock_guard lock(totals_mutex);
      const auto it = totals.find(collection.id);
      if (it != totals.end() && it->second.first == collection.epoch) return it->second.second;
    }
    ASSIGN_OR_RETURN(const CollectionCounts counts, ports.metadata.counts(ctx, collection.id));
    std::lock_guard lock(totals_mutex);
    totals[collection.id] = {collection.epoch, counts.ready};
    return counts.ready;
  }

  Result<IndexInfo> active_index(const Context& ctx, const Collection& collection) {
    ASSIGN_OR_RETURN(const auto indexes, ports.metadata.list_indexes(ctx, collection.id));
    for (const IndexInfo& index : indexes)
      if (index.id == collection.active_index) return index;
    return Error(ErrorCode::conflict,
                 "nothing is indexed in collection " + collection.name + " yet",
                 "Index a folder first: similis index DIR --collection " + collection.name);
  }

  /// Everything an answer depends on, hashed: the epoch makes a stale answer unreachable.
  Result<std::string> cache_key(const Collection& collection, const SearchRequest& request,
                                const QueryVector& query, double cutoff) {
    ByteWriter key;
    key.put(kCacheFormat);
    key.put_text(collection.uuid);
    key.put(collection.active_index);
    key.put(collection.epoch);
    key.put_text(to_string(request.filter));
    key.put(cutoff);
    key.put(request.exclude_self);
    key.put(request.collapse_identical);
    key.put(query.self_id.value_or(0));
    if (query.self_hash) key.put_raw(query.self_hash->data(), query.self_hash->size());
    key.put_text(query.name);
    key.put_raw(query.vector.data(), query.vector.size() * sizeof(float));
    const std::string bytes = key.take();
    ASSIGN_OR_RETURN(const ContentHash hash, sha256(std::as_bytes(std::span(bytes))));
    return to_hex(std::span(hash).first(16));
  }

  /// Drops what is not ready (a row on its way in or out) and the query itself, joins equal bytes
  /// when asked.
  Status settle(const Context& ctx, const Collection& collection, const SearchRequest& request,
                const QueryVector& query, Candidates& candidates) {
    const bool drop_self = request.exclude_self && (query.self_id || query.self_hash);
    if (!drop_self && !request.collapse_identical) return {};
    std::vector<ImageId> ids;
    for (const auto& entry : candidates.entries) ids.push_back(entry.id);
    ASSIGN_OR_RETURN(const auto rows, ports.metadata.get_images(ctx, collection.id, ids));
    std::unordered_map<ImageId, const ImageRow*> by_id;
    for (const ImageRow& row : rows) by_id.emplace(row.id, &row);
    std::vector<Candidates::Entry> kept;
    std::unordered_map<std::string, std::size_t> first_of_hash;
    for (const auto& entry : candidates.entries) {
      const auto it = by_id.find(entry.id);
      if (it == by_id.end() || it->second->state != RowState::ready) continue;
      const ContentHash& hash = it->second->facts.content_hash;
      if (drop_self && (entry.id == query.self_id || hash == query.self_hash)) continue;
      if (request.collapse_identical) {
        const std::string text(reinterpret_cast<const char*>(hash.data()), hash.size());
        const auto [at, is_first] = first_of_hash.emplace(text, kept.size());
        if (!is_first) {
          ++kept[at->second].identical_count;
          continue;
        }
      }
      kept.push_back(entry);
    }
    candidates.entries = std::move(kept);
    return {};
  }

  Result<Candidates> find(const Context& ctx, const Collection& collection, const IndexInfo& index,
                          const SearchRequest& request, const QueryVector& query, double cutoff,
                          SearchResponse& response) {
    Candidates out;
    out.collection_uuid = collection.uuid;
    out.epoch = collection.epoch;
    out.cutoff = cutoff;
    out.classes = query.classes;
    out.query_name = query.name;
    out.query_width = query.width;
    out.query_height = query.height;
    ASSIGN_OR_RETURN(out.total, total(ctx, collection));

    VectorSearch search;
    search.vector = query.vector;
    search.k = std::min(kCandidatesMax, ports.vectors.capabilities().k_max);
    search.filter = request.filter.matches_everything() ? nullptr : &request.filter;
    search.at_least = collection.token;
    {
      const StageTimer timer(ctx, "index");
      ASSIGN_OR_RETURN(const auto answers,
                       ports.vectors.search(ctx, index.id, std::span(&search, 1)));
      for (const ScoredId& hit : answers.front().hits)
        out.entries.push_back({hit.id, hit.score, 0});
      out.exact = answers.front().exact;
      response.reads = answers.front().reads;
      response.bytes_read = answers.front().bytes_read;
    }
    const StageTimer timer(ctx, "rows");
    TRY(settle(ctx, collection, request, query, out));
    return out;
  }

  /// Fills one page from the candidates at `cursor`: rows that went away since are skipped and the
  /// page is refilled.
  Status fill_page(const Context& ctx, const Collection& collection, const Candidates& candidates,
                   const PageCursor& cursor, SearchResponse& response) {
    const StageTimer timer(ctx, "rows");
    const auto& entries = candidates.entries;
    std::size_t at = cursor.offset;
    while (response.hits.size() < cursor.k && at < entries.size()) {
      const std::size_t count = std::min(cursor.k - response.hits.size(), entries.size() - at);
      std::vector<ImageId> ids;
      for (std::size_t i = 0; i < count; ++i) ids.push_back(entries[at + i].id);
      ASSIGN_OR_RETURN(auto rows, ports.metadata.get_images(ctx, collection.id, ids));
      auto row = rows.begin();  // in the order asked, missing ones left out
      for (std::size_t i = 0; i < count; ++i) {
        const Candidates::Entry& entry = entries[at + i];
        if (row == rows.end() || row->id != entry.id) continue;
        if (row->state == RowState::ready) {
          const auto score = static_cast<double>(entry.score);
          response.hits.push_back(
              {std::move(*row), score, score >= candidates.cutoff, entry.identical_count});
        }
        ++row;
      }
      at += count;
    }
    if (at < entries.size())
      response.next_cursor = PageCursor{cursor.key, at, cursor.k}.to_string();

    response.total = candidates.total;
    response.candidates = static_cast<std::int64_t>(entries.size());
    response.above_cutoff = candidates.above_cutoff();
    response.cutoff = candidates.cutoff;
    response.exact = candidates.exact;
    response.histogram = candidates.histogram();
    response.classes = candidates.classes;
    response.query_name = candidates.query_name;
    response.query_width = candidates.query_width;
    response.query_height = candidates.query_height;
    response.epoch = candidates.epoch;
    return {};
  }

  Status next_page(const Context& ctx, const Collection& collection, const SearchRequest& request,
                   SearchResponse& response) {
    ASSIGN_OR_RETURN(const PageCursor cursor, PageCursor::parse(request.cursor));
    const auto cached = ports.cache.get(ctx, "search:" + cursor.key);
    Candidates candidates;
    if (!cached || !Candidates::parse(*cached, candidates)) return expired_cursor();
    if (candidates.collection_uuid != collection.uuid) {
      return Error(ErrorCode::invalid_argument, "this cursor belongs to another collection");
    }
    response.cache = CacheState::hit;
    return fill_page(ctx, collection, candidates, cursor, response);
  }

  Status first_page(const Context& ctx, const Collection& collection, const SearchRequest& request,
                    SearchResponse& response) {
    ASSIGN_OR_RETURN(const IndexInfo index, active_index(ctx, collection));
    ASSIGN_OR_RETURN(const auto embedder,
                     ports.models.load_identity(index.identity, index.model_name));
    ASSIGN_OR_RETURN(const QueryVector query,
                     make_query_vector(ctx, ports, collection, index, *embedder, request));
    const double cutoff = request.min_score.value_or(embedder->info().calibration.cut_off);
    ASSIGN_OR_RETURN(const std::string key, cache_key(collection, request, query, cutoff));

    Candidates candidates;
    response.cache = request.use_cache ? CacheState::miss : CacheState::off;
    if (request.use_cache) {
      const auto cached = ports.cache.get(ctx, "search:" + key);
      if (cached && Candidates::parse(*cached, candidates)) response.cache = CacheState::hit;
    }
    if (response.cache != CacheState::hit) {
      ASSIGN_OR_RETURN(candidates, find(ctx, collection, index, request, query, cutoff, response));
    }
    // A hit is put again, too: this answer's cursor is to live its whole time.
    ports.cache.put(ctx, "search:" + key, candidates.serialise(), kPageLife);
    return fill_page(ctx, collection, candidates, {key, 0, request.k}, response);
  }
};

QueryService::QueryService(const Ports& ports)
    : impl_(new Impl{.ports = ports, .totals_mutex = {}, .totals = {}}) {}
QueryService::~QueryService() = default;

Result<SearchResponse> QueryService::search(const Context& caller, const SearchRequest& request) {
  Context ctx = caller;
  if (!ctx.trace) ctx.trace = std::make_shared<Trace>("");
  const auto begin = Context::Clock::now();
  if (request.k < 1 || request.k > kCandidatesMax) {
    return Error(ErrorCode::invalid_argument, "k is " + std::to_string(request.k),
                 "It must be 1 to " + std::to_string(kCandidatesMax) + ".");
  }
  if (request.min_score && !(*request.min_score >= -1 && *request.min_score <= 1)) {
    return Error(ErrorCode::invalid_argument, "min_score is not a cosine", "It must be -1 to 1.");
  }
  SearchResponse response;
  // Epoch, active index and token are read together, before anything else: the answer is cached
  // under them.
  ASSIGN_OR_RETURN(const Collection collection,
                   impl_->ports.metadata.find_collection(ctx, request.collection));
  if (request.cursor.empty()) {
    TRY(impl_->first_page(ctx, collection, request, response));
  } else {
    TRY(impl_->next_page(ctx, collection, request, response));
  }
  response.timings = ctx.trace->stages();
  response.timings.push_back(
      {"total", std::chrono::duration<double, std::milli>(Context::Clock::now() - begin).count()});
  return response;
}

}  // namespace similis
