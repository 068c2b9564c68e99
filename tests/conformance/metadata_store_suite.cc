#include "conformance/metadata_store_suite.h"

#include <algorithm>
#include <set>

namespace similis {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

void MetadataStoreSuite::SetUp() {
  backend_ = GetParam().make();
  collection_ = value_of(store().create_collection(ctx_, "pictures")).id;
  IndexInfo index;
  index.collection = collection_;
  index.model_name = "lite0";
  index.model_version = "1";
  index.identity = "identity-of-lite0";
  index.dimensions = 1280;
  index_ = value_of(store().create_index(ctx_, index)).id;
  folder_ = value_of(store().intern_folder(ctx_, "/pictures"));
}

ContentHash MetadataStoreSuite::hash_of(int content) {
  ContentHash hash{};
  for (std::size_t i = 0; i < hash.size(); ++i) {
    hash[i] = static_cast<std::byte>((static_cast<unsigned>(content) >> (8 * (i % 4))) ^ (i * 37));
  }
  return hash;
}

PictureFacts MetadataStoreSuite::facts_of(int content) {
  PictureFacts facts;
  facts.format = "jpeg";
  facts.content_hash = hash_of(content);
  facts.perceptual_hash = 0xF0F0'0000'0000'0000u + static_cast<unsigned>(content);
  facts.size_bytes = 1000 + content;
  facts.width = 640;
  facts.height = 480;
  facts.thumbnail_type = "image/jpeg";
  return facts;
}

PendingImage MetadataStoreSuite::file(FolderId folder, std::string name, int content,
                                      std::int64_t mtime_s) {
  PendingImage image;
  image.folder = folder;
  image.name = std::move(name);
  image.mtime_ns = mtime_s * 1'000'000'000 + 5;
  image.facts = facts_of(content);
  return image;
}

PendingImage MetadataStoreSuite::upload(std::string name, int content) {
  return file(0, std::move(name), content);
}

ReadyImage MetadataStoreSuite::ready(const PendingImage& pending, std::vector<ClassScore> classes) {
  return {pending.id, pending.mtime_ns, pending.facts, std::move(classes)};
}

ImageId MetadataStoreSuite::add(PendingImage image, std::vector<ClassScore> classes) {
  EXPECT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&image, 1)), IsOk());
  const ReadyImage done = ready(image, std::move(classes));
  EXPECT_THAT(store().mark_ready(ctx_, collection_, index_, std::span(&done, 1), 1), IsOk());
  return image.id;
}

ImageRow MetadataStoreSuite::get(ImageId id) {
  auto rows = value_of(store().get_images(ctx_, collection_, std::span(&id, 1)));
  if (rows.size() != 1) {
    ADD_FAILURE() << "no picture " << id;
    return {};
  }
  return std::move(rows.front());
}

std::int64_t MetadataStoreSuite::epoch() {
  return value_of(store().get_collection(ctx_, collection_)).epoch;
}

WriteToken MetadataStoreSuite::token() {
  return value_of(store().get_collection(ctx_, collection_)).token;
}

std::vector<ImageId> MetadataStoreSuite::list(ListRequest request) {
  request.collection = collection_;
  std::vector<ImageId> ids;
  do {
    const ListPage page = value_of(store().list_images(ctx_, request));
    EXPECT_LE(page.rows.size(), request.limit);
    for (const auto& row : page.rows) ids.push_back(row.id);
    request.cursor = page.next_cursor;
  } while (!request.cursor.empty() && !HasFailure());
  return ids;
}

Job MetadataStoreSuite::make_job(const std::string& root) {
  return value_of(store().create_job(ctx_, JobKind::build, collection_, root, {})).job;
}

Result<Job> MetadataStoreSuite::claim(JobId id, const std::string& owner, std::int64_t lease_s) {
  return store().claim_job(ctx_, id, owner, lease_s);
}

Result<Job> MetadataStoreSuite::report(JobId id, const std::string& owner, JobState state,
                                       int done) {
  JobUpdate update;
  update.state = state;
  update.counters.ready = done;
  update.worked_s = done / 2.0;
  return store().update_job(ctx_, id, owner, update, kLease_s);
}

Result<Job> MetadataStoreSuite::ask(JobId id, JobState state) {
  return store().set_job_state(ctx_, id, state);
}

