// The index with its graph: building it, and searches with the vectors on disk, under the memory
// limits that make it keep each length of codes, and in memory.
//   similis_disk_bench FOLDER WORK [build] [hard] [json] [TIER ...]
// FOLDER holds base.npy, query.npy and truth.npy (f32, f32, int64); the index in WORK is made once.
// build: that only; hard: settings for data whose near ones are hard to find; json: lines, vectors
// on disk only. Each tier is searched in a process of its own, whose memory nothing else has grown.

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/bench_data.h"
#include "engine/index.h"
#include "engine/storage/aligned_buffer.h"
#include "engine/storage/format.h"
#include "engine/storage/storage.h"

namespace similis::engine {
namespace {

bool json = false;
bool hard = false;
constexpr unsigned kThreads = 2;  // of all that are compared

/// Resident memory of this process, MB.
double resident_mb() {
  long pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

/// The most it was since forget_peak(), MB.
double peak_mb() {
  std::ifstream in("/proc/self/status");
  double kilobytes = 0;
  for (std::string line; std::getline(in, line);)
    if (std::sscanf(line.c_str(), "VmHWM: %lf kB", &kilobytes) == 1) break;
  return kilobytes * 1024 / 1e6;
}

/// False where the kernel does not allow it.
bool forget_peak() {
  std::ofstream out("/proc/self/clear_refs");
  out << 5;
  return static_cast<bool>(out.flush());
}

void build(const std::filesystem::path& work, Table<float> base) {
  IndexShape shape;
  shape.dimensions = static_cast<std::uint32_t>(base.columns);
  shape.kind = IndexKind::graph;
  IndexOptions options;
  options.graph_rows_min = UINT32_MAX;  // one building at the end
  options.threads = kThreads;
  double begin = bench_seconds();
  {
    const auto index = must(Index::create(work, shape, options));
    constexpr std::size_t kBatch = 1000;
    for (std::size_t at = 0; at < base.rows; at += kBatch) {
      std::vector<Row> rows;
      for (std::size_t i = at; i < std::min(base.rows, at + kBatch); ++i)
        rows.push_back({i + 1, base.row(i), {}});
      must(index->upsert(rows, {}));
    }
    must(index->checkpoint());
    must(index->close());
  }
  std::printf(json ? "{\"engine\": \"similis\", \"write_s\": %.1f}\n" : "written: %.1f s\n",
              bench_seconds() - begin);
  base = {};
  ::malloc_trim(0);
  const double resident_before = resident_mb();
  options = {};
  options.threads = kThreads;
  const auto index = must(Index::open(work, options));
  const bool peak_counts = forget_peak();
  begin = bench_seconds();
  must(index->build_graphs({}));
  const double taken = bench_seconds() - begin;
  const double peak = peak_mb() - resident_before -
                      static_cast<double>(index->statistics().vector_bytes_in_memory) / 1e6;
  std::printf(json ? "{\"engine\": \"similis\", \"build_s\": %.1f, \"build_peak_mb\": %.1f}\n"
                   : "graph built: %.1f s, beside the vectors %.1f MB at most\n",
              taken, peak_counts ? peak : 0);
}

/// Those between which the figures at a recall are interpolated: from few reads to many, as the
/// buffers for them stay and resident memory is to be what each takes.
std::vector<SearchOptions> settings(bool on_disk, bool all) {
  std::vector<SearchOptions> out;
  const auto add = [&](ScoreMode scores, const std::vector<float>& recalls,
                       const std::vector<float>& doubts, const std::vector<float>& reaches) {
    for (const float recall : recalls) {
      out.emplace_back().scores = scores;
      out.back().recall = recall;
    }
    for (const float doubt : doubts) {
      for (const float reach : reaches) {
        out.emplace_back().scores = scores;
        out.back().reach = reach;
        out.back().doubt = doubt;
      }
    }
  };
  const auto exact = ScoreMode::exact, bounded = ScoreMode::bounded;
  const auto reaches = hard ? std::vector{0.02F, 0.05F, 0.1F, 0.2F, 0.3F, 0.5F}
                            : std::vector{0.05F, 0.065F, 0.08F, 0.1F, 0.13F, 0.2F};
  if (on_disk) {
    add(bounded, {0.95F}, {0.5F, 0.7F, 0.85F}, reaches);
    add(bounded, {0.99F}, {1, 1.6F}, reaches);
    add(bounded, {0.999F}, {2.2F, 3}, reaches);
  }
  add(exact, {0.9F, 0.95F, 0.99F, 0.999F}, {}, {});
  if (all) add(exact, {}, {0.7F, 1, 1.6F, 3}, reaches);
  if (!on_disk) add(exact, {1}, {}, {});  // without the graph
  return out;
}

/// Random reads a second of a slot each, as searches ask for them: what the disk allows.
double disk_reads(const std::filesystem::path& work, std::uint32_t bytes) {
  constexpr double kSeconds = 2;
  constexpr std::size_t kInGroup = 8, kGroups = 16;
  std::filesystem::path largest;
  std::uintmax_t size = 0;
  for (const auto& entry : std::filesystem::directory_iterator(work)) {
    if (!entry.path().filename().native().starts_with("part-") || entry.file_size() <= size)
      continue;
    size = entry.file_size();
    largest = entry.path();
  }
  const auto file = must(posix_storage().open(largest));
  std::atomic<std::uint64_t> reads{0};
  const auto read = [&](unsigned seed) {
    std::mt19937_64 random(seed);
    const auto queue = posix_storage().make_read_queue();
    const std::size_t room = round_up(bytes, kBlockBytes);
    AlignedBuffer buffer(room * kInGroup * kGroups);
    std::vector<ReadGroup> groups(kGroups);
    for (std::size_t g = 0; g < kGroups; ++g)
      for (std::size_t i = 0; i < kInGroup; ++i)
        groups[g].requests.push_back(
            {file.get(), 0, {buffer.data() + (g * kInGroup + i) * room, bytes}, {}});
    const double end = bench_seconds() + kSeconds;
    for (bool goes_on = true; goes_on; goes_on = bench_seconds() < end) {
      for (ReadGroup& group : groups) {
        if (group.pending > 0) continue;
        for (ReadRequest& request : group.requests)
          request.offset = random() % ((size - bytes) / 512) * 512;
        ReadGroup* const one = &group;
        queue->submit({&one, 1});
        reads += kInGroup;
      }
      queue->reap(true);
    }
    for (ReadGroup& group : groups)
      while (group.pending > 0) queue->reap(true);
  };
  {
    std::jthread other(read, 1);
    read(2);
  }
  return static_cast<double>(reads) / kSeconds;
}

double size_on_disk(const std::filesystem::path& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) bytes += entry.file_size();
  return static_cast<double>(bytes);
}

/// The share of the true k nearest among the hits.
double recall_of(const std::vector<std::vector<Hit>>& hits, const Table<std::int64_t>& truth,
                 std::size_t k) {
  std::size_t right = 0;
  for (std::size_t q = 0; q < hits.size(); ++q) {
    const auto wanted = truth.row(q).first(k);
    for (const Hit& hit : hits[q])
      right += std::find(wanted.begin(), wanted.end(), static_cast<std::int64_t>(hit.id) - 1) !=
               wanted.end();
  }
  return static_cast<double>(right) / static_cast<double>(hits.size() * k);
}

/// The first thousand queries after opening, one at a time, with a search's own settings.
void search_cold(const Index& index, const std::filesystem::path& work, const std::string& tier,
                 const Table<float>& queries, const Table<std::int64_t>& truth, double opening) {
  const SearchOptions options;
  std::vector<double> times;
  std::vector<std::vector<Hit>> hits;
  for (std::size_t q = 0; q < std::min<std::size_t>(1000, queries.rows); ++q) {
    const double begin = bench_seconds();
    SearchAnswer answer = must(index.search(queries.row(q), options));
    times.push_back((bench_seconds() - begin) * 1e6);
    hits.push_back(std::move(answer.hits.front()));
  }
  std::sort(times.begin(), times.end());
  std::printf(
      json ? "{\"engine\": \"similis\", \"tier\": \"%s\", \"open_s\": %.3f, \"disk_mb\": %.1f, "
             "\"cold_p50_us\": %.0f, \"cold_p99_us\": %.0f, \"cold_recall\": %.4f}\n"
           : "%s codes: opened in %.3f s; %.1f MB on disk; the first queries, one at a time: p50 "
             "%.0f us, p99 %.0f us, recall %.4f\n",
      tier.c_str(), opening, size_on_disk(work) / 1e6, times[times.size() / 2],
      times[times.size() * 99 / 100], recall_of(hits, truth, options.k));
}

/// Runs it in a process of its own; what it returns is read from a pipe, empty when it failed.
std::string apart(const std::function<std::string()>& what) {
  std::fflush(stdout);
  int ends[2];
  if (::pipe(ends) != 0) std::exit(1);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    const std::string said = what();
    std::fflush(stdout);
    const bool written =
        ::write(ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size());
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  std::string out;
  char piece[256];
  for (ssize_t n = 0; (n = ::read(ends[0], piece, sizeof piece)) > 0;)
    out.append(piece, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) std::exit(1);
  return out;
}

void search(const std::filesystem::path& work, const Table<float>& queries,
            const Table<std::int64_t>& truth, std::uint64_t memory, const std::string& tier) {
  IndexOptions options;
  options.threads = kThreads;
  if (memory != 0) options.memory = make_memory_budget(memory);
  forget(work);
  const double resident_before = resident_mb();
  double begin = bench_seconds();
  const auto index = must(Index::open(work, options));
  const double opening = bench_seconds() - begin;
  if (memory != 0) search_cold(*index, work, tier, queries, truth, opening);
  // Vectors are loaded behind the opening.
  if (memory == 0) {
    while (index->statistics().vector_bytes_on_disk_only > 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (memory != 0 && tier == "large") {
    const auto slot = static_cast<std::uint32_t>(round_up(2 * queries.columns, 512));
    std::printf(json ? "{\"engine\": \"similis\", \"disk_reads_per_s\": %.0f}\n"
                     : "the disk: %.0f random reads a second\n",
                disk_reads(work, slot));
  }
  const IndexStatistics before = index->statistics();
  std::printf(
      "%s codes, vectors %s: opened in %.2f s; %.1f MB in memory, %.1f of them graph and codes, "
      "vectors %.1f; resident %.1f MB\n",
      before.code_tier.c_str(), memory == 0 ? "in memory" : "on disk", opening,
      static_cast<double>(before.bytes_in_memory) / 1e6,
      static_cast<double>(before.graph_bytes_in_memory) / 1e6,
      static_cast<double>(before.vector_bytes_in_memory) / 1e6, resident_mb() - resident_before);
  if (memory != 0 && before.code_tier != tier) {
    std::cerr << "a limit for " << tier << " codes gave " << before.code_tier << '\n';
    std::exit(1);
  }
  if (!json)
    std::printf("%10s %8s %9s %8s %9s %9s %8s\n", "reach", "recall", "per s", "reads", "p50 us",
                "p99 us", "RSS MB");
  for (const SearchOptions& setting : settings(memory != 0, tier == "large")) {
    std::vector<double> rates, alone;
    SearchAnswer answer;
    for (int round = 0; round < 5; ++round) {
      begin = bench_seconds();
      answer = must(index->search(queries.values, setting));
      rates.push_back(static_cast<double>(queries.rows) / (bench_seconds() - begin));
    }
    for (std::size_t q = 0; q < std::min<std::size_t>(500, queries.rows); ++q) {
      begin = bench_seconds();
      (void)must(index->search(queries.row(q), setting));
      alone.push_back((bench_seconds() - begin) * 1e6);
    }
    std::sort(rates.begin(), rates.end());
    std::sort(alone.begin(), alone.end());
    // ~ bounded, with its doubt; @ as calibrated.
    const auto short_of = [](float value) { return std::to_string(value).substr(0, 5); };
    const std::string target = short_of(setting.recall);
    std::string what = setting.reach != 0 ? short_of(setting.reach) : "@" + target;
    if (setting.doubt != 0) what = short_of(setting.doubt).substr(0, 4) + " " + what;
    if (setting.scores == ScoreMode::bounded) what = "~" + what;
    const double recall = recall_of(answer.hits, truth, setting.k);
    const double rate = rates[rates.size() / 2];
    const double reads = static_cast<double>(answer.reads) / static_cast<double>(queries.rows);
    const double bytes = static_cast<double>(answer.bytes_read) / static_cast<double>(queries.rows);
    const double p50 = alone[alone.size() / 2], p99 = alone[alone.size() * 99 / 100];
    if (!json) {
      std::printf("%10s %8.4f %9.0f %8.2f %9.0f %9.0f %8.1f\n", what.c_str(), recall, rate, reads,
                  p50, p99, resident_mb() - resident_before);
      continue;
    }
    std::printf(
        "{\"engine\": \"similis\", \"tier\": \"%s\", \"scores\": \"%s\", \"target\": %s, "
        "\"reach\": %.3f, \"doubt\": %.2f, "
        "\"recall10\": %.4f, \"qps\": %.0f, \"reads\": %.2f, \"bytes\": %.0f, \"p50_us\": %.0f, "
        "\"p99_us\": %.0f, \"rss_mb\": %.1f}\n",
        tier.c_str(), setting.scores == ScoreMode::bounded ? "bounded" : "exact", target.c_str(),
        static_cast<double>(setting.reach), static_cast<double>(setting.doubt), recall, rate, reads,
        bytes, p50, p99, resident_mb() - resident_before);
  }
}

void run(const std::string& folder, const std::string& work, bool build_only,
         std::vector<std::string> tiers) {
  if (!std::filesystem::exists(work + "/MANIFEST")) {
    apart([&] {
      build(work, read_npy<float>(folder + "/base.npy"));
      return std::string();
    });
  }
  if (build_only) return;
  const auto queries = read_npy<float>(folder + "/query.npy");
  const auto truth = read_npy<std::int64_t>(folder + "/truth.npy");
  const bool chosen = !tiers.empty();
  if (!chosen) tiers = {"large", "middle", "small", "smallest"};
  for (const std::string& tier : tiers) {
    const std::string limit = apart([&] { return std::to_string(limit_for(work, tier)); });
    apart([&] {
      search(work, queries, truth, std::stoull(limit), tier);
      return std::string();
    });
  }
  if (!json && !chosen) search(work, queries, truth, 0, "large");
}

}  // namespace
}  // namespace similis::engine

int main(int argc, char** argv) {
  namespace engine = similis::engine;
  if (argc < 3) {
    std::cerr << "similis_disk_bench FOLDER WORK [build] [hard] [json] [TIER ...]\n";
    return 2;
  }
  bool build_only = false;
  std::vector<std::string> tiers;
  for (int i = 3; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "json") {
      engine::json = true;
    } else if (word == "hard") {
      engine::hard = true;
    } else if (word == "build") {
      build_only = true;
    } else {
      tiers.push_back(word);
    }
  }
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // into a file too, line by line
  engine::run(argv[1], argv[2], build_only, std::move(tiers));
  return 0;
}
