#include "vectors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/temporary_folder.h"

namespace similis::bench {
namespace {

TEST(Vectors, AreTheSameWhicheverAreMadeBesideThem) {
  const ManifoldGenerator generator(96, 5, kManifoldSeed);
  const auto many = make_vectors(generator, 200, 0);
  const auto few = make_vectors(generator, 3, 150);
  for (std::size_t i = 0; i < few.rows; ++i)
    EXPECT_TRUE(std::ranges::equal(few.row(i), many.row(150 + i)));
}

TEST(Vectors, NearestRowsAreThoseThatComparingOneByOneFinds) {
  const ManifoldGenerator generator(96, 5, kManifoldSeed);
  const auto rows = make_vectors(generator, 5000, 0);  // more than a thread takes at a time
  const auto queries = make_vectors(generator, 37, kQuerySeed);
  const auto truth = nearest_rows(rows, queries, 10);
  ASSERT_EQ(truth.columns, 10U);
  for (std::size_t q = 0; q < queries.rows; ++q) {
    std::vector<double> scores(rows.rows);
    for (std::size_t r = 0; r < rows.rows; ++r)
      scores[r] =
          std::inner_product(rows.row(r).begin(), rows.row(r).end(), queries.row(q).begin(), 0.0);
    std::vector<std::int64_t> order(rows.rows);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [&](auto a, auto b) {
      return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    EXPECT_TRUE(std::ranges::equal(truth.row(q), std::span(order).first(10)));
  }
}

TEST(Vectors, OfFewRowsAllAreNearest) {
  const ManifoldGenerator generator(96, 5, kManifoldSeed);
  const auto truth = nearest_rows(make_vectors(generator, 4, 0), make_vectors(generator, 2, 7), 10);
  ASSERT_EQ(truth.columns, 4U);
  for (std::size_t q = 0; q < 2; ++q) {
    std::vector<std::int64_t> found(truth.row(q).begin(), truth.row(q).end());
    std::ranges::sort(found);
    EXPECT_EQ(found, (std::vector<std::int64_t>{0, 1, 2, 3}));
  }
}

TEST(Vectors, HardRowsAreCopiesNearCopiesZerosAndOutliers) {
  const ManifoldGenerator generator(96, 5, kManifoldSeed);
  auto rows = make_vectors(generator, 2000, 0);
  add_hard_rows(rows, 7);
  EXPECT_EQ(rows.rows, 2000U + 100 + 200 + 1500 + 1000 + 200);
  const auto length = [&](std::size_t row) {
    return std::sqrt(
        std::inner_product(rows.row(row).begin(), rows.row(row).end(), rows.row(row).begin(), 0.0));
  };
  EXPECT_NEAR(length(2000), 1, 1e-5);
  EXPECT_TRUE(std::ranges::equal(rows.row(2100), rows.row(2299)));
  EXPECT_TRUE(std::ranges::equal(rows.row(2300), rows.row(2302)));
  EXPECT_EQ(length(3800), 0);
  EXPECT_EQ(length(4799), 0);
  EXPECT_NEAR(length(4800), 1, 1e-5);
}

TEST(Vectors, AFileHoldsTheTableThatWasWritten) {
  const TemporaryFolder folder;
  for (const std::size_t columns : {1, 7, 12345}) {
    engine::Table<std::int64_t> table{3, columns, std::vector<std::int64_t>(3 * columns)};
    std::iota(table.values.begin(), table.values.end(), -5);
    ASSERT_TRUE(engine::write_npy(folder.path() / "table.npy", table));
    const auto again = engine::read_npy<std::int64_t>(folder.path() / "table.npy");
    EXPECT_EQ(again.rows, 3U);
    EXPECT_EQ(again.columns, columns);
    EXPECT_EQ(again.values, table.values);
  }
  EXPECT_FALSE(engine::write_npy(folder.path() / "missing" / "table.npy", engine::Table<float>()));
}

}  // namespace
}  // namespace similis::bench