namespace {

// ---- collections and indexes

TEST_P(MetadataStoreSuite, CollectionsAreFoundByNameAndId) {
  const auto made = value_of(store().create_collection(ctx_, "holidays"));
  EXPECT_GT(made.id, 0);
  EXPECT_EQ(made.name, "holidays");
  EXPECT_EQ(made.uuid.size(), 36u);
  EXPECT_EQ(made.active_index, 0);
  EXPECT_GT(made.created_at, 1'600'000'000);
  EXPECT_EQ(value_of(store().find_collection(ctx_, "holidays")).uuid, made.uuid);
  EXPECT_EQ(value_of(store().get_collection(ctx_, made.id)).name, "holidays");
  const auto all = value_of(store().list_collections(ctx_));
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].name, "holidays");  // by name
  EXPECT_EQ(all[1].name, "pictures");
  EXPECT_NE(all[0].uuid, all[1].uuid);
}

TEST_P(MetadataStoreSuite, CollectionNamesAreChecked) {
  EXPECT_THAT(store().create_collection(ctx_, "pictures"), FailsWith(ErrorCode::already_exists));
  EXPECT_THAT(store().create_collection(ctx_, "Not a name"),
              FailsWith(ErrorCode::invalid_argument));
  const auto unknown = store().find_collection(ctx_, "pictuers");
  ASSERT_THAT(unknown, FailsWith(ErrorCode::not_found));
  EXPECT_THAT(unknown.error().hint, HasSubstr("\"pictures\""));
  const auto far = store().find_collection(ctx_, "zzz");
  ASSERT_THAT(far, FailsWith(ErrorCode::not_found));
  EXPECT_THAT(far.error().hint, HasSubstr("pictures"));
  EXPECT_THAT(store().get_collection(ctx_, 999), FailsWith(ErrorCode::not_found));
}

TEST_P(MetadataStoreSuite, DeletedCollectionsLeaveNothingAndTheirIdsDoNotComeBack) {
  const ImageId image = add(file(folder_, "a.jpg", 1));
  const std::string tags[] = {"x"};
  ASSERT_THAT(store().set_tags(ctx_, collection_, image, tags, 1), IsOk());
  ASSERT_THAT(store().put_root(ctx_, collection_, folder_, {}), IsOk());
  const auto job = value_of(store().create_job(ctx_, JobKind::build, collection_, "/pictures", {}));
  EXPECT_TRUE(value_of(store().hash_in_use(ctx_, hash_of(1))));

  ASSERT_THAT(store().delete_collection(ctx_, collection_), IsOk());
  EXPECT_THAT(store().get_collection(ctx_, collection_), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().get_job(ctx_, job.job.id), FailsWith(ErrorCode::not_found));
  EXPECT_FALSE(value_of(store().hash_in_use(ctx_, hash_of(1))));
  EXPECT_THAT(store().delete_collection(ctx_, collection_), FailsWith(ErrorCode::not_found));

  const CollectionId old_collection = collection_;
  const IndexId old_index = index_;
  collection_ = value_of(store().create_collection(ctx_, "pictures")).id;
  EXPECT_GT(collection_, old_collection);
  IndexInfo index;
  index.collection = collection_;
  index.identity = "i";
  index.dimensions = 4;
  index_ = value_of(store().create_index(ctx_, index)).id;
  EXPECT_GT(index_, old_index);
  EXPECT_GT(add(file(folder_, "a.jpg", 1)), image);
}

TEST_P(MetadataStoreSuite, TheFirstIndexIsActiveOthersAreActivated) {
  auto indexes = value_of(store().list_indexes(ctx_, collection_));
  ASSERT_THAT(indexes, SizeIs(1));
  EXPECT_EQ(indexes[0].state, IndexState::active);
  EXPECT_EQ(indexes[0].model_name, "lite0");
  EXPECT_EQ(indexes[0].identity, "identity-of-lite0");
  EXPECT_EQ(indexes[0].dimensions, 1280);
  EXPECT_EQ(value_of(store().get_collection(ctx_, collection_)).active_index, index_);

  IndexInfo second = indexes[0];
  second.model_name = "lite2";
  second.identity = "identity-of-lite2";
  const auto made = value_of(store().create_index(ctx_, second));
  EXPECT_EQ(made.state, IndexState::building);
  EXPECT_NE(made.id, index_);

  // The collection answers from an index's rows and token.
  PendingImage image = file(folder_, "a.jpg", 1);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&image, 1)), IsOk());
  ReadyImage done = ready(image);
  ASSERT_THAT(store().mark_ready(ctx_, collection_, index_, std::span(&done, 1), 70), IsOk());
  ASSERT_THAT(store().put_pending(ctx_, collection_, made.id, std::span(&image, 1)), IsOk());
  EXPECT_EQ(token(), 70);
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).ready, 1);

  const auto before = epoch();
  ASSERT_THAT(store().activate_index(ctx_, collection_, made.id), IsOk());
  EXPECT_EQ(epoch(), before + 1);
  EXPECT_EQ(token(), 0);
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).ready, 0);
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).pending, 1);
  EXPECT_EQ(get(image.id).state, RowState::pending);
  indexes = value_of(store().list_indexes(ctx_, collection_));
  EXPECT_EQ(indexes[0].state, IndexState::standby);
  EXPECT_EQ(indexes[1].state, IndexState::active);

  // And back.
  ASSERT_THAT(store().activate_index(ctx_, collection_, index_), IsOk());
  EXPECT_EQ(get(image.id).state, RowState::ready);
  EXPECT_EQ(token(), 70);
  ASSERT_THAT(store().set_index_state(ctx_, made.id, IndexState::retired), IsOk());
  EXPECT_THAT(store().activate_index(ctx_, collection_, made.id), FailsWith(ErrorCode::conflict));
  EXPECT_THAT(store().set_index_state(ctx_, index_, IndexState::retired),
              FailsWith(ErrorCode::conflict));
  EXPECT_THAT(store().activate_index(ctx_, collection_, 999), FailsWith(ErrorCode::not_found));
}

