#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "engine/index_impl.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace similis::engine {
namespace {

constexpr std::size_t kLogsMax = 16;
constexpr std::uint64_t kThrottleFactor = 8;
constexpr auto kRetryAfter = std::chrono::seconds(2);
constexpr auto kLookAfter = std::chrono::seconds(2);

}  // namespace

// A small memory limit must not be spent on rows that wait for a checkpoint.
std::uint64_t IndexImpl::log_bytes_max() const {
  const std::uint64_t share = std::max<std::uint64_t>(budget->limit() / 8, 1 << 20);
  return std::min(options.checkpoint_log_bytes, share);
}

bool IndexImpl::maintenance_due() {
  std::lock_guard lock(commit_mutex);
  if (!read_only.empty()) return false;
  return log_bytes.load(std::memory_order_relaxed) >= log_bytes_max() || logs.size() > kLogsMax ||
         !choose_rested().empty() || choose_graph(GraphDue::urgent).has_value();
}

bool IndexImpl::wake_maintenance() {
  if (!maintenance.joinable()) return false;
  {
    std::lock_guard lock(wake_mutex);
    due = true;
  }
  wake.notify_one();
  return true;
}

// In the background the thread is woken; else the writer whose batch made something due does it.
// Its own write stands whatever comes of that, so a failure is logged, and returned to writers
// only once the log has grown too long (throttle).
void IndexImpl::after_commit() {
  if (!maintenance_due()) return;
  if (wake_maintenance()) return;
  Status status = maintain();
  if (!status.ok())
    similis::log(LogLevel::warning,
                 "maintenance of " + directory.native() + ": " + status.error().message);
  std::lock_guard lock(wake_mutex);
  checkpoint_status = std::move(status);
}

Status IndexImpl::throttle(const CallOptions& call) {
  const auto over = [&] {
    return log_bytes.load(std::memory_order_relaxed) / kThrottleFactor >= log_bytes_max();
  };
  if (!over()) return {};
  if (!maintenance.joinable()) return checkpoint(Seal::when_full, nullptr);
  std::unique_lock lock(wake_mutex);
  due = true;
  wake.notify_one();
  // Cancelling does not wake this; it is seen within a moment.
  while (over() && !stopping) {
    TRY(call.check());
    lock.unlock();
    {
      std::lock_guard commit_lock(commit_mutex);
      TRY(check_writable());  // then no checkpoint comes
    }
    // With what takes longer than anybody wants to wait, or waiting for it.
    const bool thread_is_busy = turn_taken;
    if (thread_is_busy) TRY(checkpoint(Seal::when_full, nullptr));
    lock.lock();
    if (thread_is_busy) continue;
    if (!checkpoint_status.ok())
      return checkpoint_status.error().with_context("writes wait for a checkpoint that fails");
    relaxed.wait_for(lock, std::chrono::milliseconds(50), [&] { return !over() || stopping; });
  }
  return {};
}

// Fails as a checkpoint does; whatever else fails is logged, and tried again later.
Status IndexImpl::maintain() {
  bool checkpoint_due = false;
  {
    std::lock_guard lock(commit_mutex);
    if (!read_only.empty()) return {};
    checkpoint_due =
        log_bytes.load(std::memory_order_relaxed) >= log_bytes_max() || logs.size() > kLogsMax;
  }
  if (checkpoint_due) TRY(checkpoint(Seal::when_full, nullptr));
  relaxed.notify_all();
  const CallOptions own{.cancel = closing.get_token()};
  compact_what_is_due(own);
  while (!stopping && turns_wanted == 0) {
    GraphDue graph_due = GraphDue::urgent;
    {
      std::lock_guard lock(commit_mutex);
      // Nobody writes, or the last building was long ago.
      const bool quiet = std::exchange(lsn_seen, last_lsn) == last_lsn;
      if (quiet || std::chrono::steady_clock::now() >= graph_rest_until)
        graph_due = GraphDue::worth;
    }
    const auto made = make_graph_once(graph_due, background_threads(), own);
    if (!made.ok() && made.error().code != ErrorCode::cancelled)
      similis::log(LogLevel::warning, "making a graph: " + made.error().message);
    if (!made.ok() || !*made) break;
  }
  // Rows that came since take memory, too: codes give way.
  if (budget->tables() > budget->limit()) {
    if (const std::unique_lock turn(compaction_mutex, std::try_to_lock); turn.owns_lock())
      fit_graphs();
  }
  load_absent_graphs();
  if (auto settled = settle_memory(Load::everything); !settled.ok())
    similis::log(LogLevel::warning,
                 "loading vectors of " + directory.native() + ": " + settled.error().message);
  return {};
}

