#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/collection.h"
#include "core/context.h"
#include "core/filter.h"
#include "core/image.h"
#include "core/job.h"

namespace similis {

/// What a folder scan compares a directory entry with. A row whose content is being replaced (see
/// put_pending) shows as `pending`.
struct KnownFile {
  ImageId id = 0;
  std::string name;  // bytes
  std::int64_t size_bytes = 0;
  std::int64_t mtime_ns = 0;
  ContentHash content_hash{};  // zeros when it was never read
  RowState state = RowState::pending;
};

/// A picture about to be indexed: step 1 of an insert. `id` 0: a new row (or the existing one of
/// the same place).
struct PendingImage {
  ImageId id = 0;       // in: 0 or the row to re-index; out: the row's id
  FolderId folder = 0;  // 0: an upload, found again by its content hash
  std::string name;
  std::int64_t mtime_ns = 0;
  PictureFacts facts;
  bool existed = false;    // out: a row of this place (folder, name) or upload (hash) was there
  bool was_ready = false;  // out: ...and it was ready with this very content hash
};

/// Step 3 of an insert: the vector is visible.
struct ReadyImage {
  ImageId id = 0;
  std::int64_t mtime_ns = 0;
  PictureFacts facts;
  std::vector<ClassScore> classes;
};

struct FailedImage {
  ImageId id = 0;  // 0: a file without a row yet
  FolderId folder = 0;
  std::string name;
  std::int64_t size_bytes = 0;
  std::int64_t mtime_ns = 0;
  Error error;
};

struct MovedImage {
  ImageId id = 0;
  FolderId folder = 0;  // the new place
  std::string name;
  std::int64_t mtime_ns = 0;
};

struct TouchedImage {
  ImageId id = 0;
  std::int64_t mtime_ns = 0;
};

enum class ListSort : std::uint8_t { date, name, random };

struct ListRequest {
  CollectionId collection = 0;
  Filter filter;
  ListSort sort = ListSort::date;  // date: newest first; ties by id
  std::uint64_t seed = 0;          // of sort random: the same seed gives the same order
  std::size_t limit = 100;         // 1..1000
  std::string cursor;              // "" or the last page's next_cursor; opaque
};

struct ListPage {
  std::vector<ImageRow> rows;
  std::string next_cursor;  // "" at the end
};

/// A folder that was handed to `index`.
struct Root {
  CollectionId collection = 0;
  FolderId folder = 0;
  std::string path;
  BuildOptions options;
  UnixSeconds scanned_at = 0;  // end of the last complete scan; 0: never
  std::int64_t pictures = 0;   // ready rows under it
  std::vector<std::pair<std::string, std::int64_t>>
      skipped;  // by type word, of the last complete scan
};

struct CollectionCounts {
  std::int64_t ready = 0, failed = 0, pending = 0, removing = 0;
};

struct ApiKey {
  std::int64_t id = 0;
  std::string name;
  std::string prefix;  // the first characters of the key, to tell keys apart
  UnixSeconds created_at = 0;
  UnixSeconds last_used_at = 0;  // 0: never
};

/// What a job's row may be changed in by its owner; counters and state go together with a version
/// + 1.
struct JobUpdate {
  JobState state = JobState::running;
  JobCounters counters;
  double worked_s = 0;
  std::optional<Error> error;
  /// The version of the row that the owner goes by: the job does not show as following what others
  /// asked for since.
  std::int64_t known_version = 0;
};

/// Rows: collections, indexes, folders, pictures, jobs, keys. Implementations: SQL (SQLite now,
/// MySQL later). Every mutating call is one transaction, synced to disk before it returns; batches
/// are one transaction too. Safe from several threads and, on a server database, from several
/// processes. docs/architecture.md states the order of writes.
class MetadataStore {
 public:
  virtual ~MetadataStore() = default;

  // ---- collections and indexes
  virtual Result<Collection> create_collection(const Context& ctx,
                                               std::string_view name) = 0;  // already_exists
  virtual Result<std::vector<Collection>> list_collections(const Context& ctx) = 0;  // by name
  /// Name, epoch, active index and its token, read together. not_found with the nearest name in the
  /// hint.
  virtual Result<Collection> find_collection(const Context& ctx, std::string_view name) = 0;
  virtual Result<Collection> get_collection(const Context& ctx, CollectionId id) = 0;
  /// All rows of the collection; the caller has dropped its indexes.
  virtual Status delete_collection(const Context& ctx, CollectionId id) = 0;
  /// Gives the id. The collection's first index is its active one at once; a later one is
  /// `building` until it is activated.
  virtual Result<IndexInfo> create_index(const Context& ctx, const IndexInfo& index) = 0;
  virtual Result<std::vector<IndexInfo>> list_indexes(const Context& ctx, CollectionId id) = 0;
  /// The index answers from now on; the one before becomes standby. Epoch + 1. One statement that
  /// matters.
  virtual Status activate_index(const Context& ctx, CollectionId id, IndexId index) = 0;
  virtual Status set_index_state(const Context& ctx, IndexId index, IndexState state) = 0;
  /// The index's latest acknowledged write is `token` from now on, also when it was a later one: of
  /// an index that was lost or put back and now counts anew. Epoch + 1.
  virtual Status reset_token(const Context& ctx, CollectionId id, IndexId index,
                             WriteToken token) = 0;