// ---- folders and roots

TEST_P(MetadataStoreSuite, FoldersAreInternedBytewise) {
  const std::string odd = "/pictures/caf\xe9/ a\n";  // not UTF-8
  const FolderId id = value_of(store().intern_folder(ctx_, odd));
  EXPECT_EQ(value_of(store().intern_folder(ctx_, odd)), id);
  const std::vector<std::string> several{"/new/one", odd, "/new/two", "/new/one"};
  const auto ids = value_of(store().intern_folders(ctx_, several));
  ASSERT_EQ(ids.size(), 4U);
  EXPECT_EQ(ids[1], id);
  EXPECT_EQ(ids[3], ids[0]);
  EXPECT_EQ(value_of(store().folder_path(ctx_, ids[2])), "/new/two");
  EXPECT_EQ(value_of(store().folder_path(ctx_, id)), odd);
  EXPECT_EQ(value_of(store().find_folder(ctx_, "/pictures/caf\xe9")) != 0, true);
  EXPECT_EQ(value_of(store().find_folder(ctx_, "/nowhere")), 0);
  EXPECT_NE(value_of(store().intern_folder(ctx_, "/Pictures")), folder_);
  const FolderId root = value_of(store().intern_folder(ctx_, "/"));
  EXPECT_EQ(value_of(store().folder_path(ctx_, root)), "/");
  for (const char* bad : {"", "pictures", "/pictures/", "//pictures", "/a/../b", "/a/./b"}) {
    EXPECT_THAT(store().intern_folder(ctx_, bad), FailsWith(ErrorCode::invalid_argument)) << bad;
  }
  EXPECT_THAT(store().folder_path(ctx_, 999'999), FailsWith(ErrorCode::not_found));
}

TEST_P(MetadataStoreSuite, RootsKeepOptionsAndTheLastScan) {
  ASSERT_THAT(store().put_root(ctx_, collection_, folder_, {.hidden = true}), IsOk());
  const FolderId below = value_of(store().intern_folder(ctx_, "/pictures/2024"));
  const FolderId beside = value_of(store().intern_folder(ctx_, "/pictures2"));
  add(file(folder_, "a.jpg", 1));
  add(file(below, "b.jpg", 2));
  add(file(beside, "c.jpg", 3));
  const std::pair<std::string, std::int64_t> skipped[] = {{"svg", 3}, {"no picture", 14}};
  ASSERT_THAT(store().finish_scan(ctx_, collection_, folder_, 1'700'000'100, skipped), IsOk());

  auto roots = value_of(store().list_roots(ctx_, collection_));
  ASSERT_THAT(roots, SizeIs(1));
  EXPECT_EQ(roots[0].path, "/pictures");
  EXPECT_TRUE(roots[0].options.hidden);
  EXPECT_EQ(roots[0].scanned_at, 1'700'000'100);
  EXPECT_EQ(roots[0].pictures, 2);
  EXPECT_THAT(roots[0].skipped, ElementsAre(skipped[0], skipped[1]));

  add(file(below, "d.jpg", 4));
  ASSERT_THAT(store().put_root(ctx_, collection_, folder_, {.watch = true}), IsOk());
  roots = value_of(store().list_roots(ctx_, collection_));
  ASSERT_THAT(roots, SizeIs(1));
  EXPECT_FALSE(roots[0].options.hidden);
  EXPECT_TRUE(roots[0].options.watch);
  EXPECT_EQ(roots[0].pictures, 3);
  EXPECT_EQ(roots[0].scanned_at, 1'700'000'100);
  EXPECT_THAT(store().finish_scan(ctx_, collection_, beside, 1, {}),
              FailsWith(ErrorCode::not_found));
}

// ---- a picture's life

TEST_P(MetadataStoreSuite, AFileIsPendingThenReady) {
  PendingImage image = file(folder_, "caf\xe9.jpg", 1);
  image.facts.taken_at = 1'600'000'000;
  image.facts.camera = "Canon EOS";
  image.facts.gps = GpsPosition{48.25, -16.5};
  const auto before = epoch();
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&image, 1)), IsOk());
  EXPECT_GT(image.id, 0);
  EXPECT_FALSE(image.existed);
  EXPECT_FALSE(image.was_ready);
  EXPECT_EQ(epoch(), before);  // nothing a search can see
  EXPECT_EQ(get(image.id).state, RowState::pending);
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).pending, 1);
  EXPECT_THAT(list({}), IsEmpty());

  const std::vector<ClassScore> classes = {{281, "tabby\ncat", 0.625F}, {2, "", 0.1F}};
  const ReadyImage done = ready(image, classes);
  ASSERT_THAT(store().mark_ready(ctx_, collection_, index_, std::span(&done, 1), 7), IsOk());
  EXPECT_EQ(epoch(), before + 1);
  EXPECT_EQ(token(), 7);
  reopen();
  const ImageRow row = get(image.id);
  EXPECT_EQ(row.state, RowState::ready);
  EXPECT_EQ(row.collection, collection_);
  EXPECT_EQ(row.folder, folder_);
  EXPECT_EQ(row.folder_path, "/pictures");
  EXPECT_EQ(row.name, "caf\xe9.jpg");
  EXPECT_EQ(row.path(), "/pictures/caf\xe9.jpg");
  EXPECT_EQ(row.mtime_ns, image.mtime_ns);
  EXPECT_EQ(row.facts.format, "jpeg");
  EXPECT_EQ(row.facts.content_hash, hash_of(1));
  EXPECT_EQ(row.facts.perceptual_hash, image.facts.perceptual_hash);
  EXPECT_EQ(row.facts.size_bytes, 1001);
  EXPECT_EQ(row.facts.width, 640);
  EXPECT_EQ(row.facts.height, 480);
  EXPECT_EQ(row.facts.taken_at, 1'600'000'000);
  EXPECT_EQ(row.facts.camera, "Canon EOS");
  EXPECT_EQ(row.facts.gps, image.facts.gps);
  EXPECT_EQ(row.facts.thumbnail_type, "image/jpeg");
  EXPECT_EQ(row.classes, classes);
  EXPECT_GT(row.added_at, 1'600'000'000);
  EXPECT_THAT(row.tags, IsEmpty());
}

TEST_P(MetadataStoreSuite, TokensOnlyRise) {
  const ImageId id = add(file(folder_, "a.jpg", 1));
  const std::string tags[] = {"x"};
  ASSERT_THAT(store().set_tags(ctx_, collection_, id, tags, 90), IsOk());
  EXPECT_EQ(token(), 90);
  ASSERT_THAT(store().set_tags(ctx_, collection_, id, tags, 50), IsOk());
  EXPECT_EQ(token(), 90);
}

TEST_P(MetadataStoreSuite, TheSamePlaceIsTheSameRow) {
  PendingImage batch[] = {file(folder_, "a.jpg", 1), file(folder_, "b.jpg", 1),
                          file(folder_, "a.jpg", 1)};
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, batch), IsOk());
  EXPECT_NE(batch[0].id, batch[1].id);
  EXPECT_EQ(batch[0].id, batch[2].id);
  EXPECT_FALSE(batch[0].existed);
  EXPECT_TRUE(batch[2].existed);
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).pending, 2);
}

