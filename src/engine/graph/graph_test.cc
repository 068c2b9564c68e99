#include "engine/graph/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <utility>

#include "engine/codes/code.h"
#include "engine/graph/build.h"
#include "engine/graph/segment_graph.h"
#include "engine/graph/walk.h"
#include "engine/storage/simulated_storage_test.h"

namespace similis::engine {
namespace {

TEST(Graph, ListsGrowShrinkAndFill) {
  Graph graph(20000, 4);
  std::uint32_t out[4];
  EXPECT_EQ(graph.neighbours(19999, out), 0U);
  graph.set_neighbours(19999, std::vector<std::uint32_t>{5, 6, 7});
  EXPECT_EQ(graph.neighbours(19999, out), 3U);
  EXPECT_TRUE(graph.add_neighbour(19999, 8));
  EXPECT_FALSE(graph.add_neighbour(19999, 9));
  EXPECT_EQ(graph.neighbours(19999, out), 4U);
  EXPECT_EQ(out[3], 8U);
  graph.set_neighbours(19999, std::vector<std::uint32_t>{1});
  EXPECT_EQ(graph.neighbours(19999, out), 1U);
  EXPECT_EQ(out[0], 1U);
}

// Packed edges are the same ones, for numbers of any width.
TEST(Edges, HoldWhatTheGraphHeld) {
  std::mt19937_64 random(7);
  for (const std::uint32_t rows : {1U, 2U, 3U, 64U, 65U, 1000U, 70000U}) {
    Graph graph(rows, 9);
    for (std::uint32_t row = 0; row < rows; ++row) {
      std::vector<std::uint32_t> edges(random() % 10);
      for (auto& edge : edges) edge = static_cast<std::uint32_t>(random() % rows);
      if (row % 7 == 0 && !edges.empty()) edges.back() = rows - 1;
      graph.set_neighbours(row, edges);
    }
    const Edges packed(graph);
    ASSERT_EQ(packed.rows(), rows);
    EXPECT_LE(packed.slots(), 9U);
    EXPECT_EQ(packed.bytes_in_memory(), Edges::bytes_in_memory(rows, packed.begins().back()));
    std::span<std::byte> room;
    const Edges copy({packed.begins().begin(), packed.begins().end()}, room);
    ASSERT_EQ(room.size(), packed.bytes().size());
    std::copy(packed.bytes().begin(), packed.bytes().end(), room.begin());
    std::vector<std::uint32_t> expected(9);
    for (std::uint32_t row = 0; row < rows; ++row) {
      expected.resize(9);
      expected.resize(graph.neighbours(row, expected.data()));
      ASSERT_EQ(packed.neighbours(row), expected) << rows << " rows, row " << row;
      ASSERT_EQ(copy.neighbours(row), expected);
    }
  }
  EXPECT_EQ(Edges::bits_for(100'947), 17U);
  EXPECT_EQ(Edges::bits_for(1U << 17), 17U);
  EXPECT_EQ(Edges::bits_for((1U << 17) + 1), 18U);
}

/// Points of a few factors in more dimensions, as embeddings lie, some of them copies.
struct Points {
  Points(std::uint32_t rows, std::uint32_t dimensions, std::uint64_t seed, std::uint32_t copies = 0)
      : layout{64, dimensions - 64, 1, 1}, codes(layout, rows), random(seed) {
    constexpr std::size_t kFactors = 12;
    std::normal_distribution<float> normal;
    std::vector<float> basis(kFactors * dimensions);
    for (float& v : basis) v = normal(random);
    for (std::uint32_t r = 0; r < rows; ++r) all.push_back(r);
    for (std::uint32_t r = 0; r < rows; ++r) {
      std::vector<float> row(dimensions);
      for (std::size_t f = 0; f < kFactors; ++f) {
        const float weight = normal(random);
        for (std::uint32_t d = 0; d < dimensions; ++d) row[d] += weight * basis[f * dimensions + d];
      }
      if (r > 0 && r <= copies) row = vectors[0];
      encode_record(layout, row, {codes.record(r), layout.record_bytes()});
      vectors.push_back(std::move(row));
    }
  }
  /// The nearest rows by the vectors themselves.
  std::vector<std::uint32_t> nearest(const std::vector<float>& query, std::size_t k) const {
    std::vector<std::pair<double, std::uint32_t>> distances;
    for (std::uint32_t r = 0; r < vectors.size(); ++r) {
      double distance = 0;
      for (std::size_t d = 0; d < query.size(); ++d)
        distance += (query[d] - vectors[r][d]) * (query[d] - vectors[r][d]);
      distances.emplace_back(distance, r);
    }
    std::partial_sort(distances.begin(), distances.begin() + static_cast<std::ptrdiff_t>(k),
                      distances.end());
    std::vector<std::uint32_t> out;
    for (std::size_t i = 0; i < k; ++i) out.push_back(distances[i].second);
    return out;
  }
  CodeLayout layout;
  CodeTable codes;
  std::vector<std::uint32_t> all;
  std::mt19937_64 random;
  std::vector<std::vector<float>> vectors;
};

std::size_t reachable(const BuiltGraph& built) {
  std::set<std::uint32_t> seen{built.entry};
  std::vector<std::uint32_t> stack{built.entry};
  while (!stack.empty()) {
    const std::uint32_t row = stack.back();
    stack.pop_back();
    built.graph.for_neighbours(row, [&](std::uint32_t to) {
      if (seen.insert(to).second) stack.push_back(to);
    });
  }
  return seen.size();
}

/// The share of the true nearest ten that walks come upon, for points between rows.
double found_by_walks(const Points& points, const BuiltGraph& built) {
  Walk<Edges> walk;
  QueryCode query(points.layout);
  std::size_t found = 0;
  constexpr std::size_t kQueries = 100, kNearest = 10;
  for (std::size_t q = 0; q < kQueries; ++q) {
    std::vector<float> vector = points.vectors[q * 7];
    for (std::size_t d = 0; d < vector.size(); ++d)
      vector[d] = (vector[d] + points.vectors[q * 11 + 3][d]) / 2;
    query.set(vector);
    walk.run(built.graph, points.codes, query, built.entry, 60);
    for (const std::uint32_t row : points.nearest(vector, kNearest))
      for (const Candidate& c : walk.found()) found += c.row == row ? 1 : 0;
    EXPECT_TRUE(std::is_sorted(walk.found().begin(), walk.found().end()));
    EXPECT_LT(walk.comparisons(), 2000U);
  }
  return static_cast<double>(found) / (kQueries * kNearest);
}

constexpr GraphOptions kSmall{.degree = 32, .list_size = 60, .alpha = 1.2F};

// A walk finds nearly all true neighbours among its list, for rows and for strangers.
TEST(Graph, WalksFindTheNearest) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const Points points(2000, 128, seed);
  ThreadPool pool(2);
  auto built = build_graph(points.codes, points.all, kSmall, pool, 2, {}, {});
  ASSERT_TRUE(built.ok()) << built.error().message;
  EXPECT_EQ(reachable(*built), 2000U);
  EXPECT_GT(found_by_walks(points, *built), 0.97);
}

// A walk of a reach keeps what lies within it, of the same rows that a long list has, and compares
// fewer.
TEST(Graph, WalksGoAsFarAsTheyReach) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const Points points(2000, 128, seed);
  ThreadPool pool(2);
  auto built = build_graph(points.codes, points.all, kSmall, pool, 2, {}, {});
  ASSERT_TRUE(built.ok());
  Walk<Edges> whole, near;
  QueryCode query(points.layout);
  constexpr std::size_t kRank = 10;
  std::uint64_t compared = 0, compared_in_all = 0;
  std::size_t missed = 0;
  for (std::size_t q = 0; q < 50; ++q) {
    query.set_record(points.codes.record(static_cast<std::uint32_t>(q * 31)));
    const std::vector<std::uint32_t> entries{built->entry};
    whole.run(built->graph, points.codes, query, entries, {.list_size = 250});
    near.run(built->graph, points.codes, query, entries,
             {.list_size = 250, .reach = 0.2F, .rank = kRank});
    compared += near.comparisons();
    compared_in_all += whole.comparisons();
    const auto all = whole.found(), kept = near.found();
    ASSERT_GE(kept.size(), kRank);
    ASSERT_LE(kept.size(), all.size());
    const float own = query.squared_length();
    const float tenth = own - 2 * kept[kRank - 1].nearness;
    for (std::size_t i = kRank; i < kept.size(); ++i) {
      EXPECT_LE(own - 2 * kept[i].nearness, tenth + 0.2F * std::max(tenth, own / 2) + 1e-3F * own);
    }
    for (std::size_t i = 0; i < kRank; ++i) missed += kept[i].row != all[i].row;
  }
  EXPECT_LT(compared, compared_in_all);
  EXPECT_LT(missed, 25U);
}

// One that grew from few rows in many steps is as good as one made at once.
TEST(Graph, GrowsRowByRow) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const Points points(2000, 128, seed);
  ThreadPool pool(2);
  Edges edges;
  std::uint32_t entry = Edges::kNone, there = 0;
  for (const std::uint32_t rows : {1U, 1U, 2U, 100U, 700U, 1300U, 1999U, 2000U}) {
    CodeTable codes(points.layout, rows);
    std::copy_n(points.codes.bytes().begin(), codes.bytes().size(), codes.bytes().begin());
    const std::vector members(points.all.begin() + there, points.all.begin() + rows);
    auto built = extend_graph(codes, edges, entry, members, kSmall, pool, 2, {});
    ASSERT_TRUE(built.ok()) << built.error().message;
    EXPECT_EQ(reachable(*built), rows);
    if (rows == 2000U) {
      EXPECT_GT(found_by_walks(points, *built), 0.97);
    }
    edges = std::move(built->graph);
    entry = built->entry;
    there = rows;
  }
}

// Rows without any room for edges to all others, and a single row, can be reached all the same.
TEST(Graph, ReachesEveryRow) {
  for (const std::uint32_t rows : {1U, 2U, 3U, 50U, 700U}) {
    for (const std::uint32_t copies : {0U, rows / 2}) {
      const Points points(rows, 96, rows, copies);
      ThreadPool pool(2);
      auto built = build_graph(points.codes, points.all,
                               {.degree = 4, .list_size = 8, .alpha = 1.2F}, pool, 2, {}, {});
      ASSERT_TRUE(built.ok()) << built.error().message;
      EXPECT_EQ(reachable(*built), rows) << copies << " copies";
    }
  }
}

// A file may hold anything that its checksums bear out: more edges a row than graphs have would run
// over when it is extended, lists that do not rise would be counted twice, and a reach that is no
// number would find nothing.
TEST(SegmentGraph, FilesThatPromiseTooMuchAreRefused) {
  const Points points(300, 96, 5);
  ThreadPool pool(2);
  auto built = build_graph(points.codes, points.all, {}, pool, 2, {}, {});
  ASSERT_TRUE(built.ok());
  enum class Spoilt { nothing, edges, zeros, copies, recall, order, doubt };
  for (const Spoilt spoilt : {Spoilt::nothing, Spoilt::edges, Spoilt::zeros, Spoilt::copies,
                              Spoilt::recall, Spoilt::order, Spoilt::doubt}) {
    CodeTable codes(points.layout, 300);
    std::copy_n(points.codes.bytes().begin(), codes.bytes().size(), codes.bytes().begin());
    Graph wide(300, 100);
    std::vector<std::uint32_t> many(points.all.begin(), points.all.begin() + 100);
    for (std::uint32_t row = 0; row < 300; ++row) wide.set_neighbours(row, many);
    const std::vector<float> sample(96, 1.0F);
    SegmentGraph graph{Frame::learn(sample, 96, 64, 1),
                       std::move(codes),
                       spoilt == Spoilt::edges ? Edges(wide) : built->graph.copy(),
                       built->entry,
                       {}};
    graph.learnt_rows = 300;
    if (spoilt == Spoilt::zeros) graph.zeros = {7, 7};
    if (spoilt == Spoilt::copies) graph.copies = {{3, 4}, {3, 4}};
    graph.efforts = {{10, 0.1F, 0.9F, 100}, {10, 0.2F, 0.95F, 200}};
    if (spoilt == Spoilt::recall) graph.efforts[0].recall = std::nanf("");
    graph.doubts = {{100, 10, 0.5F, 0.9F, 0.8F}, {80, 10, 0.5F, 0.9F, 0.8F}};
    if (spoilt == Spoilt::order) std::swap(graph.doubts[0], graph.doubts[1]);
    if (spoilt == Spoilt::doubt) graph.doubts[1].doubt = std::numeric_limits<float>::infinity();
    SimulatedStorage storage(1);
    ASSERT_TRUE(storage.make_directory("index").ok());
    const Uuid uuid{};
    const auto record = write_segment_graph(graph, storage, "index", uuid, 1, 1);
    ASSERT_TRUE(record.ok()) << record.error().message;
    const auto file = GraphFile::open(storage, "index", uuid, 1, 96, *record);
    const auto read = file.ok() ? file->read(file->layout()) : file.error();
    EXPECT_EQ(read.ok(), spoilt == Spoilt::nothing) << static_cast<int>(spoilt);
    if (!read.ok()) {
      EXPECT_EQ(read.error().code, ErrorCode::corruption);
    }
  }
}

TEST(Graph, BuildingCanBeCancelled) {
  const Points points(500, 96, 1);
  ThreadPool pool(2);
  for (const ErrorCode why : {ErrorCode::cancelled, ErrorCode::deadline_exceeded}) {
    auto built = build_graph(points.codes, points.all, {}, pool, 2, {},
                             [&](std::size_t) { return Status(Error(why, "enough")); });
    ASSERT_FALSE(built.ok());
    EXPECT_EQ(built.error().code, why);
  }
}

}  // namespace
}  // namespace similis::engine