  // ---- folders and roots
  /// The id of an absolute, normalised path; made with its parents when new.
  virtual Result<FolderId> intern_folder(const Context& ctx, std::string_view absolute_path) = 0;
  /// The same for several, in their order and one transaction.
  virtual Result<std::vector<FolderId>> intern_folders(
      const Context& ctx, std::span<const std::string> absolute_paths) = 0;
  /// The id of a folder that is known already; 0 when it is not. Writes nothing.
  virtual Result<FolderId> find_folder(const Context& ctx, std::string_view absolute_path) = 0;
  virtual Result<std::string> folder_path(const Context& ctx, FolderId folder) = 0;
  virtual Status put_root(const Context& ctx, CollectionId id, FolderId folder,
                          const BuildOptions& options) = 0;
  virtual Result<std::vector<Root>> list_roots(const Context& ctx, CollectionId id) = 0;
  virtual Status finish_scan(const Context& ctx, CollectionId id, FolderId folder, UnixSeconds at,
                             std::span<const std::pair<std::string, std::int64_t>> skipped) = 0;

  // ---- scanning
  /// Every file row of one folder (not below it), by name; not those being removed.
  virtual Result<std::vector<KnownFile>> files_in_folder(const Context& ctx, CollectionId id,
                                                         FolderId folder) = 0;
  /// Visits every file row at or below `root` with its folder's id; not those being removed. Stops
  /// when `visit` returns false.
  virtual Status for_each_file_under(
      const Context& ctx, CollectionId id, FolderId root,
      const std::function<bool(FolderId, const KnownFile&)>& visit) = 0;
  /// Ready rows with this content hash in the collection, lowest id first, at most `limit`. Rows
  /// whose content is being replaced are left out: their vector may already be another picture's.
  virtual Result<std::vector<ImageRow>> find_by_hash(const Context& ctx, CollectionId id,
                                                     const ContentHash& hash,
                                                     std::size_t limit) = 0;

  // ---- a picture's life, in the order of the contract
  /// Step 1: rows `pending` in `index`, committed. A row that is ready stays ready (the old answer
  /// stays until the new vector is there); ready for other content, it is marked as being replaced
  /// until mark_ready or mark_failed, so that a process that dies between the new vector and
  /// mark_ready leaves a trace (scan_images finds it under `pending`). A row that is being removed
  /// no longer holds its place: a picture found there again is a new row. Fills id, existed and
  /// was_ready.
  virtual Status put_pending(const Context& ctx, CollectionId id, IndexId index,
                             std::span<PendingImage> batch) = 0;
  /// Step 3: facts and state `ready`, epoch + 1, index token = max(token), one transaction. Rows
  /// that went in the meantime are passed over.
  virtual Status mark_ready(const Context& ctx, CollectionId id, IndexId index,
                            std::span<const ReadyImage> batch, WriteToken token) = 0;
  /// `failed` with the reason, attempts + 1. A row that was ready for other content becomes failed
  /// too: the caller erases its vector first and passes the token. Epoch + 1 only when a ready row
  /// went. Returns the rows' ids in the batch's order, 0 for a row that went in the meantime.
  virtual Result<std::vector<ImageId>> mark_failed(const Context& ctx, CollectionId id,
                                                   IndexId index,
                                                   std::span<const FailedImage> batch,
                                                   WriteToken token) = 0;
  /// New places of folder rows (they may trade places); ids, tags and vectors stay. Epoch + 1.
  /// conflict when a row outside the batch holds the place. `token` is the active index's, here and
  /// in the calls below.
  virtual Status move_images(const Context& ctx, CollectionId id, std::span<const MovedImage> batch,
                             WriteToken token) = 0;
  /// Files that were touched while their bytes stayed the same. Epoch + 1 when a ready row's date
  /// changes by it (rows without an EXIF date): the caller has updated the vector store's
  /// attributes first and passes that token.
  virtual Status touch_images(const Context& ctx, CollectionId id,
                              std::span<const TouchedImage> batch, WriteToken token) = 0;
  /// First half of a removal: rows `removing`, hidden from every list. Epoch + 1.
  virtual Status begin_removal(const Context& ctx, CollectionId id,
                               std::span<const ImageId> ids) = 0;
  /// Second half: rows gone. Returns the content hashes that no row holds any more.
  virtual Result<std::vector<ContentHash>> finish_removal(const Context& ctx, CollectionId id,
                                                          std::span<const ImageId> ids,
                                                          WriteToken token) = 0;
  /// Replaces the tags (sorted, unique). Epoch + 1. not_found for an unknown id.
  virtual Status set_tags(const Context& ctx, CollectionId id, ImageId image,
                          std::span<const std::string> tags, WriteToken token) = 0;

