// How fast an index of kind `flat` opens, searches and takes writes here:
//   similis_flat_bench FOLDER [ROWS [DIMENSIONS]]
// Makes FOLDER/bench-index and removes it at the end. Figures are medians.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/bench_data.h"
#include "engine/index.h"
#include "engine/simd/kernels.h"
#include "engine/storage/aligned_buffer.h"

namespace similis::engine {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// Of all threads together: what remains comparable on a busy machine.
double cpu_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double median_ms(int times, const std::function<void()>& work) {
  std::vector<double> ms;
  for (int i = 0; i < times; ++i) {
    const auto begin = Clock::now();
    work();
    ms.push_back(ms_since(begin));
  }
  std::sort(ms.begin(), ms.end());
  return ms[ms.size() / 2];
}

/// Sequential, in the engine's own way of reading.
double disk_bytes_a_ms(const std::filesystem::path& folder) {
  std::filesystem::path largest;
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.file_size() > bytes) {
      largest = entry.path();
      bytes = entry.file_size();
    }
  }
  const auto opened = File::open(largest, O_RDONLY | O_DIRECT);
  if (!opened.ok()) return 0;
  AlignedBuffer buffer(4 << 20);
  std::uint64_t done = 0;
  const auto begin = Clock::now();
  for (ssize_t n = 1; n > 0; done += static_cast<std::uint64_t>(std::max<ssize_t>(n, 0)))
    n = ::pread(opened->fd(), buffer.data(), buffer.size(), static_cast<off_t>(done));
  return static_cast<double>(done) / ms_since(begin);
}

void run(const std::filesystem::path& folder, std::uint64_t rows, std::uint32_t dimensions) {
  const auto path = folder / "bench-index";
  std::filesystem::remove_all(path);
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(rows * dimensions);
  for (float& v : values) v = normal(random);
  std::vector<float> queries(64 * std::size_t{dimensions});
  for (float& v : queries) v = normal(random);
  const std::span<const float> one(queries.data(), dimensions);
  std::printf("kernels %s, %llu x %u\n", simd::kernels().name,
              static_cast<unsigned long long>(rows), dimensions);

  IndexOptions options;
  options.checkpoint_log_bytes = UINT64_MAX / 16;
  auto index = must(Index::create(path, {dimensions, Metric::cosine, IndexKind::flat}, options));
  auto begin = Clock::now();
  for (std::uint64_t first = 0; first < rows; first += 1000) {
    std::vector<Row> batch;
    for (std::uint64_t i = first; i < std::min(rows, first + 1000); ++i)
      batch.push_back({i + 1, {values.data() + i * dimensions, dimensions}, {}});
    must(index->upsert(batch, {}));
  }
  std::printf("upsert in batches of 1000       %9.0f rows/s\n",
              static_cast<double>(rows) / ms_since(begin) * 1000);
  must(index->close());
  index.reset();

  forget(path);
  const double rate = disk_bytes_a_ms(path);
  std::printf("disk, sequential                %9.0f MB/s\n", rate / 1000);
  const auto open = [&](const char* what, const IndexOptions& with) {
    forget(path);
    const auto opening = Clock::now();
    const double cpu = cpu_ms();
    index = must(Index::open(path, with));
    const double ms = ms_since(opening), used = cpu_ms() - cpu;
    const auto stats = index->statistics();
    std::printf("open, %-25s %9.1f ms (bytes / disk rate %.1f ms, CPU %.1f ms)\n", what, ms,
                static_cast<double>(stats.bytes_on_disk) / rate, used);
    return stats;
  };
  open("all rows in the log", options);
  begin = Clock::now();
  must(index->checkpoint());
  std::printf("checkpoint of all rows          %9.1f ms\n", ms_since(begin));
  index.reset();
  const auto stats = open("all rows in parts", options);

  const SearchOptions ten{.k = 10, .filter = {}, .call = {}};
  const double before = cpu_ms();
  const double ms = median_ms(31, [&] { must(index->search(one, ten)); });
  std::printf("search, one query               %9.2f ms (CPU %.2f ms)\n", ms,
              (cpu_ms() - before) / 31);
  std::printf("search, k = 1000                %9.2f ms\n", median_ms(11, [&] {
                must(index->search(one, {.k = 1000, .filter = {}, .call = {}}));
              }));
  std::printf("search, 64 queries at once      %9.2f ms each\n",
              median_ms(3, [&] { must(index->search(queries, ten)); }) / 64);
  index.reset();

  options.memory = make_memory_budget(stats.bytes_in_memory + stats.read_buffer_bytes -
                                      stats.vector_bytes_in_memory / 2);
  const auto limited = open("half of the vectors fit", options);
  const double bytes = static_cast<double>(limited.vector_bytes_on_disk_only);
  std::printf("search, %4.0f MB from disk        %9.2f ms (bytes / disk rate %.1f ms)\n",
              bytes / 1e6, median_ms(7, [&] { must(index->search(one, ten)); }), bytes / rate);
  index.reset();
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace similis::engine

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: similis_flat_bench FOLDER [ROWS [DIMENSIONS]]\n");
    return 2;
  }
  similis::engine::run(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100000,
                       argc > 3 ? static_cast<std::uint32_t>(std::atoi(argv[3])) : 1280);
  return 0;
}