TEST_P(MetadataStoreSuite, ARepeatedUploadIsTheSameRow) {
  const ImageId id = add(upload("cat.jpg", 1));
  PendingImage again = upload("other name.jpg", 1);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&again, 1)), IsOk());
  EXPECT_EQ(again.id, id);
  EXPECT_TRUE(again.existed);
  EXPECT_TRUE(again.was_ready);
  EXPECT_EQ(get(id).name, "cat.jpg");
  EXPECT_EQ(get(id).folder, 0);
  EXPECT_EQ(get(id).path(), "cat.jpg");
  // A file of the same bytes, and the same name uploaded with other bytes, are other pictures.
  EXPECT_NE(add(file(folder_, "cat.jpg", 1)), id);
  EXPECT_NE(add(upload("cat.jpg", 2)), id);
}

TEST_P(MetadataStoreSuite, AChangedFileKeepsIdTagsAndItsOldAnswerUntilReady) {
  const ImageId id = add(file(folder_, "a.jpg", 1), {{1, "cat", 0.9F}});
  const std::string tags[] = {"mine"};
  ASSERT_THAT(store().set_tags(ctx_, collection_, id, tags, 1), IsOk());

  PendingImage changed = file(folder_, "a.jpg", 2, 1'700'000'500);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&changed, 1)), IsOk());
  EXPECT_EQ(changed.id, id);
  EXPECT_TRUE(changed.existed);
  EXPECT_FALSE(changed.was_ready);
  EXPECT_EQ(get(id).state, RowState::ready);
  EXPECT_EQ(get(id).facts.content_hash, hash_of(1));
  EXPECT_THAT(list({}), ElementsAre(id));
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).ready, 1);

  // While it is being replaced it leaves a trace, and nobody borrows its vector.
  const auto pending = value_of(store().scan_images(ctx_, collection_, RowState::pending, 0, 10));
  ASSERT_THAT(pending, SizeIs(1));
  EXPECT_EQ(pending[0].id, id);
  EXPECT_THAT(value_of(store().find_by_hash(ctx_, collection_, hash_of(1), 10)), IsEmpty());
  const auto known = value_of(store().files_in_folder(ctx_, collection_, folder_));
  ASSERT_THAT(known, SizeIs(1));
  EXPECT_EQ(known[0].state, RowState::pending);
  // Back to the old bytes: the vector may be the new one's already, so it has to be done again.
  PendingImage back = file(folder_, "a.jpg", 1);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&back, 1)), IsOk());
  EXPECT_FALSE(back.was_ready);

  const ReadyImage done = ready(changed, {{2, "dog", 0.8F}});
  ASSERT_THAT(store().mark_ready(ctx_, collection_, index_, std::span(&done, 1), 2), IsOk());
  const ImageRow row = get(id);
  EXPECT_EQ(row.facts.content_hash, hash_of(2));
  EXPECT_EQ(row.mtime_ns, changed.mtime_ns);
  EXPECT_EQ(row.classes.at(0).name, "dog");
  EXPECT_THAT(row.tags, ElementsAre("mine"));
  EXPECT_THAT(value_of(store().scan_images(ctx_, collection_, RowState::pending, 0, 10)),
              IsEmpty());
  EXPECT_THAT(value_of(store().find_by_hash(ctx_, collection_, hash_of(2), 10)), SizeIs(1));
  EXPECT_FALSE(value_of(store().hash_in_use(ctx_, hash_of(1))));
}

