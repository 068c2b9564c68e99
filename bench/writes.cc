#include "writes.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include "base/temporary_folder.h"
#include "lean_index.h"
#include "measure.h"
#include "vectors.h"
#include "wire/json.h"

namespace similis::bench {
namespace {

using engine::Index;
using engine::Table;

constexpr std::size_t kK = 10;
constexpr std::size_t kBatch = 100;
// At a fixed length of the list graphs are compared whatever their calibrations say.
constexpr std::size_t kList = 60;
// What searches run beside.
constexpr std::size_t kRowsAtOnce = 10;
constexpr double kRowsASecond = 100;
// Of rows written for the rate alone, and how long that may take.
constexpr std::size_t kCallsMost = 2000;
constexpr std::size_t kRowsMost = 20'000;
constexpr double kRateSeconds = 10;
// A graph is made beside the old one, and of more rows.
constexpr std::uint64_t kGrowth = 3;

/// Two thirds of all vectors stand under the ids 1, 2, ... at first; the others, every third of
/// them, come later.
struct Data {
  Table<float> vectors, queries;
  Rows rows, others;
};

Data load(const WritesOptions& options) {
  Data out;
  if (options.data.empty()) {
    std::printf("making %d x %d vectors of intrinsic dimension %d\n", options.rows,
                options.dimensions, options.intrinsic);
    const ManifoldGenerator generator(static_cast<std::size_t>(options.dimensions),
                                      static_cast<std::size_t>(options.intrinsic), kManifoldSeed);
    out.vectors = make_vectors(generator, static_cast<std::size_t>(options.rows) * 3 / 2, 0);
    out.queries = make_vectors(generator, static_cast<std::size_t>(options.queries), kQuerySeed);
  } else {
    out.vectors = engine::read_npy<float>(options.data + "/base.npy");
    out.queries = engine::read_npy<float>(options.data + "/query.npy");
  }
  for (std::size_t i = 0; i < out.vectors.rows; ++i)
    (i % 3 == 2 ? out.others : out.rows).push_back(out.vectors.row(i));
  return out;
}

/// Writes rows under the ids from `first_id` on, `step` apart.
Status upsert(Index& index, std::uint64_t first_id, std::uint64_t step, const Rows& rows,
              std::size_t first_row, std::size_t count) {
  std::vector<engine::Row> batch;
  for (std::size_t i = 0; i < count; ++i)
    batch.push_back({first_id + i * step, rows[(first_row + i) % rows.size()], {}});
  TRY(index.upsert(batch, {}));
  return {};
}

/// Rows a second when `write` is called for one batch after another; `count` becomes how many rows
/// there was time for.
Result<double> rate(std::size_t batch, std::size_t& count,
                    const std::function<Status(std::size_t first)>& write) {
  const double begin = wall_seconds();
  std::size_t done = 0;
  while (done < count && wall_seconds() - begin < kRateSeconds) {
    TRY(write(done));
    done += batch;
  }
  count = done;
  return static_cast<double>(done) / (wall_seconds() - begin);
}

/// Until the index neither changes nor computes. Seconds until then.
double rest(const Index& index) {
  constexpr double kStill = 6;  // maintenance looks every two seconds
  constexpr double kBusyShare = 0.03;
  const double begin = wall_seconds();
  double since = begin;
  std::uint64_t files = 0, covered = 0;
  while (wall_seconds() - since < kStill) {
    const double cpu = cpu_seconds(), now = wall_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const engine::IndexStatistics s = index.statistics();
    const bool busy = cpu_seconds() - cpu > kBusyShare * (wall_seconds() - now);
    if (busy || s.files != files || s.graph_rows != covered) since = wall_seconds();
    files = s.files;
    covered = s.graph_rows;
  }
  return since - begin;
}

/// Microseconds of searches one at a time, as exact and as complete as by default.
Result<std::vector<double>> search_alone(const Index& index, const Table<float>& queries,
                                         double seconds) {
  std::vector<double> out;
  const double end = wall_seconds() + seconds;
  for (double begin = wall_seconds(); begin < end; begin = wall_seconds()) {
    TRY(index.search(queries.row(out.size() % queries.rows), {}));
    out.push_back((wall_seconds() - begin) * 1e6);
  }
  return out;
}

/// The same while rows are written. `written`: how many of the rows a second there was time for.
Result<std::vector<double>> search_beside_writes(Index& index, const Data& data, double seconds,
                                                 double& written) {
  Status status;
  std::size_t count = 0;
  const double begin = wall_seconds();
  Result<std::vector<double>> out = std::vector<double>();
  {
    std::jthread writer([&](const std::stop_token& stop) {
      const std::uint64_t first_id = index.max_id() + 1;
      auto next = std::chrono::steady_clock::now();
      while (!stop.stop_requested() && status.ok()) {
        status = upsert(index, first_id + count, 1, data.others, count, kRowsAtOnce);
        count += kRowsAtOnce;
        next += std::chrono::microseconds(static_cast<int>(1e6 * kRowsAtOnce / kRowsASecond));
        std::this_thread::sleep_until(next);
      }
    });
    out = search_alone(index, data.queries, seconds);
  }
  TRY(status);
  written = static_cast<double>(count) / (wall_seconds() - begin);
  return out;
}

/// The share of the true hits that were found.
double recall_of(const engine::SearchAnswer& answer, const engine::SearchAnswer& truth) {
  std::size_t right = 0, all = 0;
  for (std::size_t q = 0; q < truth.hits.size(); ++q) {
    all += truth.hits[q].size();
    for (const engine::Hit& hit : answer.hits[q])
      right += std::any_of(truth.hits[q].begin(), truth.hits[q].end(),
                           [&](const engine::Hit& t) { return t.id == hit.id; });
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

struct Found {
  double recall = 0, recall_at_list = 0, rate = 0, reads = 0, p50 = 0, p99 = 0, seconds = 0;
  engine::IndexStatistics statistics;
};

Result<Found> find(const Index& index, const Table<float>& queries) {
  Found out;
  out.statistics = index.statistics();
  engine::SearchOptions options;
  options.k = kK;
  const double begin = wall_seconds();
  ASSIGN_OR_RETURN(const auto answer, index.search(queries.values, options));
  out.rate = static_cast<double>(queries.rows) / (wall_seconds() - begin);
  out.reads = static_cast<double>(answer.reads) / static_cast<double>(queries.rows);
  ASSIGN_OR_RETURN(const auto alone, search_alone(index, queries, 1));
  out.p50 = quantile(alone, 0.5);
  out.p99 = quantile(alone, 0.99);
  options.list_size = kList;
  ASSIGN_OR_RETURN(const auto listed, index.search(queries.values, options));
  options = {};
  options.k = kK;
  options.recall = 1;
  ASSIGN_OR_RETURN(const auto truth, index.search(queries.values, options));
  out.recall = recall_of(answer, truth);
  out.recall_at_list = recall_of(listed, truth);
  return out;
}

void print(const char* state, const Found& found, std::vector<Json>& lines) {
  const engine::IndexStatistics& s = found.statistics;
  std::printf("%-34s %6.4f %7.4f %9.0f %5.1f %6.0f %6.0f %9.0f %7.0f %5.0f %7.0f\n", state,
              found.recall, found.recall_at_list, found.rate, found.reads, found.p50, found.p99,
              static_cast<double>(s.graph_rows), static_cast<double>(s.dead_rows),
              static_cast<double>(s.bytes_in_memory) / 1e6, found.seconds);
  lines.push_back({{"measured", "half of the rows replaced"},
                   {"state", state},
                   {"recall10", found.recall},
                   {"recall10_at_list_60", found.recall_at_list},
                   {"qps", found.rate},
                   {"reads", found.reads},
                   {"p50_us", found.p50},
                   {"p99_us", found.p99},
                   {"rows", s.rows},
                   {"dead_rows", s.dead_rows},
                   {"graph_rows", s.graph_rows},
                   {"memory_mb", static_cast<double>(s.bytes_in_memory) / 1e6},
                   {"after_s", found.seconds}});
}

/// Every second row is replaced by another. `data.rows` is afterwards what the index holds.
Status measure_replaced(const std::string& folder, Data& data, std::vector<Json>& lines) {
  TRY(write_index(folder, data.rows));
  ASSIGN_OR_RETURN(const auto index, open_lean(folder, kGrowth));
  std::printf("\n%-32s %8s %9s %6s %7s %7s %9s %9s %8s %6s\n", "half of the rows replaced",
              "recall", "queries/s", "reads", "p50 us", "p99 us", "in graphs", "dead", "MB",
              "after");
  ASSIGN_OR_RETURN(const Found before, find(*index, data.queries));
  print("before", before, lines);
  const double begin = wall_seconds();
  const std::size_t half = std::min(data.rows.size() / 2, data.others.size());
  for (std::size_t at = 0; at < half; at += kBatch) {
    const std::size_t count = std::min(kBatch, half - at);
    TRY(upsert(*index, 2 * at + 1, 2, data.others, at, count));
  }
  for (std::size_t i = 0; i < half; ++i) std::swap(data.rows[2 * i], data.others[i]);
  ASSIGN_OR_RETURN(Found found, find(*index, data.queries));
  found.seconds = wall_seconds() - begin;
  print("right after", found, lines);
  const double resting = wall_seconds();
  const double waited = rest(*index);
  ASSIGN_OR_RETURN(found, find(*index, data.queries));
  found.seconds = resting - begin + waited;
  print("when maintenance has come to rest", found, lines);
  return index->close();
}

Status measure_beside(Index& index, const Data& data, double seconds, std::vector<Json>& lines) {
  double written = 0;
  ASSIGN_OR_RETURN(const auto quiet, search_alone(index, data.queries, seconds));
  ASSIGN_OR_RETURN(const auto beside, search_beside_writes(index, data, seconds, written));
  std::printf("\n%-32s %8s %8s\n", "one search after another, us", "p50", "p99");
  std::printf("%-32s %8.0f %8.0f\n", "nothing is written", quantile(quiet, 0.5),
              quantile(quiet, 0.99));
  const double ratio = quantile(beside, 0.99) / quantile(quiet, 0.99);
  std::printf("beside %3.0f rows/s in batches of %zu  %7.0f %8.0f, %.2f times\n", written,
              kRowsAtOnce, quantile(beside, 0.5), quantile(beside, 0.99), ratio);
  lines.push_back({{"measured", "search"},
                   {"rows_written_per_s", 0},
                   {"p50_us", quantile(quiet, 0.5)},
                   {"p99_us", quantile(quiet, 0.99)},
                   {"searches", quiet.size()}});
  lines.push_back({{"measured", "search"},
                   {"rows_written_per_s", written},
                   {"p50_us", quantile(beside, 0.5)},
                   {"p99_us", quantile(beside, 0.99)},
                   {"searches", beside.size()},
                   {"p99_ratio", ratio}});
  return {};
}

Status measure_rates(Index& index, const Data& data, std::vector<Json>& lines) {
  std::printf("\n%-32s %12s %14s\n", "rows a second, durable", "one a call", "a hundred");
  std::vector<std::uint64_t> first_ids;
  std::vector<std::size_t> counts{kCallsMost, kRowsMost};
  std::vector<double> rates;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t batch = i == 0 ? 1 : kBatch;
    first_ids.push_back(index.max_id() + 1);
    ASSIGN_OR_RETURN(const double inserted, rate(batch, counts[i], [&](std::size_t first) {
                       return upsert(index, first_ids[i] + first, 1, data.others, first, batch);
                     }));
    rates.push_back(inserted);
    lines.push_back({{"measured", "insert"}, {"batch", batch}, {"rows_per_s", inserted}});
  }
  std::printf("%-32s %12.0f %14.0f\n", "inserted", rates[0], rates[1]);
  const double settled = rest(index);
  lines.push_back({{"measured", "rest after inserts"}, {"seconds", settled}});
  rates.clear();
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t batch = i == 0 ? 1 : kBatch;
    ASSIGN_OR_RETURN(const double erased, rate(batch, counts[i], [&](std::size_t first) -> Status {
                       std::vector<std::uint64_t> ids(batch);
                       std::iota(ids.begin(), ids.end(), first_ids[i] + first);
                       TRY(index.erase(ids, {}));
                       return {};
                     }));
    rates.push_back(erased);
    lines.push_back({{"measured", "delete"}, {"batch", batch}, {"rows_per_s", erased}});
  }
  std::printf("%-32s %12.0f %14.0f\n", "deleted", rates[0], rates[1]);
  std::printf("after the inserts maintenance was busy for %.0f s\n", settled);
  return {};
}

}  // namespace

Status run_writes(const WritesOptions& options) {
  Data data = load(options);
  if (data.others.empty() || data.queries.rows == 0)
    return Error(ErrorCode::invalid_argument, "there are too few vectors");
  std::printf("%zu rows, vectors on disk, exact scores, recall 0.99, k = %zu\n", data.rows.size(),
              kK);
  const TemporaryFolder temporary;
  std::vector<Json> lines;
  TRY(measure_replaced((temporary.path() / "replaced").native(), data, lines));
  std::error_code ignored;
  std::filesystem::remove_all(temporary.path() / "replaced", ignored);

  const std::string folder = (temporary.path() / "fresh").native();
  const double begin = wall_seconds();
  TRY(write_index(folder, data.rows));
  ASSIGN_OR_RETURN(const auto index, open_lean(folder, kGrowth));
  const double built = wall_seconds() - begin;
  ASSIGN_OR_RETURN(Found fresh, find(*index, data.queries));
  fresh.seconds = built;
  print("the same rows, built anew", fresh, lines);
  TRY(measure_beside(*index, data, options.seconds, lines));
  TRY(measure_rates(*index, data, lines));
  std::printf("\n");
  for (const Json& line : lines) std::printf("%s\n", line.dump().c_str());
  return {};
}

}  // namespace similis::bench
