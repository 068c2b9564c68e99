#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "stores/metadata/metadata_store.h"
#include "stores/metadata/sql/database.h"
#include "stores/metadata/sql/folder_paths.h"
#include "stores/metadata/sql/records.h"

namespace similis::sql {

/// The metadata store over any database behind the SQL layer. What only the database itself can
/// tell (its integrity check, its files) its back end adds (sqlite.cc). The calls are grouped as in
/// the port, a file each: store_collections.cc, store_folders.cc, store_scans.cc, store_writes.cc,
/// store_removal.cc, store_lists.cc, store_jobs.cc, store_keys.cc, store_verify.cc.
class SqlMetadataStore : public MetadataStore {
 public:
  explicit SqlMetadataStore(std::unique_ptr<Database> database) : db_(std::move(database)) {}

  Result<Collection> create_collection(const Context& ctx, std::string_view name) override;
  Result<std::vector<Collection>> list_collections(const Context& ctx) override;
  Result<Collection> find_collection(const Context& ctx, std::string_view name) override;
  Result<Collection> get_collection(const Context& ctx, CollectionId id) override;
  Status delete_collection(const Context& ctx, CollectionId id) override;
  Result<IndexInfo> create_index(const Context& ctx, const IndexInfo& index) override;
  Result<std::vector<IndexInfo>> list_indexes(const Context& ctx, CollectionId id) override;
  Status activate_index(const Context& ctx, CollectionId id, IndexId index) override;
  Status set_index_state(const Context& ctx, IndexId index, IndexState state) override;
  Status reset_token(const Context& ctx, CollectionId id, IndexId index, WriteToken token) override;

  Result<FolderId> intern_folder(const Context& ctx, std::string_view absolute_path) override;
  Result<std::vector<FolderId>> intern_folders(
      const Context& ctx, std::span<const std::string> absolute_paths) override;
  Result<FolderId> find_folder(const Context& ctx, std::string_view absolute_path) override;
  Result<std::string> folder_path(const Context& ctx, FolderId folder) override;
  Status put_root(const Context& ctx, CollectionId id, FolderId folder,
                  const BuildOptions& options) override;
  Result<std::vector<Root>> list_roots(const Context& ctx, CollectionId id) override;
  Status finish_scan(const Context& ctx, CollectionId id, FolderId folder, UnixSeconds at,
                     std::span<const std::pair<std::string, std::int64_t>> skipped) override;

  Result<std::vector<KnownFile>> files_in_folder(const Context& ctx, CollectionId id,
                                                 FolderId folder) override;
  Status for_each_file_under(const Context& ctx, CollectionId id, FolderId root,
                             const std::function<bool(FolderId, const KnownFile&)>& visit) override;
  Result<std::vector<ImageRow>> find_by_hash(const Context& ctx, CollectionId id,
                                             const ContentHash& hash, std::size_t limit) override;

  Status put_pending(const Context& ctx, CollectionId id, IndexId index,
                     std::span<PendingImage> batch) override;
  Status mark_ready(const Context& ctx, CollectionId id, IndexId index,
                    std::span<const ReadyImage> batch, WriteToken token) override;
  Result<std::vector<ImageId>> mark_failed(const Context& ctx, CollectionId id, IndexId index,
                                           std::span<const FailedImage> batch,
                                           WriteToken token) override;
  Status move_images(const Context& ctx, CollectionId id, std::span<const MovedImage> batch,
                     WriteToken token) override;
  Status touch_images(const Context& ctx, CollectionId id, std::span<const TouchedImage> batch,
                      WriteToken token) override;
  Status begin_removal(const Context& ctx, CollectionId id, std::span<const ImageId> ids) override;
  Result<std::vector<ContentHash>> finish_removal(const Context& ctx, CollectionId id,
                                                  std::span<const ImageId> ids,
                                                  WriteToken token) override;
  Status set_tags(const Context& ctx, CollectionId id, ImageId image,
                  std::span<const std::string> tags, WriteToken token) override;

  Result<ImageRow> get_image(const Context& ctx, CollectionId id, ImageId image) override;
  Result<std::vector<ImageRow>> get_images(const Context& ctx, CollectionId id,
                                           std::span<const ImageId> ids) override;
  Result<ListPage> list_images(const Context& ctx, const ListRequest& request) override;
  Result<ListPage> list_failures(const Context& ctx, CollectionId id, FolderId root,
                                 std::size_t limit, std::string_view cursor) override;
  Result<CollectionCounts> counts(const Context& ctx, CollectionId id) override;
  Result<std::vector<ImageRow>> scan_images(const Context& ctx, CollectionId id, RowState state,
                                            ImageId after, std::size_t limit) override;
  Result<std::vector<ImageId>> scan_image_ids(const Context& ctx, CollectionId id, RowState state,
                                              ImageId after, std::size_t limit) override;
  Result<bool> hash_in_use(const Context& ctx, const ContentHash& hash) override;
  Status raise_next_id(const Context& ctx, ImageId id) override;

  Result<NewJob> create_job(const Context& ctx, JobKind kind, CollectionId id,
                            std::string_view root, const BuildOptions& options) override;
  Result<Job> get_job(const Context& ctx, JobId id) override;
  Result<std::vector<Job>> list_jobs(const Context& ctx, std::size_t limit) override;
  Result<std::vector<Job>> unfinished_jobs(const Context& ctx, CollectionId id) override;
  Result<Job> claim_job(const Context& ctx, JobId id, std::string_view owner,
                        std::int64_t lease_s) override;
  Result<Job> update_job(const Context& ctx, JobId id, std::string_view owner,
                         const JobUpdate& update, std::int64_t lease_s) override;
  Result<Job> set_job_state(const Context& ctx, JobId id, JobState state) override;

  Result<ApiKey> create_key(const Context& ctx, std::string_view name, std::string_view prefix,
                            const ContentHash& hash) override;
  Result<std::vector<ApiKey>> list_keys(const Context& ctx) override;
  Status delete_key(const Context& ctx, std::int64_t id) override;
  Result<ApiKey> use_key(const Context& ctx, const ContentHash& hash) override;

  Result<Health> verify(const Context& ctx) override;

 protected:
  /// The database's own check of its files; findings in words.
  virtual void check_integrity(Connection& c, std::vector<std::string>& findings) = 0;
  [[nodiscard]] Database& database() { return *db_; }

 private:
  std::unique_ptr<Database> db_;
  FolderPaths folders_;

  /// Ready pictures under a root, good for one epoch of one index: counting walks all of them.
  struct RootCount {
    std::int64_t epoch = -1;
    IndexId index = 0;
    std::int64_t pictures = 0;
  };
  std::mutex root_counts_mutex_;
  std::map<std::pair<CollectionId, FolderId>, RootCount> root_counts_;
  /// False when `visit` stopped it.
  Result<bool> visit_folder(const Context& ctx, CollectionId id, FolderId folder,
                            const std::function<bool(KnownFile&&)>& visit);
  std::int64_t pictures_under(Connection& c, const CollectionRecord& collection, FolderId folder);
};

}  // namespace similis::sql