TEST_P(MetadataStoreSuite, AFileFailsWithItsReason) {
  FailedImage failed;
  failed.folder = folder_;
  failed.name = "broken.jpg";
  failed.size_bytes = 12;
  failed.mtime_ns = 34;
  failed.error = Error(ErrorCode::unreadable_media, "the picture ends early", "Copy it again.");
  const auto before = epoch();
  const auto ids =
      value_of(store().mark_failed(ctx_, collection_, index_, std::span(&failed, 1), 0));
  ASSERT_THAT(ids, SizeIs(1));
  EXPECT_EQ(epoch(), before);  // no search saw it
  ImageRow row = get(ids[0]);
  EXPECT_EQ(row.state, RowState::failed);
  EXPECT_EQ(row.error_code, "unreadable_media");
  EXPECT_EQ(row.error, "the picture ends early");
  EXPECT_EQ(row.error_hint, "Copy it again.");
  EXPECT_EQ(row.attempts, 1);
  EXPECT_EQ(row.facts.size_bytes, 12);
  EXPECT_EQ(row.mtime_ns, 34);
  EXPECT_EQ(row.facts.content_hash, ContentHash{});
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).failed, 1);

  failed.id = ids[0];
  EXPECT_THAT(value_of(store().mark_failed(ctx_, collection_, index_, std::span(&failed, 1), 0)),
              ElementsAre(ids[0]));
  EXPECT_EQ(get(ids[0]).attempts, 2);

  // Repaired: the same row comes to life.
  PendingImage repaired = file(folder_, "broken.jpg", 5);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&repaired, 1)), IsOk());
  EXPECT_EQ(repaired.id, ids[0]);
  EXPECT_EQ(get(ids[0]).state, RowState::pending);
  const ReadyImage done = ready(repaired);
  ASSERT_THAT(store().mark_ready(ctx_, collection_, index_, std::span(&done, 1), 1), IsOk());
  row = get(ids[0]);
  EXPECT_EQ(row.state, RowState::ready);
  EXPECT_EQ(row.error, "");
  EXPECT_EQ(row.attempts, 0);
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).failed, 0);
}

