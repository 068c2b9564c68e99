#pragma once

#include <string>
#include <utility>
#include <vector>

#include "services/fakes.h"
#include "stores/metadata/metadata_store.h"

namespace similis {

/// A metadata store whose calls fail when asked to.
class FaultyMetadata final : public MetadataStore {
 public:
  FaultyMetadata(MetadataStore& real, const Faults& faults) : real_(real), faults_(faults) {}

  Result<Collection> create_collection(const Context& ctx, std::string_view name) override {
    TRY(faults_.ask_before("metadata.create_collection"));
    auto out = real_.create_collection(ctx, name);
    if (out.ok()) TRY(faults_.ask_after("metadata.create_collection"));
    return out;
  }
  Result<std::vector<Collection>> list_collections(const Context& ctx) override {
    return real_.list_collections(ctx);
  }
  Result<Collection> find_collection(const Context& ctx, std::string_view name) override {
    return real_.find_collection(ctx, name);
  }
  Result<Collection> get_collection(const Context& ctx, CollectionId id) override {
    return real_.get_collection(ctx, id);
  }
  Status delete_collection(const Context& ctx, CollectionId id) override {
    return real_.delete_collection(ctx, id);
  }
  Result<IndexInfo> create_index(const Context& ctx, const IndexInfo& index) override {
    TRY(faults_.ask_before("metadata.create_index"));
    auto out = real_.create_index(ctx, index);
    if (out.ok()) TRY(faults_.ask_after("metadata.create_index"));
    return out;
  }
  Result<std::vector<IndexInfo>> list_indexes(const Context& ctx, CollectionId id) override {
    return real_.list_indexes(ctx, id);
  }
  Status activate_index(const Context& ctx, CollectionId id, IndexId index) override {
    return real_.activate_index(ctx, id, index);
  }
  Status set_index_state(const Context& ctx, IndexId index, IndexState state) override {
    return real_.set_index_state(ctx, index, state);
  }
  Result<std::vector<FolderId>> intern_folders(
      const Context& ctx, std::span<const std::string> absolute_paths) override {
    TRY(faults_.ask_before("metadata.intern_folders"));
    auto out = real_.intern_folders(ctx, absolute_paths);
    if (out.ok()) TRY(faults_.ask_after("metadata.intern_folders"));
    return out;
  }
  Result<FolderId> intern_folder(const Context& ctx, std::string_view absolute_path) override {
    TRY(faults_.ask_before("metadata.intern_folder"));
    auto out = real_.intern_folder(ctx, absolute_path);
    if (out.ok()) TRY(faults_.ask_after("metadata.intern_folder"));
    return out;
  }
  Result<FolderId> find_folder(const Context& ctx, std::string_view absolute_path) override {
    return real_.find_folder(ctx, absolute_path);
  }
  Result<std::string> folder_path(const Context& ctx, FolderId folder) override {
    return real_.folder_path(ctx, folder);
  }
  Status put_root(const Context& ctx, CollectionId id, FolderId folder,
                  const BuildOptions& options) override {
    TRY(faults_.ask_before("metadata.put_root"));
    auto out = real_.put_root(ctx, id, folder, options);
    if (out.ok()) TRY(faults_.ask_after("metadata.put_root"));
    return out;
  }
  Result<std::vector<Root>> list_roots(const Context& ctx, CollectionId id) override {
    return real_.list_roots(ctx, id);
  }
  Status finish_scan(const Context& ctx, CollectionId id, FolderId folder, UnixSeconds at,
                     std::span<const std::pair<std::string, std::int64_t>> skipped) override {
    TRY(faults_.ask_before("metadata.finish_scan"));
    auto out = real_.finish_scan(ctx, id, folder, at, skipped);
    if (out.ok()) TRY(faults_.ask_after("metadata.finish_scan"));
    return out;
  }
  Result<std::vector<KnownFile>> files_in_folder(const Context& ctx, CollectionId id,
                                                 FolderId folder) override {
    TRY(faults_.ask_before("metadata.files_in_folder"));
    auto out = real_.files_in_folder(ctx, id, folder);
    if (out.ok()) TRY(faults_.ask_after("metadata.files_in_folder"));
    return out;
  }
  Status for_each_file_under(
      const Context& ctx, CollectionId id, FolderId root,
      const std::function<bool(FolderId, const KnownFile&)>& visit) override {
    return real_.for_each_file_under(ctx, id, root, visit);
  }
  Result<std::vector<ImageRow>> find_by_hash(const Context& ctx, CollectionId id,
                                             const ContentHash& hash, std::size_t limit) override {
    TRY(faults_.ask_before("metadata.find_by_hash"));
    auto out = real_.find_by_hash(ctx, id, hash, limit);
    if (out.ok()) TRY(faults_.ask_after("metadata.find_by_hash"));
    return out;
  }
  Status put_pending(const Context& ctx, CollectionId id, IndexId index,
                     std::span<PendingImage> batch) override {
    TRY(faults_.ask_before("metadata.put_pending"));
    auto out = real_.put_pending(ctx, id, index, batch);
    if (out.ok()) TRY(faults_.ask_after("metadata.put_pending"));
    return out;
  }
  Status mark_ready(const Context& ctx, CollectionId id, IndexId index,
                    std::span<const ReadyImage> batch, WriteToken token) override {
    TRY(faults_.ask_before("metadata.mark_ready"));
    auto out = real_.mark_ready(ctx, id, index, batch, token);
    if (out.ok()) TRY(faults_.ask_after("metadata.mark_ready"));
    return out;
  }
  Result<std::vector<ImageId>> mark_failed(const Context& ctx, CollectionId id, IndexId index,
                                           std::span<const FailedImage> batch,
                                           WriteToken token) override {
    TRY(faults_.ask_before("metadata.mark_failed"));
    auto out = real_.mark_failed(ctx, id, index, batch, token);
    if (out.ok()) TRY(faults_.ask_after("metadata.mark_failed"));
    return out;
  }
  Status move_images(const Context& ctx, CollectionId id, std::span<const MovedImage> batch,
                     WriteToken token) override {
    TRY(faults_.ask_before("metadata.move_images"));
    auto out = real_.move_images(ctx, id, batch, token);
    if (out.ok()) TRY(faults_.ask_after("metadata.move_images"));
    return out;
  }
  Status touch_images(const Context& ctx, CollectionId id, std::span<const TouchedImage> batch,
                      WriteToken token) override {
    TRY(faults_.ask_before("metadata.touch_images"));
    auto out = real_.touch_images(ctx, id, batch, token);
    if (out.ok()) TRY(faults_.ask_after("metadata.touch_images"));
    return out;
  }
  Status begin_removal(const Context& ctx, CollectionId id, std::span<const ImageId> ids) override {
    TRY(faults_.ask_before("metadata.begin_removal"));
    auto out = real_.begin_removal(ctx, id, ids);
    if (out.ok()) TRY(faults_.ask_after("metadata.begin_removal"));
    return out;
  }
  Result<std::vector<ContentHash>> finish_removal(const Context& ctx, CollectionId id,
                                                  std::span<const ImageId> ids,
                                                  WriteToken token) override {
    TRY(faults_.ask_before("metadata.finish_removal"));
    auto out = real_.finish_removal(ctx, id, ids, token);
    if (out.ok()) TRY(faults_.ask_after("metadata.finish_removal"));
    return out;
  }
  Status set_tags(const Context& ctx, CollectionId id, ImageId image,
                  std::span<const std::string> tags, WriteToken token) override {
    TRY(faults_.ask_before("metadata.set_tags"));
    auto out = real_.set_tags(ctx, id, image, tags, token);
    if (out.ok()) TRY(faults_.ask_after("metadata.set_tags"));
    return out;
  }
  Status reset_token(const Context& ctx, CollectionId id, IndexId index,
                     WriteToken token) override {
    return real_.reset_token(ctx, id, index, token);
  }
  Result<ImageRow> get_image(const Context& ctx, CollectionId id, ImageId image) override {
    return real_.get_image(ctx, id, image);
  }
  Result<std::vector<ImageId>> scan_image_ids(const Context& ctx, CollectionId id, RowState state,
                                              ImageId after, std::size_t limit) override {
    return real_.scan_image_ids(ctx, id, state, after, limit);
  }
  Result<std::vector<Job>> unfinished_jobs(const Context& ctx, CollectionId id) override {
    return real_.unfinished_jobs(ctx, id);
  }
  Result<std::vector<ImageRow>> get_images(const Context& ctx, CollectionId id,
                                           std::span<const ImageId> ids) override {
    return real_.get_images(ctx, id, ids);
  }
  Result<ListPage> list_images(const Context& ctx, const ListRequest& request) override {
    return real_.list_images(ctx, request);
  }
  Result<ListPage> list_failures(const Context& ctx, CollectionId id, FolderId root,
                                 std::size_t limit, std::string_view cursor) override {
    return real_.list_failures(ctx, id, root, limit, cursor);
  }
  Result<CollectionCounts> counts(const Context& ctx, CollectionId id) override {
    return real_.counts(ctx, id);
  }
  Result<std::vector<ImageRow>> scan_images(const Context& ctx, CollectionId id, RowState state,
                                            ImageId after, std::size_t limit) override {
    return real_.scan_images(ctx, id, state, after, limit);
  }
  Result<bool> hash_in_use(const Context& ctx, const ContentHash& hash) override {
    return real_.hash_in_use(ctx, hash);
  }
  Status raise_next_id(const Context& ctx, ImageId id) override {
    TRY(faults_.ask_before("metadata.raise_next_id"));
    auto out = real_.raise_next_id(ctx, id);
    if (out.ok()) TRY(faults_.ask_after("metadata.raise_next_id"));
    return out;
  }
  Result<NewJob> create_job(const Context& ctx, JobKind kind, CollectionId id,
                            std::string_view root, const BuildOptions& options) override {
    TRY(faults_.ask_before("metadata.create_job"));
    auto out = real_.create_job(ctx, kind, id, root, options);
    if (out.ok()) TRY(faults_.ask_after("metadata.create_job"));
    return out;
  }
  Result<Job> get_job(const Context& ctx, JobId id) override { return real_.get_job(ctx, id); }
  Result<std::vector<Job>> list_jobs(const Context& ctx, std::size_t limit) override {
    return real_.list_jobs(ctx, limit);
  }
  Result<Job> claim_job(const Context& ctx, JobId id, std::string_view owner,
                        std::int64_t lease_s) override {
    TRY(faults_.ask_before("metadata.claim_job"));
    auto out = real_.claim_job(ctx, id, owner, lease_s);
    if (out.ok()) TRY(faults_.ask_after("metadata.claim_job"));
    return out;
  }
  Result<Job> update_job(const Context& ctx, JobId id, std::string_view owner,
                         const JobUpdate& update, std::int64_t lease_s) override {
    TRY(faults_.ask_before("metadata.update_job"));
    auto out = real_.update_job(ctx, id, owner, update, lease_s);
    if (out.ok()) TRY(faults_.ask_after("metadata.update_job"));
    return out;
  }
  Result<Job> set_job_state(const Context& ctx, JobId id, JobState state) override {
    TRY(faults_.ask_before("metadata.set_job_state"));
    auto out = real_.set_job_state(ctx, id, state);
    if (out.ok()) TRY(faults_.ask_after("metadata.set_job_state"));
    return out;
  }
  Result<ApiKey> create_key(const Context& ctx, std::string_view name, std::string_view prefix,
                            const ContentHash& hash) override {
    return real_.create_key(ctx, name, prefix, hash);
  }
  Result<std::vector<ApiKey>> list_keys(const Context& ctx) override {
    return real_.list_keys(ctx);
  }
  Status delete_key(const Context& ctx, std::int64_t id) override {
    return real_.delete_key(ctx, id);
  }
  Result<ApiKey> use_key(const Context& ctx, const ContentHash& hash) override {
    return real_.use_key(ctx, hash);
  }
  Result<Health> verify(const Context& ctx) override { return real_.verify(ctx); }
  Result<std::int64_t> bytes_on_disk(const Context& ctx) override {
    return real_.bytes_on_disk(ctx);
  }

 private:
  MetadataStore& real_;
  const Faults& faults_;
};

}  // namespace similis
