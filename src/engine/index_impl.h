#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "engine/build_plan.h"
#include "engine/graph/lift.h"
#include "engine/graph/segment_graph.h"
#include "engine/graph_search.h"
#include "engine/id_map.h"
#include "engine/index.h"
#include "engine/memory_plan.h"
#include "engine/scratch_pool.h"
#include "engine/segment.h"
#include "engine/storage/manifest.h"
#include "engine/storage/storage.h"
#include "engine/storage/wal.h"
#include "engine/thread_pool.h"

namespace similis::engine {

/// At rest; beyond it compaction merges the two smallest, as far as their graph can be made.
inline constexpr std::size_t kSegmentsMax = 4;

/// One index, open. Split over open.cc (recovery), write.cc (commits), checkpoint.cc,
/// compaction.cc, graph_upkeep.cc, graph_memory.cc, maintenance.cc (what runs when; memory),
/// read.cc, statistics.cc and verify.cc.
///
/// Locks, in the order they may be taken:
///   compaction_mutex   one compaction, or one building of a graph, at a time
///   maintenance_mutex  one checkpoint, or one pass over resident vectors, at a time
///   commit_mutex       the order of writes; all that is marked (commit)
///   map_mutex          id → location, and publishing with it
///   queue_mutex, snapshot_mutex, wake_mutex   for a few instructions each
/// Searches take snapshot_mutex only, and each chunk's and segment's own little lock.
struct IndexImpl {
  /// Writes of one caller, encoded as log records without their order.
  struct Batch {
    std::vector<std::byte> records;
    float norm_max = 0;
    bool appends = false;  // rows, rather than changing some
    bool done = false;
    bool out_of_memory = false;
    Status status;
    WriteResult result;
    std::condition_variable wake;
  };

  struct LogFile {
    std::uint64_t file = 0;
    std::uint64_t bytes = 0;
  };

  /// A segment made from others, before it takes their place.
  struct Compaction {
    std::vector<std::shared_ptr<Segment>> inputs;
    std::shared_ptr<Segment> output;                       // null when no row of the inputs lives
    std::vector<std::vector<std::uint32_t>> new_ordinals;  // by input; kNone: not taken over
    std::uint64_t part_file = 0;
    bool installed = false;
    static constexpr std::uint32_t kNone = UINT32_MAX;
  };

  IndexImpl(Storage& storage_, std::filesystem::path directory_, IndexOptions options_,
            const Manifest& manifest);
  ~IndexImpl();

  // --- open.cc
  static Result<std::unique_ptr<IndexImpl>> open(const std::filesystem::path& directory,
                                                 const IndexOptions& options);
  static Status create_files(const std::filesystem::path& directory, const IndexShape& shape,
                             const IndexOptions& options);
  Status recover(const Manifest& manifest);
  Status load_segment(const Manifest::Segment& record);
  static Result<std::uint64_t> largest_id(Storage& storage, const std::filesystem::path& directory);
  Status replay_logs(const std::vector<std::uint64_t>& files);
  Status replay(const WalRecord& record);  // (commit, map_mutex)
  Status rescue_tail(const std::string& name, std::uint64_t offset, std::uint64_t end,
                     std::uint64_t first_lsn);
  Status close();

  // --- write.cc
  Result<WriteResult> upsert(std::span<const Row> rows, const CallOptions& call);
  Result<WriteResult> erase(std::span<const std::uint64_t> ids, const CallOptions& call);
  Result<WriteResult> update_attributes(std::span<const AttributeChange> changes,
                                        const CallOptions& call);
  Result<WriteResult> commit(Batch& batch, const CallOptions& call);
  /// Writes what waits, and ends its waiting. Takes commit_mutex.
  void lead(Batch& first);
  Status write_group(std::span<Batch* const> group);  // (commit)
  Status open_log();                                  // (commit)
  /// True when a row was inserted, changed or erased. (commit, map_mutex)
  bool apply(const WalRecord& record);
  bool kill(const Location& location, std::uint64_t lsn);  // (commit)
  Segment* find_segment(std::uint32_t number) const;       // (commit)
  std::shared_ptr<Segment> make_segment();                 // (commit)
  /// Has vectors in memory that the next row comes behind.
  Status make_room_at_tail();                   // (commit, map_mutex)
  Status load_tail(Reserved memory);            // a chunk's (commit, map_mutex)
  void begin_segment();                         // seals the open one (commit)
  void publish();                               // (commit)
  void refuse_writes(std::string why);          // (commit)
  [[nodiscard]] Status check_writable() const;  // (commit)

  // --- checkpoint.cc
  enum class Seal { when_full, now };
  Status checkpoint(Seal seal, Compaction* compaction);  // takes maintenance_mutex
  Status checkpoint_locked(Seal seal, Compaction* compaction);