TEST_P(MetadataStoreSuite, AReadyFileThatBreaksFails) {
  const ImageId id = add(file(folder_, "a.jpg", 1), {{1, "cat", 0.9F}});
  const auto before = epoch();
  FailedImage failed{id, folder_, "a.jpg", 3, 4, Error(ErrorCode::unreadable_media, "broken")};
  ASSERT_THAT(store().mark_failed(ctx_, collection_, index_, std::span(&failed, 1), 9), IsOk());
  EXPECT_EQ(epoch(), before + 1);
  EXPECT_EQ(token(), 9);
  EXPECT_EQ(get(id).state, RowState::failed);
  EXPECT_THAT(get(id).classes, IsEmpty());
  EXPECT_THAT(list({}), IsEmpty());
  EXPECT_FALSE(value_of(store().hash_in_use(ctx_, hash_of(1))));
}

TEST_P(MetadataStoreSuite, AFailedUploadKeepsItsBytes) {
  PendingImage image = upload("a.jpg", 1);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&image, 1)), IsOk());
  FailedImage failed{image.id, 0, "a.jpg", 1001, 0, Error(ErrorCode::internal, "no memory")};
  ASSERT_THAT(store().mark_failed(ctx_, collection_, index_, std::span(&failed, 1), 0), IsOk());
  EXPECT_TRUE(value_of(store().hash_in_use(ctx_, hash_of(1))));
  PendingImage again = upload("a.jpg", 1);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&again, 1)), IsOk());
  EXPECT_EQ(again.id, image.id);
  // An upload without a row cannot fail.
  failed.id = 0;
  EXPECT_THAT(store().mark_failed(ctx_, collection_, index_, std::span(&failed, 1), 0),
              FailsWith(ErrorCode::invalid_argument));
}

TEST_P(MetadataStoreSuite, MovedFilesKeepIdsAndTags) {
  const FolderId other = value_of(store().intern_folder(ctx_, "/pictures/2024"));
  const ImageId a = add(file(folder_, "a.jpg", 1));
  const ImageId b = add(file(folder_, "b.jpg", 2));
  const std::string tags[] = {"kept"};
  ASSERT_THAT(store().set_tags(ctx_, collection_, a, tags, 1), IsOk());
  const auto before = epoch();
  const MovedImage away[] = {{a, other, "c.jpg", 77}};
  ASSERT_THAT(store().move_images(ctx_, collection_, away, 5), IsOk());
  EXPECT_EQ(epoch(), before + 1);
  EXPECT_EQ(token(), 5);
  EXPECT_EQ(get(a).path(), "/pictures/2024/c.jpg");
  EXPECT_EQ(get(a).mtime_ns, 77);
  EXPECT_THAT(get(a).tags, ElementsAre("kept"));
  EXPECT_EQ(get(a).state, RowState::ready);

  const MovedImage trade[] = {{a, folder_, "b.jpg", 1}, {b, other, "c.jpg", 2}};
  ASSERT_THAT(store().move_images(ctx_, collection_, trade, 6), IsOk());
  EXPECT_EQ(get(a).path(), "/pictures/b.jpg");
  EXPECT_EQ(get(b).path(), "/pictures/2024/c.jpg");

  const MovedImage onto[] = {{a, other, "c.jpg", 1}};
  EXPECT_THAT(store().move_images(ctx_, collection_, onto, 7), FailsWith(ErrorCode::conflict));
  EXPECT_EQ(get(a).path(), "/pictures/b.jpg");  // nothing of a failed batch stays
  EXPECT_EQ(token(), 6);
}