  // ---- reading: a row that fails its checksum is left out of every answer of several, and logged
  /// One row, in any state. not_found; corruption when it fails its checksum.
  virtual Result<ImageRow> get_image(const Context& ctx, CollectionId id, ImageId image) = 0;
  /// Rows in the order of `ids`, in any state; ids without a row are left out.
  virtual Result<std::vector<ImageRow>> get_images(const Context& ctx, CollectionId id,
                                                   std::span<const ImageId> ids) = 0;
  /// Ready rows.
  virtual Result<ListPage> list_images(const Context& ctx, const ListRequest& request) = 0;
  /// Failed rows by path; `root` 0: of the whole collection.
  virtual Result<ListPage> list_failures(const Context& ctx, CollectionId id, FolderId root,
                                         std::size_t limit, std::string_view cursor) = 0;
  virtual Result<CollectionCounts> counts(const Context& ctx, CollectionId id) = 0;
  /// The next rows above `after` in this state, ascending: what start-up and verify finish or
  /// check. `pending` also finds the ready rows whose content is being replaced.
  virtual Result<std::vector<ImageRow>> scan_images(const Context& ctx, CollectionId id,
                                                    RowState state, ImageId after,
                                                    std::size_t limit) = 0;
  /// The same rows' ids. Their rows are not read: damaged ones are among them.
  virtual Result<std::vector<ImageId>> scan_image_ids(const Context& ctx, CollectionId id,
                                                      RowState state, ImageId after,
                                                      std::size_t limit) = 0;
  /// True when a row in any collection holds this content hash.
  virtual Result<bool> hash_in_use(const Context& ctx, const ContentHash& hash) = 0;
  /// Ids given from now on are above `id`.
  virtual Status raise_next_id(const Context& ctx, ImageId id) = 0;

  // ---- jobs
  /// A new queued job, or the unfinished one of the same kind, collection and root (`existed`; its
  /// options are replaced, but what runs or waits with `watch` keeps it, and it no longer shows as
  /// following: its owner sees by the version that there is something new to do). Of the
  /// finished ones the newest thousand are kept.
  struct NewJob {
    Job job;
    bool existed = false;
  };
  virtual Result<NewJob> create_job(const Context& ctx, JobKind kind, CollectionId id,
                                    std::string_view root, const BuildOptions& options) = 0;
  virtual Result<Job> get_job(const Context& ctx, JobId id) = 0;
  /// Newest first.
  virtual Result<std::vector<Job>> list_jobs(const Context& ctx, std::size_t limit) = 0;
  /// All that are not finished, oldest first; `id` 0: of every collection.
  virtual Result<std::vector<Job>> unfinished_jobs(const Context& ctx, CollectionId id) = 0;
  /// Takes the lease of a queued job, or of a running one whose lease has run out. conflict when
  /// another owner has it.
  virtual Result<Job> claim_job(const Context& ctx, JobId id, std::string_view owner,
                                std::int64_t lease_s) = 0;
  /// The owner's report: renews the lease, version + 1. A row that is running takes update.state
  /// (queued, done and failed end the lease: no owner any more); one that somebody paused,
  /// cancelled or queued again in the meantime keeps that state, and its lease ends with this
  /// report. Counters and time are written in any case. Returns the row; conflict when the lease
  /// was lost to another owner.
  virtual Result<Job> update_job(const Context& ctx, JobId id, std::string_view owner,
                                 const JobUpdate& update, std::int64_t lease_s) = 0;
  /// Anybody: pause (queued, running -> paused), resume (paused -> queued), cancel (any unfinished
  /// -> cancelled). The owner keeps its name in the row until it reports. A command whose aim is
  /// reached already changes nothing; conflict when the state forbids it.
  virtual Result<Job> set_job_state(const Context& ctx, JobId id, JobState state) = 0;

  // ---- keys: only SHA-256 hashes are stored
  virtual Result<ApiKey> create_key(const Context& ctx, std::string_view name,
                                    std::string_view prefix, const ContentHash& hash) = 0;
  virtual Result<std::vector<ApiKey>> list_keys(const Context& ctx) = 0;
  virtual Status delete_key(const Context& ctx, std::int64_t id) = 0;
  /// The key with this hash, its last use noted (at most once a minute); unauthenticated when there
  /// is none.
  virtual Result<ApiKey> use_key(const Context& ctx, const ContentHash& hash) = 0;

  // ---- health
  struct Health {
    bool ok = true;
    std::vector<std::string> findings;
  };
  /// The database's integrity check, and the checksum column of every row.
  virtual Result<Health> verify(const Context& ctx) = 0;
  virtual Result<std::int64_t> bytes_on_disk(const Context& ctx) = 0;
};

}  // namespace similis
