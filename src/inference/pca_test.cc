#include "inference/pca.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "inference/test_folder.h"

namespace similis {
namespace {

Pca example() {
  Pca pca;
  pca.dimensions_in = 3;
  pca.dimensions_out = 2;
  pca.mean = {1, 2, 3};
  pca.components = {1, 0, 0, 0, 0.5F, -0.5F};
  return pca;
}

TEST(Pca, SubtractsTheMeanAndProjects) {
  EXPECT_THAT(example().apply(std::vector<float>{2, 4, 9}), testing::ElementsAre(1.0F, -2.0F));
}

TEST(Pca, SurvivesItsFile) {
  const TestFolder folder;
  const auto path = folder.path() / "reduce.pca";
  ASSERT_TRUE(write_pca(path, example()).ok());
  const Result<Pca> read = read_pca(path);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->mean, example().mean);
  EXPECT_EQ(read->components, example().components);
  EXPECT_EQ(read->digest.size(), 64u);
}

TEST(Pca, EveryFlippedByteAndEveryCutIsNoticed) {
  const TestFolder folder;
  const auto path = folder.path() / "reduce.pca";
  ASSERT_TRUE(write_pca(path, example()).ok());
  const std::vector<std::byte> good = read_file(path).value();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::vector<std::byte> bad = good;
    bad[i] ^= std::byte{0x10};
    ASSERT_TRUE(publish_file(path, bad).ok());
    ASSERT_EQ(read_pca(path).error().code, ErrorCode::corruption) << "byte " << i;
    ASSERT_TRUE(publish_file(path, std::span(good).first(i)).ok());
    ASSERT_EQ(read_pca(path).error().code, ErrorCode::corruption) << "cut at " << i;
  }
}

TEST(Pca, RefusesWhatCannotBe) {
  const TestFolder folder;
  Pca short_mean = example();
  short_mean.mean.pop_back();
  EXPECT_EQ(write_pca(folder.path() / "a", short_mean).error().code, ErrorCode::invalid_argument);
  Pca infinite = example();
  infinite.mean[0] = std::numeric_limits<float>::infinity();
  ASSERT_TRUE(write_pca(folder.path() / "b", infinite).ok());
  EXPECT_EQ(read_pca(folder.path() / "b").error().code, ErrorCode::corruption);
}

}  // namespace
}  // namespace similis