TEST_P(MetadataStoreSuite, TouchedFilesChangeTimeAndDateOnly) {
  const ImageId plain = add(file(folder_, "a.jpg", 1));
  PendingImage dated_image = file(folder_, "b.jpg", 2);
  dated_image.facts.taken_at = 1'500'000'000;
  const ImageId dated = add(dated_image);
  auto before = epoch();
  const TouchedImage touched_dated[] = {{dated, 1'750'000'000'000'000'000}};
  ASSERT_THAT(store().touch_images(ctx_, collection_, touched_dated, 0), IsOk());
  EXPECT_EQ(get(dated).mtime_ns, 1'750'000'000'000'000'000);
  EXPECT_EQ(epoch(), before);  // its date is its EXIF date
  const TouchedImage touched_plain[] = {{plain, 1'750'000'000'000'000'000}};
  ASSERT_THAT(store().touch_images(ctx_, collection_, touched_plain, 8), IsOk());
  EXPECT_EQ(epoch(), before + 1);
  EXPECT_EQ(token(), 8);
  EXPECT_THAT(list({}), ElementsAre(plain, dated));
}

TEST_P(MetadataStoreSuite, RemovalHidesThenForgets) {
  const ImageId a = add(file(folder_, "a.jpg", 1));
  const ImageId b = add(file(folder_, "b.jpg", 1));  // the same bytes
  const ImageId c = add(upload("c.jpg", 2));
  const ImageId gone[] = {a, c, 12345};
  auto before = epoch();
  ASSERT_THAT(store().begin_removal(ctx_, collection_, gone), IsOk());
  EXPECT_EQ(epoch(), before + 1);
  ASSERT_THAT(store().begin_removal(ctx_, collection_, gone), IsOk());
  EXPECT_EQ(epoch(), before + 1);  // repeating changes nothing
  EXPECT_EQ(get(a).state, RowState::removing);
  EXPECT_THAT(list({}), ElementsAre(b));
  EXPECT_THAT(value_of(store().files_in_folder(ctx_, collection_, folder_)), SizeIs(1));
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).removing, 2);
  const auto left = value_of(store().scan_images(ctx_, collection_, RowState::removing, 0, 10));
  ASSERT_THAT(left, SizeIs(2));
  EXPECT_EQ(left[0].id, a);
  EXPECT_TRUE(value_of(store().hash_in_use(ctx_, hash_of(2))));

  // Its place is free: what comes there is a new picture.
  PendingImage again[] = {file(folder_, "a.jpg", 1), upload("c.jpg", 2)};
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, again), IsOk());
  EXPECT_GT(again[0].id, c);
  EXPECT_GT(again[1].id, c);
  EXPECT_FALSE(again[0].existed);
  const ImageId undone[] = {again[1].id};
  ASSERT_THAT(store().begin_removal(ctx_, collection_, undone), IsOk());

  before = epoch();
  EXPECT_THAT(value_of(store().finish_removal(ctx_, collection_, std::vector{a, c, b}, 9)),
              IsEmpty());  // rows that hold the bytes are left; b is not being removed
  EXPECT_EQ(epoch(), before + 1);
  EXPECT_EQ(token(), 9);
  EXPECT_THAT(value_of(store().get_images(ctx_, collection_, std::vector{a, c})), IsEmpty());
  EXPECT_EQ(get(b).state, RowState::ready);
  EXPECT_THAT(value_of(store().finish_removal(ctx_, collection_, undone, 10)),
              ElementsAre(hash_of(2)));
  EXPECT_EQ(value_of(store().counts(ctx_, collection_)).removing, 0);
  // Late news of a picture that went is no news.
  const ReadyImage late{a, 1, facts_of(1), {}};
  EXPECT_THAT(store().mark_ready(ctx_, collection_, index_, std::span(&late, 1), 11), IsOk());
  EXPECT_THAT(value_of(store().get_images(ctx_, collection_, std::vector{a})), IsEmpty());
}

TEST_P(MetadataStoreSuite, TagsAreSortedUniqueAndReplaced) {
  const ImageId id = add(file(folder_, "a.jpg", 1));
  const auto before = epoch();
  const std::string tags[] = {"zebra", "Ant", "zebra", "\xff"};
  ASSERT_THAT(store().set_tags(ctx_, collection_, id, tags, 3), IsOk());
  EXPECT_EQ(epoch(), before + 1);
  EXPECT_THAT(get(id).tags, ElementsAre("Ant", "zebra", "\xff"));
  ASSERT_THAT(store().set_tags(ctx_, collection_, id, {}, 4), IsOk());
  EXPECT_THAT(get(id).tags, IsEmpty());
  EXPECT_THAT(store().set_tags(ctx_, collection_, 999, tags, 5), FailsWith(ErrorCode::not_found));
  const std::string empty[] = {""};
  EXPECT_THAT(store().set_tags(ctx_, collection_, id, empty, 5),
              FailsWith(ErrorCode::invalid_argument));
}

