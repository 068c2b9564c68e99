#include <gtest/gtest.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/temporary_folder.h"
#include "base/test_expect.h"
#include "stores/metadata/sql/sqlite.h"

// What happens to a database that something else has changed: it is noticed, said, and never ends
// the process.
namespace similis {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

class StoreDamage : public testing::Test {
 protected:
  void SetUp() override {
    const auto store = open();
    collection_ = value_of(store->create_collection(ctx_, "pictures")).id;
    IndexInfo index;
    index.collection = collection_;
    index.identity = "identity";
    index.dimensions = 4;
    index_ = value_of(store->create_index(ctx_, index)).id;
    const FolderId folder = value_of(store->intern_folder(ctx_, "/pictures"));
    std::vector<PendingImage> pending;
    for (int i = 0; i < kPictures; ++i) {
      PendingImage image;
      image.folder = folder;
      image.name = "IMG_" + std::to_string(i) + ".jpg";
      image.mtime_ns = i;
      image.facts.format = "jpeg";
      image.facts.content_hash[0] = static_cast<std::byte>(i + 1);
      image.facts.camera = "Camera";
      pending.push_back(std::move(image));
    }
    ASSERT_THAT(store->put_pending(ctx_, collection_, index_, pending), IsOk());
    std::vector<ReadyImage> ready;
    for (const auto& image : pending) {
      ready.push_back({image.id, image.mtime_ns, image.facts, {{1, "cat", 0.5F}}});
      ids_.push_back(image.id);
    }
    ASSERT_THAT(store->mark_ready(ctx_, collection_, index_, ready, 1), IsOk());
    const std::string tags[] = {"tag"};
    ASSERT_THAT(store->set_tags(ctx_, collection_, ids_[3], tags, 1), IsOk());
    ASSERT_TRUE(value_of(store->verify(ctx_)).ok);
  }

  std::unique_ptr<MetadataStore> open() { return value_of(open_sqlite_metadata({.file = file_})); }
  /// As another program might.
  void change(const std::string& sql) {
    soci::session session(soci::sqlite3, "db=" + file_.native());
    session << sql;
  }
  [[nodiscard]] std::string id(std::size_t i) const { return std::to_string(ids_[i]); }

  static constexpr int kPictures = 200;
  Context ctx_;
  TemporaryFolder folder_;
  fs::path file_ = folder_.path() / "similis.db";
  CollectionId collection_ = 0;
  IndexId index_ = 0;
  std::vector<ImageId> ids_;
};

// Whoever has the key gets in, though when it was last used cannot be written down.
TEST_F(StoreDamage, AKeyOpensThoughItsUseCannotBeNoted) {
  const auto store = open();
  ContentHash hash{};
  hash[0] = std::byte{9};
  ASSERT_THAT(store->create_key(ctx_, "laptop", "sk_ab", hash), IsOk());
  change("CREATE TRIGGER refuse BEFORE UPDATE ON api_key BEGIN SELECT RAISE(ABORT, 'no'); END");
  EXPECT_EQ(value_of(store->use_key(ctx_, hash)).name, "laptop");
  EXPECT_EQ(value_of(store->list_keys(ctx_)).front().last_used_at, 0);
  hash[0] = std::byte{8};
  EXPECT_THAT(store->use_key(ctx_, hash), FailsWith(ErrorCode::unauthenticated));
}

TEST_F(StoreDamage, VerifyFindsAChangedRowOfEveryTable) {
  const struct {
    std::string sql, table;
  } changes[] = {
      {"UPDATE image SET size_bytes = size_bytes + 1 WHERE id = " + id(5), "image " + id(5)},
      {"UPDATE image SET camera = 'Camerb' WHERE id = " + id(6), "image " + id(6)},
      {"UPDATE image SET taken_at = 0 WHERE id = " + id(7), "image " + id(7)},
      {"UPDATE embedding SET attempts = 9 WHERE image_id = " + id(8),
       "embedding " + id(8) + "/" + std::to_string(index_)},
      {"UPDATE tag SET tag = 'tah'", "tag " + id(3) + "/tah"},
      {"UPDATE folder SET path = '/elsewhere' WHERE name = 'pictures'", "folder"},
      {"UPDATE collection SET epoch = epoch - 1", "collection"},
      {"UPDATE image_index SET token = 99", "image_index"},
      {"UPDATE counter SET next_id = 1 WHERE name = 'image'", "counter image"},
  };
  std::size_t count = 0;
  for (const auto& [sql, table] : changes) {
    change(sql);
    const auto health = value_of(open()->verify(ctx_));
    EXPECT_FALSE(health.ok);
    EXPECT_EQ(health.findings.size(), ++count) << sql;
    EXPECT_THAT(health.findings, Contains(HasSubstr("row " + table))) << sql;
  }
}

TEST_F(StoreDamage, VerifyFindsMissingRowsAndWrongCounts) {
  change("DELETE FROM embedding WHERE image_id = " + id(5));
  auto health = value_of(open()->verify(ctx_));
  EXPECT_FALSE(health.ok);
  EXPECT_THAT(health.findings, Contains(HasSubstr("notes 200 pictures")));
  change("DELETE FROM image WHERE id = " + id(9));  // its embedding stays behind
  health = value_of(open()->verify(ctx_));
  EXPECT_THAT(health.findings, Contains(HasSubstr("refers to a missing row of image")));
}

TEST_F(StoreDamage, ADamagedRowIsNeverShownAndCanBeRemoved) {
  change("UPDATE image SET name = 'wrong' WHERE id = " + id(5));
  const auto store = open();
  const ImageId damaged[] = {ids_[5]};
  const auto shown = store->get_image(ctx_, collection_, ids_[5]);
  ASSERT_THAT(shown, FailsWith(ErrorCode::corruption));
  EXPECT_THAT(shown.error().message, HasSubstr("image " + id(5)));
  EXPECT_FALSE(shown.error().hint.empty());
  // Those around it are.
  const auto others = static_cast<std::size_t>(kPictures - 1);
  EXPECT_EQ(value_of(store->get_images(ctx_, collection_, ids_)).size(), others);
  EXPECT_EQ(value_of(store->scan_images(ctx_, collection_, RowState::ready, 0, 1000)).size(),
            others);
  EXPECT_EQ(value_of(store->scan_image_ids(ctx_, collection_, RowState::ready, 0, 1000)), ids_);
  ListRequest request;
  request.collection = collection_;
  request.limit = 1000;
  EXPECT_EQ(value_of(store->list_images(ctx_, request)).rows.size(), others);
  // A page of damaged rows alone is not the end.
  const auto page = value_of(store->scan_images(ctx_, collection_, RowState::ready, ids_[4], 1));
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].id, ids_[6]);

  ASSERT_THAT(store->begin_removal(ctx_, collection_, damaged), IsOk());
  ASSERT_THAT(store->finish_removal(ctx_, collection_, damaged, 2), IsOk());
  EXPECT_TRUE(value_of(store->verify(ctx_)).ok);
}

