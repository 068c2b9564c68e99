#include "stores/vector/embedded/embedded_vector_store.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "base/temporary_folder.h"

namespace similis {
namespace {

TEST(EmbeddedVectorStore, KeepsVectorsAndAttributesAcrossOpening) {
  const TemporaryFolder folder;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  constexpr int kDimensions = 48;
  constexpr int kRows = 300;
  std::vector<std::vector<float>> vectors;
  std::vector<VectorUpsert> batch;
  for (int i = 0; i < kRows; ++i) {
    std::vector<float> v(kDimensions);
    for (float& x : v) x = normal(rng);
    vectors.push_back(std::move(v));
  }
  for (int i = 0; i < kRows; ++i) {
    VectorUpsert item{i + 1, vectors[static_cast<std::size_t>(i)], {}};
    item.attributes.width = i % 3;
    batch.push_back(item);
  }
  const Context ctx;
  const auto expect_found = [&](VectorStore& store) {
    const auto filter = parse_filter("width = 1");
    ASSERT_TRUE(filter.ok());
    for (int i = 0; i < kRows; i += 17) {
      const VectorSearch plain{vectors[static_cast<std::size_t>(i)], 5, nullptr, 0};
      const VectorSearch filtered{vectors[static_cast<std::size_t>(i)], kRows, &*filter, 0};
      const std::array searches{plain, filtered};
      const auto answers = store.search(ctx, 7, searches);
      ASSERT_TRUE(answers.ok()) << answers.error().message;
      EXPECT_EQ((*answers)[0].hits.front().id, i + 1);
      EXPECT_NEAR((*answers)[0].hits.front().score, 1, 1e-3);
      EXPECT_EQ((*answers)[1].hits.size(), kRows / 3U);
      for (const ScoredId& hit : (*answers)[1].hits) EXPECT_EQ((hit.id - 1) % 3, 1);
    }
  };
  {
    auto store = open_embedded_vectors({.directory = folder.path()});
    ASSERT_TRUE(store.ok()) << store.error().message;
    EXPECT_EQ((*store)->stats(ctx, 7).error().code, ErrorCode::not_found);
    ASSERT_TRUE((*store)->create_index(ctx, 3, 7, kDimensions).ok());
    EXPECT_EQ((*store)->create_index(ctx, 3, 7, 32).error().code, ErrorCode::conflict);
    ASSERT_TRUE((*store)->upsert(ctx, 7, batch).ok());
    expect_found(**store);
  }
  auto store = open_embedded_vectors({.directory = folder.path()});
  ASSERT_TRUE(store.ok()) << store.error().message;
  EXPECT_EQ(*(*store)->max_id(ctx), kRows);
  expect_found(**store);
  EXPECT_TRUE((*store)->verify(ctx, 7)->empty());
  ASSERT_TRUE((*store)->drop_index(ctx, 3, 7).ok());
  EXPECT_EQ((*store)->stats(ctx, 7).error().code, ErrorCode::not_found);
  EXPECT_EQ(*(*store)->max_id(ctx), 0);
}

/// Dead rows have no attributes on disk any more: neither a checkpoint nor opening may stumble over
/// them.
TEST(EmbeddedVectorStore, OpensAfterRowsWereReplacedErasedAndChanged) {
  const TemporaryFolder folder;
  const Context ctx;
  const std::vector<float> vector(16, 1.0F);
  const auto upsert = [&](VectorStore& store, ImageId id, const std::string& place) {
    VectorUpsert item{id, vector, {}};
    item.attributes.folder = place;
    ASSERT_TRUE(store.upsert(ctx, 1, std::span(&item, 1)).ok());
  };
  for (int round = 0; round < 4; ++round) {
    auto store = open_embedded_vectors({.directory = folder.path()});
    ASSERT_TRUE(store.ok()) << store.error().message;
    if (round == 0) {
      ASSERT_TRUE((*store)->create_index(ctx, 1, 1, 16).ok());
      for (ImageId id = 1; id <= 6; ++id) upsert(**store, id, "/a");
    }
    const auto stats = (*store)->stats(ctx, 1);
    ASSERT_TRUE(stats.ok()) << stats.error().message;
    upsert(**store, 2, "/b" + std::to_string(round));
    AttributeUpdate change{3, {}};
    change.attributes.folder = "/c" + std::to_string(round);
    ASSERT_TRUE((*store)->update_attributes(ctx, 1, std::span(&change, 1)).ok());
    const ImageId gone = 4 + round % 2;
    ASSERT_TRUE((*store)->erase(ctx, 1, std::span(&gone, 1)).ok());
    if (round % 2 == 1) {
      ASSERT_TRUE((*store)->flush(ctx, 1).ok());
    }
    const auto filter = parse_filter("folder in (\"/b" + std::to_string(round) + "\", \"/c" +
                                     std::to_string(round) + "\")");
    const VectorSearch search{vector, 10, &*filter, 0};
    const auto answer = (*store)->search(ctx, 1, std::span(&search, 1));
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    ASSERT_EQ(answer->front().hits.size(), 2U);
    EXPECT_EQ(answer->front().hits[0].id, 2);
    EXPECT_EQ(answer->front().hits[1].id, 3);
  }
}

}  // namespace
}  // namespace similis
