// Codes and graph in memory, without a disk: what a walk finds, and what it takes.
// similis_graph_bench FOLDER [DEGREE LIST THIRD_WORDS LEAD]: base.npy, query.npy and truth.npy
// (f32, f32, int64).

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "engine/bench_data.h"
#include "engine/codes/code_table.h"
#include "engine/codes/frame.h"
#include "engine/graph/build.h"
#include "engine/graph/walk.h"

namespace similis::engine {
namespace {

int run(const std::string& folder, const GraphOptions& graph_options, std::uint32_t lead,
        std::uint32_t third_words) {
  const auto base = read_npy<float>(folder + "/base.npy");
  const auto queries = read_npy<float>(folder + "/query.npy");
  const auto truth = read_npy<std::int64_t>(folder + "/truth.npy");
  const auto dimensions = static_cast<std::uint32_t>(base.columns);
  constexpr std::size_t kSampleRows = 8192;
  double begin = bench_seconds();
  std::vector<float> sample;
  for (std::size_t i = 0; i < std::min(kSampleRows, base.rows); ++i) {
    const auto row = base.row(i * base.rows / std::min(kSampleRows, base.rows));
    sample.insert(sample.end(), row.begin(), row.end());
  }
  const Frame frame = Frame::learn(sample, dimensions, lead, 1);
  std::printf("frame: %.1f s, leading %u hold %.3f of the variance\n", bench_seconds() - begin,
              lead, static_cast<double>(frame.lead_share()));

  CodeLayout layout{lead, dimensions - lead};
  layout.second_words = static_cast<std::uint32_t>(layout.tail_words());
  layout.third_words = third_words;
  CodeTable codes(layout, static_cast<std::uint32_t>(base.rows));
  std::vector<std::uint32_t> all(base.rows);
  std::iota(all.begin(), all.end(), 0U);
  ThreadPool pool(2);
  begin = bench_seconds();
  std::atomic<std::uint32_t> next{0};
  pool.run(2, [&] {
    std::vector<float> turned(dimensions);
    for (std::uint32_t r = next++; r < base.rows; r = next++) {
      frame.turn(base.row(r), true, turned);
      encode_record(layout, turned, {codes.record(r), layout.record_bytes()});
    }
  });
  std::printf("codes: %.1f s, %zu bytes a row\n", bench_seconds() - begin, layout.record_bytes());

  begin = bench_seconds();
  auto built = build_graph(codes, all, graph_options, pool, 2, {}, {});
  if (!built.ok()) return 1;
  std::printf("graph: %.1f s\n", bench_seconds() - begin);

  QueryCode query(layout);
  std::vector<float> turned(dimensions);
  std::printf("%6s %9s %9s %9s %9s %8s %8s %8s\n", "list", "in list", "in 10", "in 15", "in 20",
              "compared", "us", "us prep");
  for (const std::size_t list : {20, 30, 40, 50, 60, 80, 100, 150, 250}) {
    Walk<Edges> walk;
    std::size_t in_list = 0, in_refined[3] = {};
    std::uint64_t comparisons = 0;
    double walking = 0, preparing = 0;
    for (std::size_t q = 0; q < queries.rows; ++q) {
      begin = bench_seconds();
      frame.turn(queries.row(q), true, turned);
      query.set(turned);
      const double ready = bench_seconds();
      preparing += ready - begin;
      walk.run(built->graph, codes, query, built->entry, list);
      std::vector<Candidate> refined(walk.found().begin(), walk.found().end());
      for (Candidate& c : refined) c.nearness = query.refine(codes.record(c.row)).nearness;
      std::sort(refined.begin(), refined.end());
      walking += bench_seconds() - ready;
      comparisons += walk.comparisons();
      for (std::size_t i = 0; i < 10; ++i) {
        const auto at = std::find_if(refined.begin(), refined.end(),
                                     [&](const Candidate& c) { return c.row == truth.row(q)[i]; });
        if (at == refined.end()) continue;
        ++in_list;
        const auto place = at - refined.begin();
        for (std::size_t d = 0; d < 3; ++d) in_refined[d] += place < 10 + 5 * static_cast<long>(d);
      }
    }
    const auto wanted = static_cast<double>(queries.rows * 10),
               n = static_cast<double>(queries.rows);
    std::printf("%6zu %9.4f %9.4f %9.4f %9.4f %8.0f %8.1f %8.1f\n", list,
                static_cast<double>(in_list) / wanted, static_cast<double>(in_refined[0]) / wanted,
                static_cast<double>(in_refined[1]) / wanted,
                static_cast<double>(in_refined[2]) / wanted, static_cast<double>(comparisons) / n,
                walking / n * 1e6, preparing / n * 1e6);
  }
  return 0;
}

}  // namespace
}  // namespace similis::engine

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "similis_graph_bench FOLDER [DEGREE LIST THIRD_WORDS LEAD]\n";
    return 2;
  }
  const auto number = [&](int i, std::uint32_t otherwise) {
    return argc > i ? static_cast<std::uint32_t>(std::atoi(argv[i])) : otherwise;
  };
  similis::engine::GraphOptions options;
  options.degree = number(2, options.degree);
  options.list_size = number(3, options.list_size);
  return similis::engine::run(argv[1], options, number(5, 256), number(4, 8));
}