void IndexImpl::run_maintenance() {
  std::unique_lock lock(wake_mutex);
  while (!stopping) {
    if (checkpoint_status.ok()) {
      // Now and then it looks by itself whether a graph is worth making.
      wake.wait_for(lock, kLookAfter, [&] { return due || stopping; });
    } else {
      wake.wait_for(lock, kRetryAfter, [&] { return stopping.load(); });
    }
    if (stopping) return;
    due = false;
    lock.unlock();
    Status status;
    try {
      status = maintain();
    } catch (const std::bad_alloc&) {
      status = Error(ErrorCode::resource_exhausted, "out of memory");
    }
    if (!status.ok() && status.error().code != ErrorCode::cancelled)
      similis::log(LogLevel::warning,
                   "maintenance of " + directory.native() + ": " + status.error().message);
    lock.lock();
    checkpoint_status = std::move(status);
    relaxed.notify_all();
  }
}

unsigned IndexImpl::background_threads() const {
  return maintenance.joinable() ? std::max(1U, threads / 2) : threads;
}

std::uint64_t IndexImpl::table_bytes() const {
  std::uint64_t bytes = map.bytes_in_memory();
  for (const auto& segment : segments) {
    bytes += segment->columns().bytes_in_memory();
    bytes += segment->table_bytes();
    for (const auto& part : *segment->parts()) bytes += part->bytes_in_memory();
    if (segment->graph()) bytes += segment->graph()->bytes_in_memory();
  }
  return bytes;
}

// The C library keeps it for the next allocation, of which there may be none for long.
void IndexImpl::return_free_memory() {
#ifdef __GLIBC__
  (void)::malloc_trim(0);
#endif
}

void IndexImpl::budget_tables() {
  const std::uint64_t now = table_bytes();
  budget->replace_tables(budgeted_tables, now);
  budgeted_tables = now;
}

Status IndexImpl::settle_memory(Load load_what) {
  std::lock_guard lock(maintenance_mutex);
  return settle_memory_locked(load_what);
}

Status IndexImpl::settle_memory_locked(Load load_what) {
  struct Held {
    SegmentView view;
    std::uint32_t chunk;
    std::uint32_t rows;
  };
  std::vector<Held> persisted;  // chunks that parts hold whole and that take no more rows
  {
    std::lock_guard lock(commit_mutex);
    budget_tables();
    for (const auto& segment : segments) {
      const SegmentView view = segment->view(segment);
      for (std::uint32_t c = 0; c < view.chunks->size(); ++c) {
        const std::uint64_t first = std::uint64_t{c} * geometry.chunk_rows;
        const std::uint64_t end = first + geometry.chunk_rows;
        const auto rows =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(end, view.rows) - first);
        const bool settled =
            segment->persisted_rows() >= first + rows && (segment->sealed() || view.rows >= end);
        if (settled) persisted.push_back({view, c, rows});
      }
    }
  }
  for (auto held = persisted.rbegin(); held != persisted.rend() && budget->passed(); ++held)
    (*held->view.chunks)[held->chunk]->set_block(nullptr);

  // On as many threads as searches use: at opening this is what the user waits for.
  std::atomic<std::size_t> next{0};
  std::mutex failure_mutex;
  Status failure;
  const std::function<void()> load = [&] {
    ScratchPool::Lease buffer(scratch);
    std::vector<std::uint32_t> damaged;
    for (;;) {
      const std::size_t i = next.fetch_add(1);
      if (i >= persisted.size() || stopping) return;
      const Held& held = persisted[i];
      Chunk& chunk = *(*held.view.chunks)[held.chunk];
      if (chunk.block()) continue;
      const std::uint64_t end = std::uint64_t{held.chunk} * geometry.chunk_rows + held.rows;
      if (load_what == Load::what_is_scanned && held.view.graph && end <= held.view.graph->rows())
        continue;
      auto memory = Reserved::within_limit(budget, geometry.chunk_bytes());
      if (!memory) return;
      damaged.clear();
      auto block = held.view.segment->read_block(std::move(*memory), held.chunk, held.rows, *buffer,
                                                 damaged);
      if (!block.ok()) {
        std::lock_guard lock(failure_mutex);
        failure = std::move(block).error();
        return;
      }
      // Before the block can be searched.
      if (!damaged.empty()) drop_damaged(*held.view.segment, damaged);
      chunk.set_block(std::move(block).value());
    }
  };
  budget->pool().run(threads, load);
  TRY(std::move(failure));
  std::lock_guard lock(commit_mutex);
  const auto& graph = segments.back()->graph();
  const bool scanned = !graph || graph->rows() < segments.back()->rows();
  const bool wanted = load_what == Load::everything || scanned;
  if (!wanted || !segments.back()->tail_is_absent()) return {};
  auto memory = Reserved::within_limit(budget, geometry.chunk_bytes());
  if (!memory) return {};
  std::unique_lock map_lock(map_mutex);
  return load_tail(std::move(*memory));
}

}  // namespace similis::engine
