// What opening takes: from a process's start to its first answer, the page cache dropped, of a
// closed index and of one whose process was killed with rows in the log.
//   similis_opening_bench WORK [LOG_ROWS]
// WORK holds an index with its graph (similis_disk_bench makes one), which is left as it is; the
// other one is made of a copy, beside it. Prints medians of five, and what an opening is to take at
// most: 0.4 s and as long as the disk takes to read as many bytes one after another.

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "engine/bench_data.h"
#include "engine/index.h"
#include "engine/storage/aligned_buffer.h"
#include "engine/storage/storage.h"

namespace similis::engine {
namespace {

constexpr int kRounds = 5;

/// What this process had the disk read.
std::uint64_t bytes_read() {
  std::ifstream in("/proc/self/io");
  std::string name;
  for (std::uint64_t value = 0; in >> name >> value;)
    if (name == "read_bytes:") return value;
  return 0;
}

std::vector<float> random_query(std::uint32_t dimensions, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> out(dimensions);
  for (float& v : out) v = normal(random);
  return out;
}

/// The process that is timed: opens, answers one query, says what it read, and is gone.
[[noreturn]] void answer_one(const std::filesystem::path& work, std::uint64_t memory) {
  IndexOptions options;
  options.memory = make_memory_budget(memory);
  const auto index = must(Index::open(work, options));
  std::mt19937_64 random(1);
  const auto answer = must(index->search(random_query(index->shape().dimensions, random), {}));
  std::printf("%zu %llu\n", answer.hits[0].size(), static_cast<unsigned long long>(bytes_read()));
  std::fflush(stdout);
  ::_exit(0);
}

/// Runs this program with these words; what it printed.
std::string run(std::vector<std::string> words) {
  int ends[2];
  if (::pipe(ends) != 0) std::exit(1);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  std::vector<char*> arguments;
  words.insert(words.begin(), "similis_opening_bench");
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), environ) != 0)
    std::exit(1);
  posix_spawn_file_actions_destroy(&actions);
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

/// Bytes a second of the largest file of the folder, read once from its beginning.
double sequential_rate(const std::filesystem::path& work) {
  std::filesystem::path largest;
  std::uintmax_t size = 0;
  for (const auto& entry : std::filesystem::directory_iterator(work)) {
    if (entry.file_size() <= size) continue;
    size = entry.file_size();
    largest = entry.path();
  }
  forget(work);
  std::ifstream in;
  std::vector<char> buffer(1 << 20);
  in.rdbuf()->pubsetbuf(nullptr, 0);
  in.open(largest, std::ios::binary);
  std::uint64_t read = 0;
  const double begin = bench_seconds();
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0)
    read += static_cast<std::uint64_t>(in.gcount());
  return static_cast<double>(read) / (bench_seconds() - begin);
}

/// In a process of its own, which ends as if it were killed.
[[noreturn]] void leave_rows_in_log(const std::filesystem::path& work, std::size_t rows) {
  IndexOptions options;
  options.checkpoint_log_bytes = std::uint64_t{1} << 40;
  options.graph_rows_min = UINT32_MAX;  // nothing is made that would write them elsewhere
  const auto index = must(Index::open(work, options));
  std::mt19937_64 random(2);
  constexpr std::size_t kBatch = 1000;
  for (std::size_t done = 0; done < rows; done += kBatch) {
    std::vector<std::vector<float>> vectors;
    std::vector<Row> batch;
    for (std::size_t i = done; i < std::min(rows, done + kBatch); ++i)
      vectors.push_back(random_query(index->shape().dimensions, random));
    const std::uint64_t next = index->max_id() + 1;
    for (std::size_t i = 0; i < vectors.size(); ++i) batch.push_back({next + i, vectors[i], {}});
    must(index->upsert(batch, {}));
  }
  ::_exit(0);
}

/// Opens copies of the folder, as what opens one goes on to work in it.
void measure(const std::filesystem::path& folder, std::size_t log_rows, std::uint64_t memory,
             double rate) {
  std::filesystem::path copy = folder;
  copy += "-opened";
  std::vector<double> times;
  std::uint64_t bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::filesystem::remove_all(copy);
    std::filesystem::copy(folder, copy);
    ::sync();  // what is not on disk cannot be forgotten
    forget(copy);
    const double begin = bench_seconds();
    const std::string said = run({copy.native(), "answer", std::to_string(memory)});
    times.push_back(bench_seconds() - begin);
    unsigned long long hits = 0, read = 0;
    if (std::sscanf(said.c_str(), "%llu %llu", &hits, &read) != 2 || hits == 0) std::exit(1);
    bytes = std::max<std::uint64_t>(bytes, read);
  }
  std::filesystem::remove_all(copy);
  std::sort(times.begin(), times.end());
  const double limit = 0.4 + static_cast<double>(bytes) / rate;
  std::printf("%7zu rows in the log: %.3f s to the first answer, at most %.3f; %.1f MB read\n",
              log_rows, times[kRounds / 2], limit, static_cast<double>(bytes) / 1e6);
  std::printf(
      "{\"log_rows\": %zu, \"first_answer_s\": %.3f, \"limit_s\": %.3f, \"bytes\": %llu, "
      "\"sequential_mb_per_s\": %.0f}\n",
      log_rows, times[kRounds / 2], limit, static_cast<unsigned long long>(bytes), rate / 1e6);
}

void measure_both(const std::filesystem::path& work, std::size_t rows) {
  const double rate = sequential_rate(work);
  const std::uint64_t memory = limit_for(work, "large");
  measure(work, 0, memory, rate);
  std::filesystem::path killed = work;
  killed += "-killed";
  std::filesystem::remove_all(killed);
  std::filesystem::copy(work, killed);
  (void)run({killed.native(), "write", std::to_string(rows)});
  const std::size_t dimensions = must(Index::open(work, {}))->shape().dimensions;
  // Rows of the log are in memory until they are in parts.
  const std::uint64_t row_bytes = round_up(2 * dimensions, 512) + 128;
  measure(killed, rows, memory + rows * row_bytes, rate);
  std::filesystem::remove_all(killed);
}

}  // namespace
}  // namespace similis::engine

int main(int argc, char** argv) {
  namespace engine = similis::engine;
  if (argc < 2 || argc > 4) {
    std::cerr << "similis_opening_bench WORK [LOG_ROWS]\n";
    return 2;
  }
  const std::filesystem::path work = argv[1];
  const std::string word = argc > 2 ? argv[2] : "100000";
  // What it runs in processes of their own.
  if (word == "answer" && argc == 4) engine::answer_one(work, std::stoull(argv[3]));
  if (word == "write" && argc == 4) engine::leave_rows_in_log(work, std::stoull(argv[3]));
  engine::measure_both(work, std::stoull(word));
  return 0;
}
