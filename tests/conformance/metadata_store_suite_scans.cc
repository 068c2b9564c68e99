#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "conformance/metadata_store_suite.h"

// Scanning and listing.
namespace similis {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_P(MetadataStoreSuite, FilesOfAFolderComeByNameWithWhatAScanCompares) {
  const FolderId below = value_of(store().intern_folder(ctx_, "/pictures/below"));
  const ImageId b = add(file(folder_, "b.jpg", 2, 1'600'000'000));
  const ImageId upper = add(file(folder_, "A.jpg", 1));
  const ImageId high = add(file(folder_, "\xff.jpg", 3));
  add(file(below, "a.jpg", 4));
  add(upload("b.jpg", 5));
  PendingImage pending = file(folder_, "a.jpg", 6);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&pending, 1)), IsOk());

  const auto files = value_of(store().files_in_folder(ctx_, collection_, folder_));
  ASSERT_THAT(files, SizeIs(4));
  EXPECT_EQ(files[0].id, upper);  // bytewise
  EXPECT_EQ(files[1].id, pending.id);
  EXPECT_EQ(files[1].state, RowState::pending);
  EXPECT_EQ(files[2].id, b);
  EXPECT_EQ(files[2].name, "b.jpg");
  EXPECT_EQ(files[2].size_bytes, 1002);
  EXPECT_EQ(files[2].mtime_ns, 1'600'000'000'000'000'005);
  EXPECT_EQ(files[2].content_hash, hash_of(2));
  EXPECT_EQ(files[2].state, RowState::ready);
  EXPECT_EQ(files[3].id, high);
  EXPECT_THAT(value_of(store().files_in_folder(ctx_, collection_,
                                               value_of(store().intern_folder(ctx_, "/empty")))),
              IsEmpty());
}

TEST_P(MetadataStoreSuite, AFolderOfManyFilesComesWholeAndInOrder) {
  constexpr int kFiles = 4500;  // more than any chunk an implementation reads
  std::vector<PendingImage> batch;
  for (int i = 0; i < kFiles; ++i) {
    batch.push_back(file(folder_, std::to_string((i * 7919) % kFiles), i));
  }
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, batch), IsOk());
  const auto files = value_of(store().files_in_folder(ctx_, collection_, folder_));
  EXPECT_THAT(files, SizeIs(kFiles));
  EXPECT_TRUE(std::is_sorted(files.begin(), files.end(),
                             [](const auto& x, const auto& y) { return x.name < y.name; }));
}

TEST_P(MetadataStoreSuite, VisitsWhatLiesUnderARootAndNothingBeside) {
  std::map<std::string, ImageId> added;
  int content = 0;
  for (const char* path : {"/pictures", "/pictures/a", "/pictures/a/b", "/pictures2", "/pictures 2",
                           "/pictures!", "/pic"}) {
    const FolderId id = value_of(store().intern_folder(ctx_, path));
    added[path] = add(file(id, "x.jpg", ++content));
  }
  std::set<ImageId> seen;
  ASSERT_THAT(store().for_each_file_under(ctx_, collection_, folder_,
                                          [&](FolderId folder, const KnownFile& known) {
                                            EXPECT_GT(folder, 0);
                                            EXPECT_EQ(known.name, "x.jpg");
                                            // The visitor may call the store.
                                            EXPECT_THAT(store().folder_path(ctx_, folder), IsOk());
                                            seen.insert(known.id);
                                            return true;
                                          }),
              IsOk());
  EXPECT_THAT(seen, testing::UnorderedElementsAre(added["/pictures"], added["/pictures/a"],
                                                  added["/pictures/a/b"]));
  int visits = 0;
  ASSERT_THAT(store().for_each_file_under(ctx_, collection_, folder_,
                                          [&](FolderId, const KnownFile&) {
                                            ++visits;
                                            return false;
                                          }),
              IsOk());
  EXPECT_EQ(visits, 1);
  const FolderId top = value_of(store().intern_folder(ctx_, "/"));
  visits = 0;
  ASSERT_THAT(store().for_each_file_under(ctx_, collection_, top,
                                          [&](FolderId, const KnownFile&) { return ++visits > 0; }),
              IsOk());
  EXPECT_EQ(visits, 7);
}

