#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"

/// The disk vector index: search over fp16 vectors that survive a crash, by comparing all of them
/// or by a graph, with rows added, replaced, erased and filtered while searches run. Scores are
/// exact but where ScoreMode::bounded was asked for. This header is its whole public face.
///
///   ASSIGN_OR_RETURN(auto index, Index::create("pictures.idx", {.dimensions = 1280}, {}));
///   TRY(index->upsert(rows, {}));
///   ASSIGN_OR_RETURN(auto answers, index->search(query, {.k = 10}));
///
/// Every call is safe from several threads. No exception leaves it but std::bad_alloc. Beside what
/// each names, any call may fail with
/// - invalid_argument: a vector of other dimensions than the index's, or with a component that is
///   not finite or beyond 65504; an id, k, recall or length of attributes outside its range;
/// - deadline_exceeded, cancelled: as CallOptions asks for;
/// - io_error, resource_exhausted: of the disk; of space on it, or memory. A write that failed has
///   left nothing behind, unless the index takes none any more after it: then opening it anew shows
///   whether it is there;
/// - unavailable: a write to an index that takes none any more, since the disk failed in a way
///   that only opening it anew can make good (IndexStatistics::read_only);
/// - corruption: of what it cannot do without. A damaged vector is none: its row is gone.
namespace similis::engine {

class Storage;     // storage/storage.h: the file system, or a simulated one in tests
struct IndexImpl;  // index_impl.h
struct SnapshotState;

/// What a score means; higher is better in each. The metric belongs to the index.
enum class Metric : std::uint8_t {
  cosine = 1,         // in [-1, 1]; rows are normalised when stored; a zero vector scores 0
  inner_product = 2,  // rows as given
  l2 = 3,             // minus the squared Euclidean distance
};

enum class IndexKind : std::uint8_t {
  flat = 1,   // every row is compared
  graph = 2,  // of 32 to 8192 dimensions: segments of many rows have a graph, made behind them
};

/// Ids are positive and below 2^53.
inline constexpr std::uint64_t kRowIdMax = (std::uint64_t{1} << 53) - 1;
inline constexpr std::size_t kSearchKMax = 1000;

/// What an index is fixed to when it is made.
struct IndexShape {
  std::uint32_t dimensions = 0;  // 1..65536
  Metric metric = Metric::cosine;
  IndexKind kind = IndexKind::flat;
};

/// The opaque attribute bytes of the rows of one segment, in whatever form its owner can filter
/// quickly. The index never looks inside. Ordinals count up from 0 within the segment; rows that
/// were dead when the index was opened are skipped and stand for "no bytes".
///
/// The index calls set() from one thread at a time, get() and the filter from any, meanwhile. A row
/// is set before any search can see it; later calls on the same ordinal are changes of attributes.
class AttributeColumns {
 public:
  virtual ~AttributeColumns() = default;
  /// `bytes` passed AttributeFormat::check. False when they mean what the row has already.
  virtual bool set(std::uint32_t ordinal, std::span<const std::byte> bytes) = 0;
  /// Replaces `out` by bytes that mean what the last set() was given.
  virtual void get(std::uint32_t ordinal, std::vector<std::byte>& out) const = 0;
  [[nodiscard]] virtual std::uint64_t bytes_in_memory() const = 0;
  /// Earlier states of rows that still take memory: compaction, which makes new columns, is due
  /// when they outnumber the rows.
  [[nodiscard]] virtual std::uint64_t superseded() const { return 0; }
};

/// The owner's knowledge of attribute bytes.
class AttributeFormat {
 public:
  virtual ~AttributeFormat() = default;
  /// Refuses bytes that a column could not hold. Asked before a write is accepted, and of each row
  /// read from disk.
  [[nodiscard]] virtual Status check(std::span<const std::byte> bytes) const = 0;
  [[nodiscard]] virtual std::unique_ptr<AttributeColumns> make_columns() const = 0;
};

/// Marks the rows a search may return: sets bit i of `bits` when row first + i matches. `bits`
/// comes zeroed and holds `count` bits; `first` is a multiple of 64. Called from several threads, a
/// few thousand rows at a time, with the columns that AttributeFormat made for the segment: of
/// their attributes as they are then, also in a search of an older snapshot.
using RowFilter = std::function<void(const AttributeColumns& columns, std::uint32_t first,
                                     std::uint32_t count, std::span<std::uint64_t> bits)>;

/// Bytes of memory that the indexes opened with it share. Vectors stay in memory while they fit
/// beside the ids, tables and columns of all and one set of read buffers, first come, first served;
/// each search reads the others from disk. An index that opens makes those before it drop vectors
/// where its tables need the room.
class MemoryBudget;  // memory_budget.h
std::shared_ptr<MemoryBudget> make_memory_budget(std::uint64_t bytes_max);

struct IndexOptions {
  /// null: no limit. Opening fails with resource_exhausted when not even the tables fit.
  std::shared_ptr<MemoryBudget> memory;
  /// Threads of one search; 0: one a core. Indexes that share `memory` share their threads.
  unsigned threads = 0;
  /// null: bytes are kept as they are and cannot be filtered by content.
  std::shared_ptr<const AttributeFormat> attributes;
  /// A checkpoint begins when the log holds this much, and writers wait at eight times it.
  std::uint64_t checkpoint_log_bytes = 64 << 20;
  /// The open segment is sealed at this many rows; compaction may merge to larger ones.
  std::uint32_t segment_rows = 1 << 20;
  /// Bytes that making a graph may take for a while, beside `memory`: no segment of kind `graph`
  /// grows to more rows than that suffices for, about 1 kB each at 1280 dimensions. Where it does
  /// not suffice for graph_rows_min no graph is made. Segments that are larger already, made under
  /// another limit, keep their graphs, and have them made again, whatever that takes.
  std::uint64_t build_memory = UINT64_MAX;
  /// The first graph of an index of kind `graph` is made of this many rows; fewer are compared as
  /// quickly. Once there is one, a further segment begins in its frame at a sixteenth of them.
  std::uint32_t graph_rows_min = 8192;
  /// Checkpoints, compaction and graphs on a thread of the index; false: within the write that
  /// makes them due, which keeps tests repeatable.
  bool background = true;
  /// null: the operating system's files.
  Storage* storage = nullptr;
};

/// Until when a call is wanted; it then fails with deadline_exceeded or cancelled. A write that
/// waits for its turn in the log is no longer called off: with one of these codes nothing was
/// written.
struct CallOptions {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::stop_token cancel;
  [[nodiscard]] Status check() const;
};

struct Row {
  std::uint64_t id = 0;
  std::span<const float> vector;  // the index's dimensions; finite, at most 65504 in magnitude
  std::span<const std::byte> attributes;  // at most 1 MiB
};

struct AttributeChange {
  std::uint64_t id = 0;
  std::span<const std::byte> attributes;
};

/// `lsn` numbers writes upwards: every snapshot whose lsn is not below it shows this write.
struct WriteResult {
  std::uint64_t lsn = 0;
  std::size_t rows = 0;  // inserted or replaced; found and changed or erased
};

struct Hit {
  std::uint64_t id = 0;
  float score = 0;
  bool estimated = false;  // by the row's code: only with ScoreMode::bounded
  friend bool operator==(const Hit&, const Hit&) = default;
};

/// Which rows are read from disk.
enum class ScoreMode : std::uint8_t {
  exact,    // all that are returned
  bounded,  // those alone of which it is in doubt whether they are; others' scores are estimates
};

struct SearchOptions {
  std::size_t k = 10;  // 1..kSearchKMax
  RowFilter filter{};  // empty: every row
  /// The share of the true nearest rows that is to be found, on average: above 0, at most 1. At 1
  /// every row is compared; below, kind `graph` looks at as few as its calibration allows. Rows
  /// that no graph covers yet are compared in any case.
  float recall = 0.99F;
  ScoreMode scores = ScoreMode::exact;
  /// Not 0: in place of what `recall` asks for how far beyond the nearest k a walk looks, as a
  /// share of their squared distance; the length of a list of candidates of which all are looked
  /// around; and how many times its error an estimate is doubted before its row is read.
  float reach = 0;
  std::size_t list_size = 0;
  float doubt = 0;
  CallOptions call{};
};

struct SearchAnswer {
  std::vector<std::vector<Hit>> hits;  // one list a query: best first, ties by id ascending
  std::uint64_t reads = 0;             // requests submitted to the disk
  std::uint64_t bytes_read = 0;
};

/// What all graphs of an index take in memory with codes of one length.
struct CodeTierBytes {
  std::string name;                   // "large", "middle", "small", "smallest"
  std::uint32_t record_bytes = 0;     // a row's code
  std::uint64_t bytes_in_memory = 0;  // codes, edges and what belongs to them
};

struct IndexStatistics {
  std::uint64_t rows = 0;  // live
  std::uint64_t dead_rows = 0;
  std::uint64_t damaged_rows = 0;  // found since opening; they count as dead
  std::uint32_t segments = 0;
  std::uint32_t files = 0;
  std::uint64_t bytes_on_disk = 0;      // parts, logs, graphs and manifest
  std::uint64_t log_bytes = 0;          // of it: not yet in parts
  std::uint64_t bytes_in_memory = 0;    // vectors, ids, tables, columns
  std::uint64_t read_buffer_bytes = 0;  // besides, once for all indexes that share a budget
  std::uint64_t vector_bytes_in_memory = 0;
  std::uint64_t vector_bytes_on_disk_only = 0;  // what comparing every row reads
  std::uint64_t graph_rows = 0;                 // that graphs cover
  std::uint64_t graph_bytes_in_memory = 0;      // of bytes_in_memory
  std::uint64_t graph_rows_wanted = 0;          // of a graph that is being made; 0: none is
  std::uint64_t graph_rows_done = 0;            // of them
  /// What graphs take or would take, the longest codes first; empty where no segment is to have a
  /// graph. The first that fits is the one in memory.
  std::vector<CodeTierBytes> code_tiers;
  std::string code_tier;                    // which it is; "" without graphs in memory
  std::uint64_t graph_bytes_available = 0;  // what the memory limit leaves them
  std::uint64_t reads = 0;                  // since opening, as in SearchAnswer
  std::uint64_t bytes_read = 0;
  std::uint64_t lsn = 0;
  float norm_max = 0;     // the largest norm ever stored
  std::string read_only;  // why writes are refused; "" when they are not
};

/// Bytes on disk that fail their check.
struct DamageReport {
  std::string file;  // inside the index's folder
  std::uint64_t offset = 0;
  std::string what;
};

/// The rows as of one moment. Cheap to copy; while one lives, the rows it shows can be searched,
/// whatever is written, compacted or removed meanwhile. Which rows there are and their vectors are
/// of that moment; attributes are those of now. Must not outlive its Index.
class Snapshot {
 public:
  [[nodiscard]] std::uint64_t lsn() const;
  [[nodiscard]] std::uint64_t rows() const;  // live, counted when called