TEST_P(MetadataStoreSuite, IdsAreNeverUsedTwice) {
  const ImageId first = add(file(folder_, "a.jpg", 1));
  ASSERT_THAT(store().begin_removal(ctx_, collection_, std::span(&first, 1)), IsOk());
  ASSERT_THAT(store().finish_removal(ctx_, collection_, std::span(&first, 1), 1), IsOk());
  reopen();
  const ImageId second = add(file(folder_, "a.jpg", 1));
  EXPECT_GT(second, first);
  ASSERT_THAT(store().raise_next_id(ctx_, 5000), IsOk());
  EXPECT_EQ(add(file(folder_, "b.jpg", 2)), 5001);
  ASSERT_THAT(store().raise_next_id(ctx_, 100), IsOk());  // never lowered
  EXPECT_EQ(add(file(folder_, "c.jpg", 3)), 5002);
  EXPECT_THAT(store().raise_next_id(ctx_, kIdMax), FailsWith(ErrorCode::invalid_argument));
}

TEST_P(MetadataStoreSuite, TwoIndexesKeepTheirStatesApart) {
  IndexInfo info;
  info.collection = collection_;
  info.identity = "second";
  info.dimensions = 8;
  const IndexId second = value_of(store().create_index(ctx_, info)).id;
  const ImageId id = add(file(folder_, "a.jpg", 1));
  PendingImage image = file(folder_, "a.jpg", 1);
  image.id = id;
  ASSERT_THAT(store().put_pending(ctx_, collection_, second, std::span(&image, 1)), IsOk());
  EXPECT_TRUE(image.existed);
  EXPECT_FALSE(image.was_ready);
  EXPECT_EQ(get(id).state, RowState::ready);  // in the active index

  // New bytes come to the first index: the second one's vector is of the old ones.
  ReadyImage done = ready(image);
  ASSERT_THAT(store().mark_ready(ctx_, collection_, second, std::span(&done, 1), 3), IsOk());
  PendingImage changed = file(folder_, "a.jpg", 2);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&changed, 1)), IsOk());
  done = ready(changed);
  ASSERT_THAT(store().mark_ready(ctx_, collection_, index_, std::span(&done, 1), 4), IsOk());
  ASSERT_THAT(store().put_pending(ctx_, collection_, second, std::span(&changed, 1)), IsOk());
  EXPECT_FALSE(changed.was_ready);
  // Removal takes it from both.
  ASSERT_THAT(store().begin_removal(ctx_, collection_, std::span(&id, 1)), IsOk());
  ASSERT_THAT(store().finish_removal(ctx_, collection_, std::span(&id, 1), 5), IsOk());
  ASSERT_THAT(store().activate_index(ctx_, collection_, second), IsOk());
  const auto counts = value_of(store().counts(ctx_, collection_));
  EXPECT_EQ(counts.ready + counts.pending + counts.failed + counts.removing, 0);
}

TEST_P(MetadataStoreSuite, UnknownCollectionsAndIndexesAreRefused) {
  PendingImage image = file(folder_, "a.jpg", 1);
  EXPECT_THAT(store().put_pending(ctx_, 999, index_, std::span(&image, 1)),
              FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().put_pending(ctx_, collection_, 999, std::span(&image, 1)),
              FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().counts(ctx_, 999), FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().get_images(ctx_, 999, {}), FailsWith(ErrorCode::not_found));
  ListRequest request;
  request.collection = 999;
  EXPECT_THAT(store().list_images(ctx_, request), FailsWith(ErrorCode::not_found));
}

TEST_P(MetadataStoreSuite, CancelledAndLateCallsDoNothing) {
  const auto stop = std::make_unique<std::stop_source>();
  stop->request_stop();
  Context cancelled;
  cancelled.cancel = stop->get_token();
  EXPECT_THAT(store().create_collection(cancelled, "a"), FailsWith(ErrorCode::cancelled));
  const Context late = ctx_.with_timeout(-std::chrono::seconds(1));
  EXPECT_THAT(store().create_collection(late, "a"), FailsWith(ErrorCode::deadline_exceeded));
  EXPECT_THAT(value_of(store().list_collections(ctx_)), SizeIs(1));
}

// ---- health

TEST_P(MetadataStoreSuite, ASoundStoreVerifies) {
  add(file(folder_, "a.jpg", 1), {{1, "cat", 0.9F}});
  add(upload("b.jpg", 2));
  const auto health = value_of(store().verify(ctx_));
  EXPECT_TRUE(health.ok);
  EXPECT_THAT(health.findings, IsEmpty());
  EXPECT_GT(value_of(store().bytes_on_disk(ctx_)), 0);
}

}  // namespace
}  // namespace similis