TEST_F(StoreDamage, ValuesThatNoVersionWritesAreCorruption) {
  change("UPDATE embedding SET state = 77 WHERE image_id = " + id(5));
  change("UPDATE embedding SET classes = 'nonsense' WHERE image_id = " + id(6));
  const auto store = open();
  const auto file = store->files_in_folder(ctx_, collection_, 2);
  EXPECT_THAT(file, FailsWith(ErrorCode::corruption));
  for (const std::size_t i : {5, 6}) {
    EXPECT_THAT(store->get_image(ctx_, collection_, ids_[i]), FailsWith(ErrorCode::corruption));
  }
  EXPECT_FALSE(value_of(store->verify(ctx_)).ok);
}

/// Everything a reader can ask of the database, in words; errors as their code.
std::string all_answers(MetadataStore& store, CollectionId collection,
                        std::span<const ImageId> ids) {
  const Context ctx;
  std::string out;
  const auto note = [&](const auto& result, const auto& say) {
    if (result.ok()) {
      say(*result);
    } else {
      out += error_code_name(result.error().code);
    }
    out += '\n';
  };
  const auto say_rows = [&](const std::vector<ImageRow>& rows) {
    for (const auto& row : rows) {
      out += std::to_string(row.id) + row.path() + std::to_string(row.mtime_ns) + row.facts.camera +
             std::to_string(static_cast<int>(row.state)) + ";";
    }
  };
  note(store.list_collections(ctx), [&](const auto& all) {
    for (const auto& c : all) out += c.name + c.uuid + std::to_string(c.epoch);
  });
  note(store.get_images(ctx, collection, ids), say_rows);
  note(store.counts(ctx, collection), [&](const auto& c) { out += std::to_string(c.ready); });
  note(store.scan_images(ctx, collection, RowState::ready, 0, 1000), say_rows);
  for (const ListSort sort : {ListSort::date, ListSort::name, ListSort::random}) {
    ListRequest request;
    request.collection = collection;
    request.limit = 1000;
    request.sort = sort;
    note(store.list_images(ctx, request), [&](const auto& page) { say_rows(page.rows); });
  }
  const FolderId folder = store.find_folder(ctx, "/pictures").value_or(0);
  note(store.files_in_folder(ctx, collection, folder), [&](const auto& files) {
    for (const auto& file : files) out += file.name + std::to_string(file.size_bytes);
  });
  note(store.list_jobs(ctx, 10), [&](const auto& jobs) { out += std::to_string(jobs.size()); });
  return out;
}

TEST_F(StoreDamage, FlippedBytesAreFoundOrHarmless) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::string sound_answers;
  {
    const auto store = open();
    sound_answers = all_answers(*store, collection_, ids_);
  }
  ASSERT_FALSE(fs::exists(file_.native() + "-wal"));  // closing moved it all into the file
  std::string sound;
  {
    std::ifstream in(file_, std::ios::binary);
    sound.assign(std::istreambuf_iterator<char>(in), {});
  }
  int noticed = 0;
  for (int round = 0; round < 50; ++round) {
    std::string damaged = sound;
    for (std::size_t flips = 1 + random() % 4; flips > 0; --flips) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    }
    if (round % 10 == 9) damaged.resize(random() % damaged.size());
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << damaged;
    auto store = open_sqlite_metadata({.file = file_});
    if (!store.ok()) {
      ++noticed;
      EXPECT_FALSE(store.error().message.empty());
      continue;
    }
    const std::string answers = all_answers(**store, collection_, ids_);
    const auto health = (*store)->verify(ctx_);
    if (health.ok() && health->ok) {
      EXPECT_EQ(answers, sound_answers) << "verify found nothing, but the answers changed";
    } else {
      ++noticed;
    }
    // Writing must not end the process either.
    (void)(*store)->begin_removal(ctx_, collection_, std::span(ids_).first(10)).ok();
    (void)(*store)->finish_removal(ctx_, collection_, std::span(ids_).first(10), 5).ok();
    store->reset();
    for (const char* suffix : {"-wal", "-shm"}) fs::remove(file_.native() + suffix);
  }
  EXPECT_GT(noticed, 0);
}

}  // namespace
}  // namespace similis