  // --- compaction.cc
  using Inputs = std::vector<std::shared_ptr<Segment>>;
  /// What to do next; empty: nothing. (commit)
  [[nodiscard]] Inputs choose_due() const;
  [[nodiscard]] Inputs choose_any() const;
  /// The same, but for segments that rest after a compaction of theirs failed. (commit)
  [[nodiscard]] Inputs choose_rested() const;
  [[nodiscard]] Inputs choose_among(const std::vector<std::shared_ptr<Segment>>& some) const;
  /// compaction_mutex, held.
  class Turn {
   public:
    Turn(std::unique_lock<std::mutex> lock, std::atomic<bool>& taken)
        : lock_(std::move(lock)), taken_(&taken) {
      taken = true;
    }
    Turn(Turn&&) noexcept = default;
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (lock_.owns_lock()) *taken_ = false;
    }

   private:
    std::unique_lock<std::mutex> lock_;
    std::atomic<bool>* taken_;
  };
  /// Takes compaction_mutex, unless the call is cancelled while another one holds it.
  Result<Turn> take_turn(const CallOptions& call);
  void compact_what_is_due(const CallOptions& call);
  /// resource_exhausted when the disk has no room for what compacting these writes.
  Status check_space(const Inputs& inputs);
  /// Runs at most one; false when `choose` found nothing to do.
  Result<bool> compact_once(Inputs (IndexImpl::*choose)() const, const CallOptions& call);
  Status compact(const Inputs& inputs, const CallOptions& call);
  Status build(Compaction& compaction, const SnapshotState& snapshot, const CallOptions& call);
  void install(Compaction& compaction);  // (commit)

  // --- graph_upkeep.cc
  struct MadeGraph {
    std::shared_ptr<const SegmentGraph> graph;
    StoredGraph stored;
  };
  /// What searches wait for; what pays while the index is open; what pays when it is closed next,
  /// and is to lie in a file; all.
  enum class GraphDue { urgent, worth, lasting, any };
  struct GraphTask {
    std::shared_ptr<Segment> segment;
    std::shared_ptr<const SegmentGraph> from;  // to be extended; null: to be made anew
    bool write = false;                        // to a file, which the next opening finds
    std::uint32_t rows = 0;                    // that a file is to hold, at most
  };
  /// Builds and writes the graph of a segment's first rows, which parts hold.
  Result<MadeGraph> make_graph(const SegmentView& view, std::uint32_t rows, std::uint64_t lsn,
                               unsigned thread_count, const CallOptions& call);
  Result<StoredGraph> write_graph(const SegmentGraph& graph, const Segment& segment);
  /// The graph of `task`, with the rows up to `rows`.
  Result<MadeGraph> grow_graph(const GraphTask& task, const SegmentView& view, std::uint32_t rows,
                               unsigned thread_count, const CallOptions& call);
  /// Whether whatever was written can be added to the graph. (commit)
  [[nodiscard]] bool takes_in(const SegmentGraph& graph) const;
  [[nodiscard]] std::optional<GraphTask> choose_graph(GraphDue wanted) const;  // (commit)
  /// Makes, extends or writes at most one; false when none is due.
  Result<bool> make_graph_once(GraphDue wanted, unsigned thread_count, const CallOptions& call);

  // --- graph_memory.cc
  /// Coordinates that codes are made of.
  [[nodiscard]] std::uint32_t code_dimensions() const {
    return lifted_dimensions(shape.metric, shape.dimensions);
  }
  /// As the rows of a segment are counted, and as a graph of them can be made.
  [[nodiscard]] std::uint32_t largest_segment() const;
  /// Whether an index of this shape can have a graph of so many rows.
  [[nodiscard]] bool suits_graph(std::uint64_t rows) const;
  /// The most that a graph of so many rows can take.
  [[nodiscard]] GraphSize graph_size_at_most(std::uint64_t rows) const;
  /// Whether the memory for one is there, beside the others' shortest codes. `replaced`: segments
  /// whose graphs it would take the place of.
  [[nodiscard]] bool may_have_graph(
      const GraphSize& size,
      std::span<const std::shared_ptr<Segment>> replaced) const;  // (commit)
  /// What the memory limit leaves to graphs.
  [[nodiscard]] std::uint64_t available_to_graphs() const;  // (commit)
  /// Of those in memory, of all that there are, and of those that are wanting besides.
  enum class Graphs { in_memory, there, there_and_wanting };
  [[nodiscard]] MemoryPlan plan_graphs(Graphs which) const;  // (commit)
  /// Reads the graphs in the files of `manifest`, with as many bits of their codes as fit.
  void load_graphs(const Manifest& manifest);
  /// Has as many bits of the codes in memory as fit now; compaction_mutex is held.
  void fit_graphs();
  void fit_graph(Segment& segment, const CodeLayout& layout);
  /// A copy, for who holds no lock that keeps verify from taking it away.
  std::optional<StoredGraph> stored_graph_of(const Segment& segment);  // takes commit_mutex
  /// Notes that a graph's file is damaged; it goes with the next manifest. (commit)
  void lose_graph(const Manifest::Derived& record, const std::string& why,
                  const std::string& what_follows);
  /// Reads graphs that there was no room for, once there is.
  void load_absent_graphs();

