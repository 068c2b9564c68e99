#include "engine/index.h"

#include <algorithm>

#include "engine/index_impl.h"
#include "engine/verify.h"

namespace similis::engine {
namespace {
/// Calls `once` until it finds nothing more to do; so many times at most that concurrent writes
/// cannot keep it going for ever.
template <typename Once>
Status repeat(const IndexImpl& index, const Once& once) {
  const std::size_t most = 32 + 4 * index.snapshot()->segments.size();
  for (std::size_t i = 0; i < most; ++i) {
    ASSIGN_OR_RETURN(const bool done, once());
    if (!done) break;
  }
  return {};
}
}  // namespace

Status CallOptions::check() const {
  if (cancel.stop_requested()) return Error(ErrorCode::cancelled, "the call was cancelled");
  if (deadline != std::chrono::steady_clock::time_point::max() &&
      std::chrono::steady_clock::now() > deadline)
    return Error(ErrorCode::deadline_exceeded, "the call took longer than its time limit",
                 "Try again, or ask for less.");
  return {};
}

std::uint64_t Snapshot::lsn() const {
  return state_->lsn;
}

std::uint64_t Snapshot::rows() const {
  std::uint64_t count = 0;
  for (const auto& view : state_->segments) {
    const std::uint32_t chunk_rows = view.segment->geometry().chunk_rows;
    for (std::uint32_t i = 0; i < view.rows; ++i)
      count += (*view.chunks)[i / chunk_rows]->deaths.of(i % chunk_rows) > state_->lsn;
  }
  return count;
}

Result<SearchAnswer> Snapshot::search(std::span<const float> queries,
                                      const SearchOptions& options) const {
  return index_->search(*state_, queries, options);
}

Result<std::vector<std::uint64_t>> Snapshot::scan_ids(std::uint64_t after, std::size_t limit,
                                                      const CallOptions& call) const {
  std::vector<std::uint64_t> smallest;  // a heap, the largest at the front
  if (limit == 0) return smallest;
  for (const auto& view : state_->segments) {
    const std::uint32_t chunk_rows = view.segment->geometry().chunk_rows;
    for (std::uint32_t i = 0; i < view.rows; ++i) {
      const std::uint32_t at = i % chunk_rows;
      const Chunk& chunk = *(*view.chunks)[i / chunk_rows];
      if (at == 0) TRY(call.check());
      const std::uint64_t id = chunk.ids[at];
      if (id <= after || (smallest.size() == limit && id > smallest.front()) ||
          chunk.deaths.of(at) <= state_->lsn)
        continue;
      if (smallest.size() == limit) {
        std::pop_heap(smallest.begin(), smallest.end());
        smallest.back() = id;
      } else {
        smallest.push_back(id);
      }
      std::push_heap(smallest.begin(), smallest.end());
    }
  }
  std::sort_heap(smallest.begin(), smallest.end());
  return smallest;
}

Result<std::unique_ptr<Index>> Index::create(const std::filesystem::path& directory,
                                             const IndexShape& shape, const IndexOptions& options) {
  TRY(IndexImpl::create_files(directory, shape, options));
  return open(directory, options);
}

Result<std::unique_ptr<Index>> Index::open(const std::filesystem::path& directory,
                                           const IndexOptions& options) {
  ASSIGN_OR_RETURN(auto impl, IndexImpl::open(directory, options));
  return std::unique_ptr<Index>(new Index(std::move(impl)));
}

Result<std::uint64_t> Index::max_id(const std::filesystem::path& directory, Storage* storage) {
  return IndexImpl::largest_id(storage != nullptr ? *storage : posix_storage(), directory);
}

Result<std::vector<DamageReport>> Index::verify(const std::filesystem::path& directory,
                                                const CallOptions& call, Storage* storage) {
  return verify_closed(storage != nullptr ? *storage : posix_storage(), directory, call);
}

Index::Index(std::unique_ptr<IndexImpl> impl) : impl_(std::move(impl)) {}
Index::~Index() = default;

Result<WriteResult> Index::upsert(std::span<const Row> rows, const CallOptions& call) {
  return impl_->upsert(rows, call);
}

Result<WriteResult> Index::erase(std::span<const std::uint64_t> ids, const CallOptions& call) {
  return impl_->erase(ids, call);
}

Result<WriteResult> Index::update_attributes(std::span<const AttributeChange> changes,
                                             const CallOptions& call) {
  return impl_->update_attributes(changes, call);
}

Snapshot Index::snapshot() const {
  return {impl_.get(), impl_->snapshot()};
}

Result<SearchAnswer> Index::search(std::span<const float> queries,
                                   const SearchOptions& options) const {
  return snapshot().search(queries, options);
}

Result<std::vector<std::optional<std::vector<std::byte>>>> Index::fetch_attributes(
    std::span<const std::uint64_t> ids, const CallOptions& call) const {
  return impl_->fetch_attributes(ids, call);
}
Result<std::vector<std::vector<float>>> Index::fetch(std::span<const std::uint64_t> ids,
                                                     const CallOptions& call) const {
  return impl_->fetch(ids, call);
}

std::uint64_t Index::max_id() const {
  return impl_->max_id;
}

Status Index::checkpoint() {
  return impl_->checkpoint(IndexImpl::Seal::when_full, nullptr);
}

Status Index::compact(const CallOptions& call) {
  TRY(checkpoint());
  TRY(repeat(*impl_, [&] { return impl_->compact_once(&IndexImpl::choose_any, call); }));
  return build_graphs(call);
}

Status Index::optimize(const CallOptions& call) {
  const auto compact = [&](auto choose) {
    return repeat(*impl_, [&] { return impl_->compact_once(choose, call); });
  };
  // A segment that cannot be compacted keeps neither others nor graphs waiting.
  Status compacted = compact(&IndexImpl::choose_due);
  if (!compacted.ok()) {
    TRY(call.check());
    (void)compact(&IndexImpl::choose_rested);
  }
  TRY(repeat(*impl_, [&] {
    return impl_->make_graph_once(IndexImpl::GraphDue::lasting, impl_->background_threads(), call);
  }));
  return compacted;
}

Status Index::build_graphs(const CallOptions& call) {
  TRY(repeat(*impl_, [&] {
    return impl_->make_graph_once(IndexImpl::GraphDue::any, impl_->threads, call);
  }));
  // What has become free since may hold more of the codes.
  ASSIGN_OR_RETURN(const auto turn, impl_->take_turn(call));
  impl_->fit_graphs();
  return {};
}

Result<std::vector<DamageReport>> Index::verify(const CallOptions& call) const {
  return impl_->verify(call);
}

IndexStatistics Index::statistics() const {
  return impl_->statistics();
}
const IndexShape& Index::shape() const {
  return impl_->shape;
}
Status Index::close() {
  return impl_->close();
}

}  // namespace similis::engine
