// From an index of the engine to the words of `similis status`.

#include <random>
#include <thread>

#include "base/bytes_text.h"
#include "base/temporary_folder.h"
#include "cli/render_status.h"
#include "http/api_fixture.h"
#include "stores/vector/embedded/embedded_vector_store.h"

namespace similis {
namespace {

using testing::HasSubstr;
using testing::Not;

class StatusTest : public ApiTest {
 protected:
  static constexpr std::int32_t kDimensions = 512;
  static constexpr std::uint64_t kEnough = std::uint64_t{1} << 30;

  void open(std::uint64_t memory_max) {
    store_.reset();
    store_ = value_of(open_embedded_vectors({.directory = folder_.path(),
                                             .memory_max = memory_max,
                                             .threads = 2,
                                             .graph_rows_min = 100}));
    ASSERT_TRUE(store_->create_index(ctx_, 1, 1, kDimensions).ok());
  }
  void fill() {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<std::vector<float>> vectors(300, std::vector<float>(kDimensions));
    std::vector<VectorUpsert> rows;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      for (float& v : vectors[i]) v = normal(random);
      rows.push_back({static_cast<ImageId>(i + 1), vectors[i], {}});
    }
    ASSERT_TRUE(store_->upsert(ctx_, 1, rows).ok());
  }
  VectorIndexStats stats() { return value_of(store_->stats(ctx_, 1)); }
  /// What the command prints where the collection's index is in this state.
  std::string said() {
    vectors_.set_stats(stats());
    const Answer answer = get("/api/v1/collections");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return cli::render_status(answer.json, cli::Terminal{.columns = 100});
  }

  TemporaryFolder folder_;
  std::unique_ptr<VectorStore> store_;
};

TEST_F(StatusTest, ExplainsTheCodesInMemory) {
  write("red.jpg", picture_bytes(250, 10, 10));
  build();
  open(kEnough);
  EXPECT_THAT(said(), Not(HasSubstr("codes")));  // an index of nothing
  fill();
  for (int i = 0; i < 600 && stats().code_tier.empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  open(kEnough);  // tables are as large as the rows in them, without room to grow
  const VectorIndexStats full = stats();
  ASSERT_EQ(full.code_tier, "large");
  ASSERT_EQ(full.code_tiers.size(), 4u);
  EXPECT_THAT(said(),
              HasSubstr("large, " + std::to_string(full.code_tiers[0].bytes_a_vector) +
                        " bytes a vector: " + bytes_text(full.code_tiers[0].bytes_in_memory) +
                        " with the graph\n"));

  const auto others = kEnough - static_cast<std::uint64_t>(full.code_bytes_available);
  open(others + static_cast<std::uint64_t>(full.code_tiers[2].bytes_in_memory));
  ASSERT_EQ(stats().code_tier, "small");
  EXPECT_THAT(said(), HasSubstr("small, " + std::to_string(full.code_tiers[2].bytes_a_vector)));
  EXPECT_THAT(said(), HasSubstr("middle would take " +
                                bytes_text(full.code_tiers[1].bytes_in_memory) + ", "));
  EXPECT_THAT(said(), HasSubstr(" more than index.memory_max leaves\n"));

  const std::int64_t too_little = full.code_tiers[3].bytes_in_memory - 5000;
  open(others + static_cast<std::uint64_t>(too_little));
  EXPECT_EQ(stats().code_tier, "");
  EXPECT_THAT(said(), HasSubstr("none: the smallest need " +
                                bytes_text(full.code_tiers[3].bytes_in_memory) +
                                ", index.memory_max leaves " + bytes_text(too_little) + "\n"));
  EXPECT_THAT(said(), HasSubstr("every vector is compared; give it 5.0 kB more\n"));
}

}  // namespace
}  // namespace similis
