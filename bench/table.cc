#include "table.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <optional>
#include <vector>

#include "base/temporary_folder.h"
#include "engine/index.h"
#include "lean_index.h"
#include "measure.h"
#include "vectors.h"
#include "wire/json.h"

namespace similis::bench {
namespace {

constexpr std::size_t kK = 10;
constexpr std::size_t kInFlight = 16;
constexpr int kRounds = 3;

/// DiskANN over 100,000 x 2048-d on a desktop of six cores with an SSD, as published (Tongji
/// University, 2024).
struct Published {
  std::size_t list;
  double rate, latency_us, reads, precision, recall;
};
constexpr Published kPublished[] = {
    {10, 3576, 2272, 23.8, 92.03, 91.79}, {20, 3120, 4121, 33.3, 96.39, 96.42},
    {30, 2547, 6147, 42.6, 98.82, 98.78}, {40, 2148, 8279, 52.2, 99.03, 99.40},
    {50, 1756, 9913, 61.8, 99.43, 99.63}, {100, 978, 19108, 110.6, 99.92, 99.91},
};

struct Measured {
  double rate = 0, latency_us = 0, reads = 0, precision = 0, recall = 0;
};

/// The f32 inner products of a query with the rows of these ids.
double score(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

/// `truth`: the k nearest of each query, by exact search over the vectors as stored (fp16).
Result<Measured> measure(const engine::Index& index, const engine::Table<float>& rows,
                         const engine::Table<float>& queries,
                         const std::vector<std::vector<engine::Hit>>& truth,
                         const engine::SearchOptions& options) {
  std::vector<double> rates, latencies;
  Measured out;
  for (int round = 0; round < kRounds; ++round) {
    std::uint64_t reads = 0;
    std::size_t same = 0, as_near = 0;
    double waited = 0;
    const double begin = wall_seconds();
    std::vector<engine::SearchAnswer> answers;
    for (std::size_t at = 0; at < queries.rows; at += kInFlight) {
      const std::size_t here = std::min(kInFlight, queries.rows - at);
      const double asked = wall_seconds();
      ASSIGN_OR_RETURN(
          engine::SearchAnswer answer,
          index.search(
              std::span(queries.values).subspan(at * queries.columns, here * queries.columns),
              options));
      waited += (wall_seconds() - asked) * static_cast<double>(here);
      reads += answer.reads;
      answers.push_back(std::move(answer));
    }
    const auto n = static_cast<double>(queries.rows);
    rates.push_back(n / (wall_seconds() - begin));
    latencies.push_back(waited / n * 1e6);
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const double floor = score(queries.row(q), rows.row(truth[q].back().id - 1)) - 1e-6;
      for (const engine::Hit& hit : answers[q / kInFlight].hits[q % kInFlight]) {
        same += std::any_of(truth[q].begin(), truth[q].end(),
                            [&](const engine::Hit& t) { return t.id == hit.id; });
        as_near += score(queries.row(q), rows.row(hit.id - 1)) >= floor;
      }
    }
    out.reads = static_cast<double>(reads) / n;
    out.precision = 100 * static_cast<double>(same) / (n * kK);
    out.recall = 100 * static_cast<double>(as_near) / (n * kK);
  }
  out.rate = quantile(rates, 0.5);
  out.latency_us = quantile(latencies, 0.5);
  return out;
}

void print(std::size_t list, const std::optional<Published>& published, const Measured& exact,
           const Measured& bounded) {
  const auto cell = [](const char* format, double value) {
    char text[32];
    std::snprintf(text, sizeof text, format, value);
    return std::string(text);
  };
  std::string line = cell("%4.0f", static_cast<double>(list)) + " |";
  if (published) {
    line += cell(" %6.0f", published->rate) + cell(" %7.0f", published->latency_us) +
            cell(" %6.1f", published->reads) + cell(" %6.2f", published->precision) +
            cell(" %6.2f", published->recall) + " |";
  } else {
    line += std::string(36, ' ') + " |";
  }
  for (const Measured* m : {&exact, &bounded})
    line += cell(" %6.0f", m->rate) + cell(" %6.0f", m->latency_us) + cell(" %5.1f", m->reads) +
            cell(" %6.2f", m->precision) + cell(" %6.2f", m->recall) + (m == &exact ? " |" : "\n");
  std::fputs(line.c_str(), stdout);
}

Json json_of(std::size_t list, const char* scores, const Measured& m) {
  return Json{{"list", list},      {"scores", scores},
              {"qps", m.rate},     {"latency_us", m.latency_us},
              {"reads", m.reads},  {"precision", m.precision},
              {"recall", m.recall}};
}

}  // namespace

Status run_table(const TableOptions& options) {
  const auto dimensions = static_cast<std::size_t>(options.dimensions);
  std::printf("making %d x %d vectors of intrinsic dimension %d\n", options.rows,
              options.dimensions, options.intrinsic);
  const ManifoldGenerator generator(dimensions, static_cast<std::size_t>(options.intrinsic),
                                    kManifoldSeed);
  const auto rows = make_vectors(generator, static_cast<std::size_t>(options.rows), 0);
  const auto queries =
      make_vectors(generator, static_cast<std::size_t>(options.queries), kQuerySeed);
  const TemporaryFolder temporary;
  const std::string folder =
      options.folder.empty() ? (temporary.path() / "index").native() : options.folder;
  if (!std::ifstream(folder + "/MANIFEST").is_open()) {
    const double begin = wall_seconds();
    TRY(write_index(folder, rows_of(rows)));
    std::printf("written in %.1f s\n", wall_seconds() - begin);
  }
  const double begin = wall_seconds();
  ASSIGN_OR_RETURN(const auto index, open_lean(folder));
  std::printf("graph and opening %.1f s; %.0f MB in memory\n", wall_seconds() - begin,
              static_cast<double>(index->statistics().bytes_in_memory) / 1e6);
  engine::SearchOptions exactly;
  exactly.k = kK;
  exactly.recall = 1;
  ASSIGN_OR_RETURN(const auto truth, index->search(queries.values, exactly));

  std::printf("\n     | %-34s | %-33s | %s\n", "DiskANN as published", "similis, exact scores",
              "similis, bounded");
  std::printf("%4s | %6s %7s %6s %6s %6s | %6s %6s %5s %6s %6s | %6s %6s %5s %6s %6s\n", "list",
              "QPS", "us", "reads", "prec.", "recall", "QPS", "us", "reads", "prec.", "recall",
              "QPS", "us", "reads", "prec.", "recall");
  std::vector<Json> lines;
  for (const std::size_t list : {10, 20, 30, 40, 50, 100, 150, 250}) {
    engine::SearchOptions how;
    how.k = kK;
    how.list_size = list;
    ASSIGN_OR_RETURN(const Measured exact, measure(*index, rows, queries, truth.hits, how));
    how.scores = engine::ScoreMode::bounded;
    ASSIGN_OR_RETURN(const Measured bounded, measure(*index, rows, queries, truth.hits, how));
    const auto published = std::find_if(std::begin(kPublished), std::end(kPublished),
                                        [&](const Published& p) { return p.list == list; });
    print(list, published != std::end(kPublished) ? std::optional(*published) : std::nullopt, exact,
          bounded);
    lines.push_back(json_of(list, "exact", exact));
    lines.push_back(json_of(list, "bounded", bounded));
  }
  std::printf(
      "\nus: mean latency with %zu queries in flight; prec.: by exact ids, recall: ties "
      "count; medians of %d rounds.\n",
      kInFlight, kRounds);
  for (const Json& line : lines) std::printf("%s\n", line.dump().c_str());
  return {};
}

}  // namespace similis::bench
