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

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

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

struct Said {
  std::string text;
  double seconds = 0;  // until it began to say it
};

/// Runs this program with these words in a process of its own.
Said run(std::vector<std::string> words) {
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
  const double begin = bench_seconds();
  if (::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), environ) != 0)
    std::exit(1);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  Said out;
  char piece[256];
  for (ssize_t n = 0; (n = ::read(ends[0], piece, sizeof piece)) > 0;) {
    if (out.text.empty()) out.seconds = bench_seconds() - begin;
    out.text.append(piece, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) std::exit(1);
  return out;
}

/// Bytes a second of the largest file of the folder, read from its beginning past the page cache.
double sequential_rate(const std::filesystem::path& work) {
  std::filesystem::path largest;
  std::uintmax_t size = 0;
  for (const auto& entry : std::filesystem::directory_iterator(work)) {
    if (entry.file_size() <= size) continue;
    size = entry.file_size();
    largest = entry.path();
  }
  constexpr std::size_t kPiece = 1 << 20, kPieces = 8;
  const auto file = must(posix_storage().open(largest));
  const auto queue = posix_storage().make_read_queue();
  AlignedBuffer buffer(kPiece * kPieces);
  std::vector<double> rates;
  for (int round = 0; round < kRounds; ++round) {
    const double begin = bench_seconds();
    std::uint64_t read = 0;
    while (read + kBlockBytes <= size) {
      ReadGroup group;
      for (std::size_t i = 0; i < kPieces; ++i) {
        const std::size_t bytes = std::min(kPiece, (size - read) / kBlockBytes * kBlockBytes);
        if (bytes == 0) break;
        group.requests.push_back({file.get(), read, {buffer.data() + i * kPiece, bytes}, {}});
        read += bytes;
      }
      ReadGroup* const one = &group;
      queue->submit({&one, 1});
      while (group.pending > 0) queue->reap(true);
    }
    rates.push_back(static_cast<double>(read) / (bench_seconds() - begin));
  }
  return median(rates);
}

/// In a process of its own, which says how many dimensions there are and ends as if it were killed.
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
  std::printf("%u\n", index->shape().dimensions);
  std::fflush(stdout);
  ::_exit(0);
}

/// Opens copies of the folder, as what opens one goes on to work in it.
void measure(const std::filesystem::path& folder, std::size_t log_rows, std::uint64_t memory,
             double rate) {
  std::filesystem::path copy = folder;
  copy += "-opened";
  std::vector<double> times, bytes;
  for (int round = 0; round < kRounds; ++round) {
    std::filesystem::remove_all(copy);
    std::filesystem::copy(folder, copy);
    ::sync();  // what is not on disk cannot be forgotten
    forget(copy);
    const Said said = run({copy.native(), "answer", std::to_string(memory)});
    times.push_back(said.seconds);
    unsigned long long hits = 0, read = 0;
    if (std::sscanf(said.text.c_str(), "%llu %llu", &hits, &read) != 2 || hits == 0) std::exit(1);
    bytes.push_back(static_cast<double>(read));
  }
  std::filesystem::remove_all(copy);
  const double limit = 0.4 + median(bytes) / rate;
  std::printf("%7zu rows in the log: %.3f s to the first answer, at most %.3f; %.1f MB read%s\n",
              log_rows, median(times), limit, median(bytes) / 1e6,
              median(bytes) == 0 ? " (from no disk)" : "");
  std::printf(
      "{\"log_rows\": %zu, \"first_answer_s\": %.3f, \"limit_s\": %.3f, \"bytes\": %.0f, "
      "\"sequential_mb_per_s\": %.0f}\n",
      log_rows, median(times), limit, median(bytes), rate / 1e6);
}

void measure_both(const std::filesystem::path& work, std::size_t rows) {
  std::filesystem::path killed = work;
  killed += "-killed";
  std::filesystem::remove_all(killed);
  std::filesystem::copy(work, killed);
  const double rate = sequential_rate(killed);
  const std::uint64_t memory = limit_for(killed, "large");
  if (memory == 0) {
    std::cerr << work << " has no graph\n";
    std::exit(1);
  }
  const std::size_t dimensions =
      std::stoull(run({killed.native(), "write", std::to_string(rows)}).text);
  measure(work, 0, memory, rate);
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
  // Without a slash behind it: copies lie beside it.
  const auto work = (std::filesystem::path(argv[1]) / "").parent_path();
  const std::string word = argc > 2 ? argv[2] : "100000";
  // What it runs in processes of their own.
  if (word == "answer" && argc == 4) engine::answer_one(work, std::stoull(argv[3]));
  if (word == "write" && argc == 4) engine::leave_rows_in_log(work, std::stoull(argv[3]));
  engine::measure_both(work, std::stoull(word));
  return 0;
}
