// Kills the ingesting process at random moments, starts it again until it ends, and compares what
// is there with a run that nobody disturbed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "base/hex.h"
#include "crash/stores.h"

namespace similis {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

template <typename T>
T value_of(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  ADD_FAILURE() << error_code_name(result.error().code) << ": " << result.error().message;
  return T{};
}

/// A program that is running. Killed when it goes out of scope.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const fs::path& output) {
    pid_ = fork();
    if (pid_ != 0) return;
    const int out = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out, STDOUT_FILENO);
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~Process() { kill(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Its exit code; nullopt when it is still running after so long.
  std::optional<int> wait(std::chrono::milliseconds at_most) {
    const auto until = std::chrono::steady_clock::now() + at_most;
    for (;;) {
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
      if (std::chrono::steady_clock::now() > until) return std::nullopt;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
};

class CrashTest : public testing::Test {
 protected:
  CrashTest() : seed_(std::random_device{}()), random_(seed_) {
    std::string name = (fs::temp_directory_path() / "similis-crash-XXXXXX").string();
    dir_ = mkdtemp(name.data());
    root_ = dir_ / "pictures";
    fs::create_directories(root_);
    std::printf("seed %u\n", seed_);
  }
  ~CrashTest() override { fs::remove_all(dir_); }

  unsigned pick(unsigned below) {
    return std::uniform_int_distribution<unsigned>(0, below - 1)(random_);
  }
  void write(const fs::path& name, const std::string& bytes) const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << bytes;
  }

  std::vector<std::string> command(const std::string& what, const fs::path& data,
                                   const std::string& argument) const {
    return {SIMILIS_CRASH_INGEST, what, SIMILIS_WORKER, data.string(), argument};
  }

  /// Runs the program to its end, killed up to `kills` times on the way. How often it was.
  int run(const std::vector<std::string>& arguments, int kills, unsigned life_max_ms) {
    for (int killed = 0;; ++killed) {
      Process process(arguments, dir_ / "output");
      const auto life = killed < kills ? std::chrono::milliseconds(1 + pick(life_max_ms))
                                       : std::chrono::milliseconds(60'000);
      if (const auto code = process.wait(life)) {
        EXPECT_EQ(*code, 0);
        return killed;
      }
      if (killed == kills) {
        ADD_FAILURE() << "did not end in a minute";
        return killed;
      }
    }
  }

  struct Picture {
    std::string hash, format, thumbnail;
    Attributes attributes;
    std::vector<float> vector;
    bool operator==(const Picture&) const = default;
  };
  struct State {
    std::map<std::string, Picture> ready;         // by path
    std::map<std::string, std::string> failures;  // by path
  };

  /// What is in a data directory, with all that must hold of any.
  State state_of(const fs::path& data) {
    State out;
    const Context ctx;
    auto stores = open_stores(data);
    if (!stores.ok()) {
      ADD_FAILURE() << stores.error().message;
      return out;
    }
    const auto collection = value_of(stores->metadata->find_collection(ctx, "pictures"));
    for (const RowState state : {RowState::pending, RowState::removing}) {
      EXPECT_THAT(value_of(stores->metadata->scan_images(ctx, collection.id, state, 0, 10)),
                  IsEmpty());
    }
    std::vector<ImageId> ids;
    const auto rows =
        value_of(stores->metadata->scan_images(ctx, collection.id, RowState::ready, 0, 100'000));
    for (const ImageRow& row : rows) ids.push_back(row.id);
    EXPECT_EQ(value_of(stores->vectors->scan_ids(ctx, collection.active_index, 0, 100'000)), ids);
    const auto vectors = value_of(stores->vectors->fetch(ctx, collection.active_index, ids));
    for (std::size_t i = 0; i < rows.size() && i < vectors.size(); ++i) {
      const ImageRow& row = rows[i];
      std::string thumbnail = row.facts.thumbnail_type;
      if (!thumbnail.empty()) {
        EXPECT_TRUE(
            value_of(stores->blobs->contains(ctx, BlobKind::thumbnail, row.facts.content_hash)));
      }
      if (row.folder == 0) {
        EXPECT_TRUE(
            value_of(stores->blobs->contains(ctx, BlobKind::upload, row.facts.content_hash)));
      }
      const std::string name = row.folder == 0 ? to_hex(row.facts.content_hash) : row.path();
      const bool is_new =
          out.ready
              .emplace(name, Picture{to_hex(row.facts.content_hash), row.facts.format, thumbnail,
                                     attributes_of(row), vectors[i]})
              .second;
      EXPECT_TRUE(is_new) << name << " is there twice";
    }
    const auto failed = value_of(stores->metadata->list_failures(ctx, collection.id, 0, 1000, ""));
    for (const ImageRow& row : failed.rows) out.failures[row.path()] = row.error;
    EXPECT_THAT(value_of(stores->metadata->verify(ctx)).findings, IsEmpty());
    EXPECT_THAT(value_of(stores->vectors->verify(ctx, collection.active_index)), IsEmpty());
    EXPECT_THAT(value_of(stores->blobs->verify(ctx)), IsEmpty());
    return out;
  }

  const unsigned seed_;
  std::mt19937 random_;
  fs::path dir_, root_;
};

unsigned third_of_ms_since(std::chrono::steady_clock::time_point begun) {
  const auto passed = std::chrono::steady_clock::now() - begun;
  return static_cast<unsigned>(
      std::chrono::duration_cast<std::chrono::milliseconds>(passed).count() / 3);
}

void expect_equal(const std::map<std::string, std::string>& have,
                  const std::map<std::string, std::string>& want) {
  EXPECT_EQ(have, want);
}

TEST_F(CrashTest, ABuildKilledAtRandomEndsLikeOneThatWasNot) {
  const fs::path calm = dir_ / "calm", killed = dir_ / "killed";
  const auto compare = [&](const std::string& what) {
    SCOPED_TRACE(what);
    const State want = state_of(calm), have = state_of(killed);
    expect_equal(have.failures, want.failures);
    ASSERT_EQ(have.ready.size(), want.ready.size());
    for (const auto& [path, picture] : want.ready) {
      const auto it = have.ready.find(path);
      ASSERT_NE(it, have.ready.end()) << path;
      EXPECT_TRUE(it->second == picture) << path;
    }
    EXPECT_FALSE(want.ready.empty());
  };
  constexpr unsigned kPictures = 600;
  for (unsigned i = 0; i < kPictures; ++i) {
    // One in ten has the bytes of another, one in fifty is broken.
    std::string bytes = bmp_bytes(i % 10 == 9 ? i / 2 : i);
    if (i % 50 == 7) bytes.resize(bytes.size() / 2);
    write(std::to_string(i % 7) + "/" + std::to_string(i) + ".bmp", bytes);
  }
  // Lives of at most a third of an undisturbed run, so that kills fall inside it on any machine.
  auto begun = std::chrono::steady_clock::now();
  run(command("build", calm, root_.string()), 0, 0);
  int kills = run(command("build", killed, root_.string()), 16, third_of_ms_since(begun));
  compare("first build");

  for (unsigned i = 0; i < kPictures; i += 3) {
    const fs::path name = std::to_string(i % 7) + "/" + std::to_string(i) + ".bmp";
    switch (i % 4) {
      case 0:
        write(name, bmp_bytes(10'000 + i));
        break;
      case 1:
        fs::remove(root_ / name);
        break;
      case 2: {
        fs::create_directories(root_ / "moved");
        fs::rename(root_ / name, root_ / "moved" / (std::to_string(i) + ".bmp"));
        break;
      }
      default:
        write("new/" + std::to_string(i) + ".bmp", bmp_bytes(20'000 + i));
    }
  }
  begun = std::chrono::steady_clock::now();
  run(command("build", calm, root_.string()), 0, 0);
  kills += run(command("build", killed, root_.string()), 16, third_of_ms_since(begun));
  compare("after changes");
  std::printf("killed %d times\n", kills);
  EXPECT_GE(kills, 4);
}

TEST_F(CrashTest, AnUploadThatWasAnsweredSurvivesAKill) {
  constexpr unsigned kUploads = 150;
  const fs::path data = dir_ / "data";
  const int kills = run(command("upload", data, std::to_string(kUploads)), 15, 400);
  std::printf("killed %d times\n", kills);
  std::map<unsigned, std::set<ImageId>> answered;
  std::ifstream output(dir_ / "output");
  for (std::string line; std::getline(output, line);) {
    std::istringstream fields(line);
    unsigned seed = 0;
    ImageId id = 0;
    if (fields >> seed >> id) answered[seed].insert(id);
  }
  ASSERT_EQ(answered.size(), kUploads);
  // One id for ever, however often the bytes came.
  for (const auto& [seed, ids] : answered) EXPECT_EQ(ids.size(), 1U) << seed;
  EXPECT_EQ(state_of(data).ready.size(), kUploads);
}

}  // namespace
}  // namespace similis