  /// `queries`: one or more vectors of the index's dimensions, one after another;
  /// finite, at most 65504 in magnitude.
  [[nodiscard]] Result<SearchAnswer> search(std::span<const float> queries,
                                            const SearchOptions& options) const;
  /// The next live ids above `after`, ascending, at most `limit`.
  [[nodiscard]] Result<std::vector<std::uint64_t>> scan_ids(std::uint64_t after, std::size_t limit,
                                                            const CallOptions& call) const;

 private:
  friend class Index;
  Snapshot(IndexImpl* index, std::shared_ptr<const SnapshotState> state)
      : index_(index), state_(std::move(state)) {}
  IndexImpl* index_;
  std::shared_ptr<const SnapshotState> state_;
};

class Index {
 public:
  /// Makes the folder and an empty index in it. already_exists when it holds one, `corruption` when
  /// one is there whose MANIFEST is missing.
  static Result<std::unique_ptr<Index>> create(const std::filesystem::path& directory,
                                               const IndexShape& shape,
                                               const IndexOptions& options);
  /// not_found without an index; `conflict` when it is open already or of a newer format;
  /// `corruption` for bytes that fail their check. A damaged vector alone stops nothing: its row
  /// counts as erased from the moment it is noticed, here or later.
  static Result<std::unique_ptr<Index>> open(const std::filesystem::path& directory,
                                             const IndexOptions& options);
  /// What max_id() will say once the index in this folder is open, without opening it. It must not
  /// be open. Errors as of open().
  static Result<std::uint64_t> max_id(const std::filesystem::path& directory,
                                      Storage* storage = nullptr);
  /// Checks every byte of an index that need not open, and is not open. Empty: all is well. An
  /// error only when checking itself failed (no index there, cancelled).
  static Result<std::vector<DamageReport>> verify(const std::filesystem::path& directory,
                                                  const CallOptions& call,
                                                  Storage* storage = nullptr);