TEST_P(MetadataStoreSuite, RowsOfEqualBytesAreFoundByHash) {
  const ImageId a = add(file(folder_, "a.jpg", 1));
  const ImageId b = add(file(folder_, "b.jpg", 1));
  const ImageId c = add(upload("c.jpg", 1));
  add(file(folder_, "d.jpg", 2));
  PendingImage pending = file(folder_, "e.jpg", 1);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&pending, 1)), IsOk());
  auto rows = value_of(store().find_by_hash(ctx_, collection_, hash_of(1), 10));
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].id, a);
  EXPECT_EQ(rows[1].id, b);
  EXPECT_EQ(rows[2].id, c);
  EXPECT_THAT(value_of(store().find_by_hash(ctx_, collection_, hash_of(1), 2)), SizeIs(2));
  EXPECT_THAT(value_of(store().find_by_hash(ctx_, collection_, ContentHash{}, 2)), IsEmpty());
  const auto other = value_of(store().create_collection(ctx_, "other"));
  EXPECT_THAT(value_of(store().find_by_hash(ctx_, other.id, hash_of(1), 10)), IsEmpty());
}

TEST_P(MetadataStoreSuite, PicturesComeInTheOrderAskedFor) {
  const ImageId a = add(file(folder_, "a.jpg", 1));
  const ImageId b = add(file(folder_, "b.jpg", 2));
  const auto other = value_of(store().create_collection(ctx_, "other"));
  auto rows = value_of(store().get_images(ctx_, collection_, std::vector{b, ImageId{777}, a, b}));
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].id, b);
  EXPECT_EQ(rows[1].id, a);
  EXPECT_EQ(rows[2].id, b);
  EXPECT_THAT(value_of(store().get_images(ctx_, other.id, std::vector{a})), IsEmpty());
}