  // --- maintenance.cc
  void after_commit();
  /// False when there is no thread that does it.
  bool wake_maintenance();
  Status throttle(const CallOptions& call);
  Status maintain();
  void run_maintenance();
  [[nodiscard]] bool maintenance_due();  // takes commit_mutex
  /// Of what searches should not feel.
  [[nodiscard]] unsigned background_threads() const;
  /// Ids, tables, columns and graphs: what is needed whatever vectors are in memory. (commit)
  [[nodiscard]] std::uint64_t table_bytes() const;
  void budget_tables();  // (commit)
  /// Drops vectors that parts hold while over the limit, loads what fits below it.
  enum class Load { everything, what_is_scanned };
  Status settle_memory(Load load_what);  // takes maintenance_mutex
  Status settle_memory_locked(Load load_what);
  [[nodiscard]] std::uint64_t log_bytes_max() const;
  /// Hands back to the system what an opening or a building took for a while.
  static void return_free_memory();

  // --- read.cc
  [[nodiscard]] std::shared_ptr<const SnapshotState> snapshot() const;
  Result<std::vector<std::optional<std::vector<std::byte>>>> fetch_attributes(
      std::span<const std::uint64_t> ids, const CallOptions& call);
  Result<std::vector<std::vector<float>>> fetch(std::span<const std::uint64_t> ids,
                                                const CallOptions& call);
  Result<SearchAnswer> search(const SnapshotState& state, std::span<const float> queries,
                              const SearchOptions& search_options);
  /// Rows whose vectors are not what was written count as erased from here on: what cannot be
  /// relied on is not served, and whoever compares ids finds them missing. Takes commit_mutex.
  /// False for a segment that is not one of the index (any more).
  bool drop_damaged(const Segment& segment, std::span<const std::uint32_t> ordinals);
  /// The same of a segment of the index. (commit, map_mutex)
  void bury(Segment& segment, std::span<const std::uint32_t> ordinals);

  // --- statistics.cc
  IndexStatistics statistics();

  // --- verify.cc
  Result<std::vector<DamageReport>> verify(const CallOptions& call);

  // --- fixed once open
  Storage& storage;
  const std::filesystem::path directory;
  const IndexOptions options;
  const IndexShape shape;
  const Geometry geometry;
  const Uuid uuid;
  const std::shared_ptr<const AttributeFormat> format;
  const std::shared_ptr<MemoryBudget> budget;
  const unsigned threads;  // of one search
  ScratchPool& scratch;    // the budget's
  const BuildPlan build_plan;
  const std::uint32_t segment_rows_max;  // of those that grow or are merged
  std::unique_ptr<Storage::Lock> directory_lock;
  ReadCounters counters;
  GraphWorkers graph_workers;

  std::mutex compaction_mutex;
  std::atomic<bool> turn_taken{false};    // with it: what is done then may take minutes
  std::atomic<unsigned> turns_wanted{0};  // of it, by calls: what the index does by itself waits
  std::mutex maintenance_mutex;

  // --- (commit)
  std::mutex commit_mutex;
  std::vector<std::shared_ptr<Segment>> segments;  // the last one is open
  std::unique_ptr<AppendFile> log;                 // null: the next write begins one
  std::vector<LogFile> logs;                       // all that recovery would read, in order
  std::uint64_t last_lsn = 0;
  std::uint64_t manifest_lsn = 0;
  std::uint64_t manifest_bytes = 0;
  std::uint64_t next_file = 1;
  std::uint32_t next_segment = 1;
  std::uint64_t budgeted_tables = 0;  // what the budget knows of table_bytes()
  float norm_max = 0;
  std::string read_only;
  std::uint64_t damaged_rows = 0;
  bool graphs_changed = false;  // since the last manifest
  std::chrono::steady_clock::time_point graph_rest_until{};
  std::chrono::steady_clock::time_point graph_not_before{};  // after a failure
  std::uint64_t lsn_seen = 0;                                // by maintenance, when it last looked
  std::vector<DamageReport> lost_graphs{};                   // found damaged, until their files go
  /// No longer needed once the next manifest is out.
  std::vector<std::string> obsolete_files;
  std::atomic<std::uint64_t> max_id{0};
  std::atomic<std::uint64_t> log_bytes{0};  // written since the state that parts hold

  std::shared_mutex map_mutex;
  IdMap map;  // changed under both commit_mutex and map_mutex

  std::mutex queue_mutex;
  std::deque<Batch*> queue;  // the front one leads

  mutable std::mutex snapshot_mutex;
  std::shared_ptr<const SnapshotState> published;

  std::mutex wake_mutex;
  std::condition_variable wake;     // of the maintenance thread
  std::condition_variable relaxed;  // of throttled writers
  bool due = false;
  std::atomic<bool> stopping{false};
  std::stop_source closing;  // with `stopping`: of what the index does by itself
  std::atomic<std::uint64_t> graph_rows_wanted{0};  // of a graph that is being made
  std::atomic<std::uint64_t> graph_rows_done{0};
  Status checkpoint_status;  // of maintenance's last one (wake_mutex)
  std::thread maintenance;
};

}  // namespace similis::engine