  /// close(), its error logged.
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// Inserts, or replaces by id; the later of two rows with one id wins. Durable on return;
  /// of a batch that failed nothing is visible, and after a crash all of it or nothing. Batches of
  /// concurrent callers share one sync.
  Result<WriteResult> upsert(std::span<const Row> rows, const CallOptions& call);
  /// Ids that are not stored are ignored.
  Result<WriteResult> erase(std::span<const std::uint64_t> ids, const CallOptions& call);
  /// Replaces the attributes of stored rows, vectors untouched. Ids that are not stored are
  /// ignored.
  Result<WriteResult> update_attributes(std::span<const AttributeChange> changes,
                                        const CallOptions& call);

  [[nodiscard]] Snapshot snapshot() const;
  /// On the latest snapshot.
  [[nodiscard]] Result<SearchAnswer> search(std::span<const float> queries,
                                            const SearchOptions& options) const;
  /// The stored vectors (cosine: normalised), f32; an empty one for an id that is not stored.
  [[nodiscard]] Result<std::vector<std::vector<float>>> fetch(std::span<const std::uint64_t> ids,
                                                              const CallOptions& call) const;
  /// The stored attribute bytes; nullopt for an id that is not stored.
  [[nodiscard]] Result<std::vector<std::optional<std::vector<std::byte>>>> fetch_attributes(
      std::span<const std::uint64_t> ids, const CallOptions& call) const;
  /// The largest id ever written, erased ones included; 0 when there was none.
  [[nodiscard]] std::uint64_t max_id() const;

  /// Moves what the log holds into parts, so that the next opening is quick.
  Status checkpoint();
  /// Drops dead rows and merges small segments, whatever the automatic thresholds say; then as
  /// build_graphs().
  Status compact(const CallOptions& call);
  /// Before the index is left alone or closed: merges segments that should be, and makes, extends
  /// and writes graphs where that pays for the next opening. Searches and writes go on beside it.
  Status optimize(const CallOptions& call);
  /// Has all rows of segments that are large enough in a graph.
  Status build_graphs(const CallOptions& call);
  /// Checks every byte on disk while the index goes on working. What is damaged, and in memory
  /// still, is written anew by its maintenance.
  [[nodiscard]] Result<std::vector<DamageReport>> verify(const CallOptions& call) const;

  [[nodiscard]] IndexStatistics statistics() const;
  [[nodiscard]] const IndexShape& shape() const;

  /// Waits for running maintenance and marks the log as complete. No call may follow or be running.
  Status close();

 private:
  explicit Index(std::unique_ptr<IndexImpl> impl);
  std::unique_ptr<IndexImpl> impl_;
};

}  // namespace similis::engine