TEST_P(MetadataStoreSuite, ListsByDateNameAndAtRandom) {
  std::mt19937 random(7);
  std::map<ImageId, std::pair<std::int64_t, std::string>> model;
  constexpr int kPictures = 57;
  for (int i = 0; i < kPictures; ++i) {
    // Few dates and names, so that many are equal.
    PendingImage image = file(value_of(store().intern_folder(ctx_, "/p/" + std::to_string(i))),
                              "n" + std::to_string(random() % 9), i,
                              1'600'000'000 + static_cast<std::int64_t>(random() % 9));
    if (i % 3 == 0) image.facts.taken_at = 1'500'000'000 + static_cast<std::int64_t>(i % 5);
    const auto date = image.facts.taken_at.value_or(image.mtime_ns / 1'000'000'000);
    const std::string name = image.name;
    model[add(std::move(image))] = {date, name};
  }
  std::vector<ImageId> by_date, by_name;
  for (const auto& [id, keys] : model) by_date.push_back(id), by_name.push_back(id);
  std::stable_sort(by_date.begin(), by_date.end(),
                   [&](auto x, auto y) { return model[x].first > model[y].first; });
  std::stable_sort(by_name.begin(), by_name.end(),
                   [&](auto x, auto y) { return model[x].second < model[y].second; });

  for (const std::size_t limit : {1u, 7u, 19u, 56u, 57u, 1000u}) {
    ListRequest request;
    request.limit = limit;
    request.sort = ListSort::date;
    EXPECT_EQ(list(request), by_date) << limit;
    request.sort = ListSort::name;
    EXPECT_EQ(list(request), by_name) << limit;
  }

  ListRequest request;
  request.sort = ListSort::random;
  request.limit = 10;
  request.seed = 1;
  const auto first = list(request);
  EXPECT_EQ(std::set<ImageId>(first.begin(), first.end()).size(),
            static_cast<std::size_t>(kPictures));
  request.limit = 1000;
  EXPECT_EQ(list(request), first);  // the seed decides, not the page size
  request.seed = 2;
  const auto second = list(request);
  EXPECT_NE(second, first);
  EXPECT_TRUE(std::is_permutation(second.begin(), second.end(), first.begin(), first.end()));
  EXPECT_NE(first, by_date);
}

TEST_P(MetadataStoreSuite, PagingSurvivesChanges) {
  std::vector<ImageId> ids;
  for (int i = 0; i < 10; ++i) {
    ids.push_back(add(file(folder_, std::to_string(i), i, 1'700'000'000 - i)));
  }
  ListRequest request;
  request.collection = collection_;
  request.limit = 4;
  ListPage page = value_of(store().list_images(ctx_, request));
  ASSERT_THAT(page.rows, SizeIs(4));
  // The row the cursor stands on goes, another one comes in front, one behind goes.
  const ImageId gone[] = {ids[3], ids[5]};
  ASSERT_THAT(store().begin_removal(ctx_, collection_, gone), IsOk());
  add(file(folder_, "new", 99, 1'800'000'000));
  request.cursor = page.next_cursor;
  page = value_of(store().list_images(ctx_, request));
  std::vector<ImageId> rest;
  for (const auto& row : page.rows) rest.push_back(row.id);
  EXPECT_THAT(rest, ElementsAre(ids[4], ids[6], ids[7], ids[8]));
}

TEST_P(MetadataStoreSuite, BadPagesAreRefused) {
  ListRequest request;
  request.collection = collection_;
  request.limit = 0;
  EXPECT_THAT(store().list_images(ctx_, request), FailsWith(ErrorCode::invalid_argument));
  request.limit = 1001;
  EXPECT_THAT(store().list_images(ctx_, request), FailsWith(ErrorCode::invalid_argument));
  request.limit = 2;
  for (int i = 0; i < 3; ++i) add(file(folder_, std::to_string(i), i));
  request.sort = ListSort::name;
  const std::string good = value_of(store().list_images(ctx_, request)).next_cursor;
  ASSERT_FALSE(good.empty());
  for (const std::string& bad :
       {std::string("x"), good + "0.1", good.substr(0, 4), "date" + good.substr(4),
        std::string("name.xzz.1"), std::string("name.x61.99999999999999999999")}) {
    request.cursor = bad;
    EXPECT_THAT(store().list_images(ctx_, request), FailsWith(ErrorCode::invalid_argument)) << bad;
  }
  request.cursor = good;
  EXPECT_THAT(store().list_images(ctx_, request), IsOk());
  request.sort = ListSort::date;  // another list's cursor
  EXPECT_THAT(store().list_images(ctx_, request), FailsWith(ErrorCode::invalid_argument));
}

TEST_P(MetadataStoreSuite, FailuresComeByPathUnderARoot) {
  const FolderId a = value_of(store().intern_folder(ctx_, "/pictures/a"));
  const FolderId beside = value_of(store().intern_folder(ctx_, "/pictures2"));
  const Error broken(ErrorCode::unreadable_media, "broken");
  const FailedImage failed[] = {{0, beside, "1.jpg", 1, 1, broken},
                                {0, a, "2.jpg", 1, 1, broken},
                                {0, a, "1.jpg", 1, 1, broken},
                                {0, folder_, "z.jpg", 1, 1, broken},
                                {0, folder_, "y.jpg", 1, 1, broken}};
  ASSERT_THAT(store().mark_failed(ctx_, collection_, index_, failed, 0), IsOk());
  add(file(folder_, "good.jpg", 1));
  const auto paths = [&](FolderId root, std::size_t limit) {
    std::vector<std::string> out;
    std::string cursor;
    do {
      const auto page = value_of(store().list_failures(ctx_, collection_, root, limit, cursor));
      for (const auto& row : page.rows) out.push_back(row.path());
      cursor = page.next_cursor;
    } while (!cursor.empty() && !HasFailure());
    return out;
  };
  for (const std::size_t limit : {1u, 2u, 100u}) {
    EXPECT_THAT(paths(0, limit),
                ElementsAre("/pictures/y.jpg", "/pictures/z.jpg", "/pictures/a/1.jpg",
                            "/pictures/a/2.jpg", "/pictures2/1.jpg"))
        << limit;
    EXPECT_THAT(paths(folder_, limit), ElementsAre("/pictures/y.jpg", "/pictures/z.jpg",
                                                   "/pictures/a/1.jpg", "/pictures/a/2.jpg"))
        << limit;
    EXPECT_THAT(paths(a, limit), ElementsAre("/pictures/a/1.jpg", "/pictures/a/2.jpg")) << limit;
  }
  for (const char* cursor : {"nonsense", "failures.99999.x61.1", "failures.1.x61"}) {
    EXPECT_THAT(store().list_failures(ctx_, collection_, 0, 10, cursor),
                FailsWith(ErrorCode::invalid_argument));
  }
}

TEST_P(MetadataStoreSuite, UnknownFoldersAreNotFound) {
  const auto visit = [](FolderId, const KnownFile&) { return true; };
  EXPECT_THAT(store().for_each_file_under(ctx_, collection_, 99'999, visit),
              FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().list_failures(ctx_, collection_, 99'999, 10, ""),
              FailsWith(ErrorCode::not_found));
  EXPECT_THAT(store().put_root(ctx_, collection_, 99'999, {}), FailsWith(ErrorCode::not_found));
}

TEST_P(MetadataStoreSuite, StatesAreScannedInSteps) {
  std::vector<ImageId> ready_ids;
  for (int i = 0; i < 10; ++i) ready_ids.push_back(add(file(folder_, std::to_string(i), i)));
  // Some of them are being replaced: they are ready, and pending.
  std::vector<ImageId> replaced;
  for (const int i : {2, 5, 9}) {
    PendingImage image = file(folder_, std::to_string(i), i + 100);
    ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&image, 1)), IsOk());
    replaced.push_back(image.id);
  }
  PendingImage fresh = file(folder_, "fresh", 50);
  ASSERT_THAT(store().put_pending(ctx_, collection_, index_, std::span(&fresh, 1)), IsOk());
  replaced.push_back(fresh.id);
  const auto scan = [&](RowState state) {
    std::vector<ImageId> out;
    while (true) {
      const auto rows =
          value_of(store().scan_images(ctx_, collection_, state, out.empty() ? 0 : out.back(), 3));
      if (rows.empty()) return out;
      EXPECT_LE(rows.size(), 3u);
      for (const auto& row : rows) out.push_back(row.id);
    }
  };
  EXPECT_EQ(scan(RowState::ready), ready_ids);
  EXPECT_EQ(scan(RowState::pending), replaced);
  EXPECT_THAT(scan(RowState::failed), IsEmpty());
}

/// Random trees over all fields and operators.
class RandomFilters {
 public:
  explicit RandomFilters(std::uint32_t seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return random_() % n; }
  const std::string& text() { return pick(texts_); }
  const std::string& folder() { return pick(folders_); }
  const std::vector<std::string>& folders() const { return folders_; }
  std::int64_t number() { return static_cast<std::int64_t>(random_() % 6) * 100; }

  Filter filter(int depth) {
    Filter f;
    const std::size_t kind = depth == 0 ? 3 : below(5);
    if (kind == 0 || kind == 1) {
      f.kind = kind == 0 ? Filter::Kind::all_of : Filter::Kind::any_of;
      for (std::size_t i = below(4); i > 0; --i) f.children.push_back(filter(depth - 1));
      return f;
    }
    if (kind == 2) {
      f.kind = Filter::Kind::negate;
      f.children.push_back(filter(depth - 1));
      return f;
    }
    f.kind = Filter::Kind::compare;
    f.field = static_cast<Filter::Field>(below(7));
    f.op = static_cast<Filter::Op>(below(7));
    switch (f.field) {
      case Filter::Field::folder:
        f.value = below(3) == 0 ? text() : folder();
        break;
      case Filter::Field::tag:
      case Filter::Field::class_name:
        f.value = text();
        break;
      default:
        f.value = number();
    }
    return f;
  }

 private:
  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

  std::mt19937 random_;
  std::vector<std::string> texts_ = {"cat", "CAT", "dog",    "d\xc3\xb6g", "",
                                     "%",   "c",   "a'b\"c", "/"};
  std::vector<std::string> folders_ = {"/a", "/a/b", "/a/b/c", "/a!",   "/ab",  "/a/",
                                       "/",  "",     "/A",     "/a/b/", "/\xff"};
};

TEST_P(MetadataStoreSuite, FiltersMeanWhatTheReferenceSays) {
  const auto seed = static_cast<std::uint32_t>(std::random_device{}());
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomFilters random(seed);
  std::vector<ImageRow> rows;
  for (int i = 0; i < 60; ++i) {
    const std::string& path = random.folders()[static_cast<std::size_t>(i) % 11];
    const bool is_upload = path.empty() || (path.size() > 1 && path.back() == '/');
    PendingImage image =
        is_upload ? upload("u", i)
                  : file(value_of(store().intern_folder(ctx_, path)), std::to_string(i), i);
    image.mtime_ns = random.number() * 1'000'000'000;
    if (random.below(2) == 0) image.facts.taken_at = random.number();
    image.facts.size_bytes = random.number();
    image.facts.width = static_cast<std::int32_t>(random.number());
    image.facts.height = static_cast<std::int32_t>(random.number());
    std::vector<ClassScore> classes;
    if (random.below(3) > 0) {
      classes.push_back({1, random.text(), random.below(2) == 0 ? 0.9F : 0.2F});
    }
    const ImageId id = add(std::move(image), std::move(classes));
    std::vector<std::string> tags;
    for (std::size_t t = random.below(3); t > 0; --t) {
      if (const auto& tag = random.text(); !tag.empty()) tags.push_back(tag);
    }
    ASSERT_THAT(store().set_tags(ctx_, collection_, id, tags, 0), IsOk());
    rows.push_back(get(id));
  }

  for (int round = 0; round < 400; ++round) {
    ListRequest request;
    request.limit = 1 + random.below(80);
    request.sort = static_cast<ListSort>(random.below(3));
    request.seed = random.below(100);
    request.filter = random.filter(4);
    std::set<ImageId> expected;
    for (const auto& row : rows) {
      if (matches(request.filter, attributes_of(row))) expected.insert(row.id);
    }
    const auto listed = list(request);
    EXPECT_EQ(std::set<ImageId>(listed.begin(), listed.end()), expected)
        << to_string(request.filter);
    EXPECT_EQ(listed.size(), expected.size());
    if (HasFailure()) break;
  }
}

TEST_P(MetadataStoreSuite, LongFiltersWorkAndEndlessOnesAreRefused) {
  const ImageId id = add(file(folder_, "a.jpg", 1));
  const std::string tags[] = {"t1999"};
  ASSERT_THAT(store().set_tags(ctx_, collection_, id, tags, 1), IsOk());
  Filter any;
  any.kind = Filter::Kind::any_of;
  for (int i = 0; i < 2000; ++i) {
    Filter one;
    one.kind = Filter::Kind::compare;
    one.field = Filter::Field::tag;
    one.value = "t" + std::to_string(i);
    any.children.push_back(one);
  }
  ListRequest request;
  request.filter = any;
  EXPECT_THAT(list(request), ElementsAre(id));
  request.collection = collection_;
  while (any.children.size() < 6000) any.children.push_back(any.children.front());
  request.filter = any;
  EXPECT_THAT(store().list_images(ctx_, request), FailsWith(ErrorCode::invalid_argument));
  Filter deep = request.filter.children.front();
  for (int i = 0; i < 500; ++i) {
    Filter outer;
    outer.kind = Filter::Kind::negate;
    outer.children.push_back(std::move(deep));
    deep = std::move(outer);
  }
  request.filter = deep;
  EXPECT_THAT(store().list_images(ctx_, request), FailsWith(ErrorCode::invalid_argument));
}

}  // namespace
}  // namespace similis
