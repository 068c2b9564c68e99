#include "worker/pool.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "vision/decode/jpeg.h"
#include "worker/test_plants.h"

namespace similis {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

RgbImage gradient(int width, int height) {
  RgbImage image{width, height,
                 std::vector<std::uint8_t>(static_cast<std::size_t>(3 * width * height))};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint8_t* p = image.row(y) + 3 * x;
      p[0] = static_cast<std::uint8_t>(x * 255 / width);
      p[1] = static_cast<std::uint8_t>(y * 255 / height);
      p[2] = static_cast<std::uint8_t>((x + y) % 256);
    }
  }
  return image;
}

std::vector<std::byte> jpeg(int width = 300, int height = 200) {
  return encode_jpeg(gradient(width, height), 90).value();
}

WorkerPoolOptions test_options(int workers = 2) {
  WorkerPoolOptions options;
  options.worker = SIMILIS_TEST_WORKER;
  options.workers = workers;
  options.picture_timeout = 5s;
  options.memory_bytes_max = 256u << 20;
  return options;
}

DecodeRequest everything() {
  DecodeRequest request;
  request.tensors.resize(1);
  request.thumbnail = request.content_hash = request.perceptual_hash = true;
  return request;
}

Result<DecodeOutcome> decode_bytes(WorkerPool& pool, std::span<const std::byte> bytes,
                                   const Context& ctx = {}) {
  return pool.decode(ctx, {bytes, "picture.jpg", everything()});
}

// The error of an outcome that must be a failed one.
Error failure_of(Result<DecodeOutcome> outcome) {
  if (!outcome.ok()) {
    ADD_FAILURE() << "the call itself failed: " << outcome.error().message;
    return outcome.error();
  }
  const auto* error = std::get_if<Error>(&*outcome);
  if (error == nullptr) {
    ADD_FAILURE() << "a picture or a skipped file, not a failure";
    return {};
  }
  return *error;
}

::testing::AssertionResult is_picture(const Result<DecodeOutcome>& outcome) {
  if (!outcome.ok()) return ::testing::AssertionFailure() << outcome.error().message;
  if (const auto* error = std::get_if<Error>(&*outcome))
    return ::testing::AssertionFailure() << error->message;
  if (!std::holds_alternative<DecodedPicture>(*outcome))
    return ::testing::AssertionFailure() << "skipped";
  return ::testing::AssertionSuccess();
}

// Processes whose parent is `parent`, with their state ('Z' is a zombie).
std::vector<std::pair<pid_t, char>> children_of(pid_t parent) {
  std::vector<std::pair<pid_t, char>> children;
  DIR* proc = ::opendir("/proc");
  while (const dirent* entry = ::readdir(proc)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(stat, line);
    const std::size_t close = line.rfind(')');
    if (close == std::string::npos) continue;
    char state = 0;
    int ppid = 0;
    if (std::sscanf(line.c_str() + close + 1, " %c %d", &state, &ppid) == 2 && ppid == parent) {
      children.emplace_back(pid, state);
    }
  }
  ::closedir(proc);
  return children;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* fds = ::opendir("/proc/self/fd");
  while (::readdir(fds) != nullptr) ++count;
  ::closedir(fds);
  return count;
}

double elapsed_ms(Context::Clock::time_point since) {
  return std::chrono::duration<double, std::milli>(Context::Clock::now() - since).count();
}

TEST(WorkerPool, DecodesBytesAndFiles) {
  auto pool = WorkerPool::start(test_options());
  ASSERT_TRUE(pool.ok()) << pool.error().message;
  const auto bytes = jpeg();
  auto from_bytes = decode_bytes(**pool, bytes);
  ASSERT_TRUE(is_picture(from_bytes));
  const auto& picture = std::get<DecodedPicture>(*from_bytes);
  EXPECT_EQ(picture.width_px, 300);
  EXPECT_EQ(picture.height_px, 200);
  EXPECT_EQ(picture.format, PictureFormat::jpeg);
  ASSERT_EQ(picture.tensors.size(), 1u);
  EXPECT_EQ(picture.tensors[0].width, 224);
  EXPECT_EQ(picture.tensors[0].pixels.size(), 224u * 224 * 3);
  EXPECT_TRUE(picture.file_is_thumbnail);
  EXPECT_TRUE(picture.content_hash.has_value());

  const std::filesystem::path path = ::testing::TempDir() + "similis_pool.jpg";
  ASSERT_TRUE(publish_file(path, bytes).ok());
  auto from_file = (*pool)->decode({}, {path, "", everything()});
  ASSERT_TRUE(is_picture(from_file));
  EXPECT_EQ(std::get<DecodedPicture>(*from_file).tensors[0].pixels, picture.tensors[0].pixels);
  EXPECT_EQ(std::get<DecodedPicture>(*from_file).content_hash, picture.content_hash);

  const auto open = File::open(path, O_RDONLY);
  ASSERT_TRUE(open.ok());
  ASSERT_EQ(::lseek(open->fd(), 100, SEEK_SET), 100);
  for (int i = 0; i < 2; ++i) {  // it is the caller's, and stays open
    auto from_open = (*pool)->decode({}, {&*open, "similis_pool.jpg", everything()});
    ASSERT_TRUE(is_picture(from_open));
    EXPECT_EQ(std::get<DecodedPicture>(*from_open).content_hash, picture.content_hash);
  }
  EXPECT_EQ(::lseek(open->fd(), 0, SEEK_CUR), 100);
  std::filesystem::remove(path);
}

TEST(WorkerPool, ThumbnailAndPreviewComeBackWhole) {
  auto pool = WorkerPool::start(test_options());
  ASSERT_TRUE(pool.ok());
  const auto bytes = jpeg(1500, 1000);
  DecodeRequest request;
  request.thumbnail = true;
  request.preview_width_px = 700;
  auto outcome = (*pool)->decode({}, {std::span<const std::byte>(bytes), "", request});
  ASSERT_TRUE(is_picture(outcome));
  const auto& picture = std::get<DecodedPicture>(*outcome);
  ASSERT_TRUE(picture.thumbnail.has_value());
  ASSERT_TRUE(picture.preview.has_value());
  EXPECT_TRUE(decode_jpeg(picture.thumbnail->bytes, 1, {0, 0, 512, 341}).ok());
  EXPECT_TRUE(decode_jpeg(picture.preview->bytes, 1, {0, 0, 700, 467}).ok());
}

TEST(WorkerPool, ManyThreadsShareFewWorkers) {
  auto pool = WorkerPool::start(test_options(2));
  ASSERT_TRUE(pool.ok());
  std::vector<std::vector<std::byte>> files;
  std::vector<std::vector<std::uint8_t>> expected;
  for (int i = 0; i < 6; ++i) {
    files.push_back(jpeg(100 + 20 * i, 120));
    auto outcome = decode_bytes(**pool, files.back());
    ASSERT_TRUE(is_picture(outcome));
    expected.push_back(std::get<DecodedPicture>(*outcome).tensors[0].pixels);
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 30; ++i) {
        const auto k = static_cast<std::size_t>((t + i) % 6);
        auto outcome = decode_bytes(**pool, files[k]);
        if (!is_picture(outcome) ||
            std::get<DecodedPicture>(*outcome).tensors[0].pixels != expected[k])
          ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ((*pool)->stats().restarts, 0u);
  EXPECT_EQ((*pool)->stats().workers, 2);
  EXPECT_EQ((*pool)->stats().decoded, 6u + 8 * 30);
}

TEST(WorkerPool, ACrashCostsOneFailedFile) {
  auto pool = WorkerPool::start(test_options(1));
  ASSERT_TRUE(pool.ok());
  for (const Plant plant : {Plant::crash, Plant::abort, Plant::leave}) {
    const Error error = failure_of(decode_bytes(**pool, planted_file(plant)));
    EXPECT_EQ(error.code, ErrorCode::unreadable_media);
    EXPECT_EQ(error.message, "the decoder crashed on this file");
    EXPECT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
  }
  EXPECT_EQ((*pool)->stats().restarts, 3u);
}

TEST(WorkerPool, AHangEndsAtTheTimeLimit) {
  auto options = test_options(1);
  options.picture_timeout = 500ms;
  auto pool = WorkerPool::start(options);
  ASSERT_TRUE(pool.ok());
  ASSERT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
  const auto begin = Context::Clock::now();
  const Error error = failure_of(decode_bytes(**pool, planted_file(Plant::hang)));
  EXPECT_EQ(error.message, "decoding took longer than 0.5 s");
  EXPECT_EQ(error.code, ErrorCode::too_large);
  EXPECT_THAT(error.hint, HasSubstr("decode.time_max"));
  EXPECT_GE(elapsed_ms(begin), 500);
  EXPECT_LT(elapsed_ms(begin), 2000);
  EXPECT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
}

TEST(WorkerPool, MemoryIsLimited) {
  auto options = test_options(1);
  options.memory_bytes_max = 64u << 20;
  auto pool = WorkerPool::start(options);
  ASSERT_TRUE(pool.ok());
  for (const Plant plant : {Plant::touch_memory, Plant::allocate_at_once}) {
#if defined(__SANITIZE_THREAD__)
    if (plant == Plant::allocate_at_once) continue;  // its operator new ends the process itself
#endif
    const Error error = failure_of(decode_bytes(**pool, planted_file(plant)));
    EXPECT_EQ(error.message, "decoding needed more than 64 MB of memory");
    EXPECT_EQ(error.code, ErrorCode::too_large);
    EXPECT_THAT(error.hint, HasSubstr("decode.memory_max"));
    EXPECT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
  }
}

TEST(WorkerPool, TheSandboxHolds) {
  std::vector<std::string> warnings;
  set_log_sink([&](LogLevel level, std::string_view message) {
    if (level == LogLevel::warning) warnings.emplace_back(message);
  });
  {
    auto pool = WorkerPool::start(test_options(1));
    ASSERT_TRUE(pool.ok());
    ASSERT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
    // Seccomp alone stops all that the probe tries; a kernel without Landlock is no excuse.
    if (!warnings.empty() && warnings[0].find("seccomp") != std::string::npos) {
      set_log_sink({});
      // Without seccomp in the kernel (some containers) there is no sandbox to try.
      GTEST_SKIP() << warnings[0];
    }
    // The probe crashes the worker when anything forbidden worked; it then is a JPEG that does not
    // decode.
    const Error error = failure_of(decode_bytes(**pool, planted_file(Plant::escape)));
    EXPECT_THAT(error.message, HasSubstr("JPEG"));
    EXPECT_EQ((*pool)->stats().restarts, 0u);
  }
  set_log_sink({});
}

TEST(WorkerPool, CancellationAndDeadlineAreHonoured) {
  auto pool = WorkerPool::start(test_options(1));
  ASSERT_TRUE(pool.ok());
  ASSERT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
  {
    std::stop_source stop;
    Context ctx;
    ctx.cancel = stop.get_token();
    std::thread canceller([&] {
      std::this_thread::sleep_for(100ms);
      stop.request_stop();
    });
    const auto begin = Context::Clock::now();
    auto outcome = decode_bytes(**pool, planted_file(Plant::hang), ctx);
    canceller.join();
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, ErrorCode::cancelled);
    EXPECT_LT(elapsed_ms(begin), 1500);
  }
  {
    const auto begin = Context::Clock::now();
    auto outcome = decode_bytes(**pool, planted_file(Plant::hang), Context{}.with_timeout(100ms));
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, ErrorCode::deadline_exceeded);
    EXPECT_LT(elapsed_ms(begin), 1500);
  }
  // Also while all workers are taken.
  std::thread hanging([&] {
    (void)decode_bytes(**pool, planted_file(Plant::hang), Context{}.with_timeout(800ms));
  });
  std::this_thread::sleep_for(200ms);
  const auto begin = Context::Clock::now();
  auto outcome = decode_bytes(**pool, jpeg(), Context{}.with_timeout(50ms));
  EXPECT_LT(elapsed_ms(begin), 500);
  hanging.join();
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::deadline_exceeded);
  EXPECT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
}

TEST(WorkerPool, AMissingProgramIsOneClearError) {
  WorkerPoolOptions options = test_options();
  options.worker = "/nowhere/similis-worker";
  auto pool = WorkerPool::start(options);
  ASSERT_FALSE(pool.ok());
  EXPECT_EQ(pool.error().code, ErrorCode::not_found);
  EXPECT_THAT(pool.error().message, HasSubstr("/nowhere/similis-worker"));
}

TEST(WorkerPool, AProgramThatDoesNotStartIsNotSpunOn) {
  WorkerPoolOptions options = test_options(4);
  options.worker = "/bin/false";
  auto pool = WorkerPool::start(options);
  ASSERT_TRUE(pool.ok());
  const auto begin = Context::Clock::now();
  std::vector<std::thread> threads;
  std::atomic<int> unavailable{0};
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        auto outcome = decode_bytes(**pool, jpeg());
        if (!outcome.ok() && outcome.error().code == ErrorCode::unavailable) ++unavailable;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(unavailable, 120);
  EXPECT_LT(elapsed_ms(begin), 5000);
  auto outcome = decode_bytes(**pool, jpeg());
  ASSERT_FALSE(outcome.ok());
  EXPECT_THAT(outcome.error().message, HasSubstr("does not start"));
  EXPECT_THAT(outcome.error().hint, HasSubstr("/bin/false"));
}

TEST(WorkerPool, WhatIsNoPictureNeverReachesAWorker) {
  auto pool = WorkerPool::start(test_options());
  ASSERT_TRUE(pool.ok());
  const std::string text = "%PDF-1.7 and so on";
  auto outcome = (*pool)->decode({}, {std::as_bytes(std::span(text)), "letter.jpg", everything()});
  ASSERT_TRUE(outcome.ok());
  ASSERT_TRUE(std::holds_alternative<SkippedFile>(*outcome));
  EXPECT_EQ(std::get<SkippedFile>(*outcome).type.word, "pdf");
  EXPECT_EQ(picture_or_error(*outcome).error().message, "that is a PDF, not a picture");

  EXPECT_EQ(failure_of(decode_bytes(**pool, {})).message, "the file is empty (0 bytes)");
  EXPECT_EQ(failure_of((*pool)->decode({}, {std::filesystem::path("/nowhere/x.jpg"), "", {}})).code,
            ErrorCode::not_found);
  // A FIFO has no writer: it must not be waited for.
  const std::string fifo = ::testing::TempDir() + "similis_fifo.jpg";
  ::unlink(fifo.c_str());
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(failure_of((*pool)->decode({}, {std::filesystem::path(fifo), "", {}})).message,
              HasSubstr("not a regular file"));
  ::unlink(fifo.c_str());
  EXPECT_EQ((*pool)->stats().decoded, 0u);
}

TEST(WorkerPool, LimitsAreCheckedBeforeDecoding) {
  auto options = test_options();
  options.limits.pixels_max = 1000;
  auto pool = WorkerPool::start(options);
  ASSERT_TRUE(pool.ok());
  const Error pixels = failure_of(decode_bytes(**pool, jpeg()));
  EXPECT_EQ(pixels.code, ErrorCode::too_large);
  EXPECT_EQ(pixels.message, "300 x 200 is over limits.pixels_max");
  options.limits.file_bytes_max = 100;
  auto small = WorkerPool::start(options);
  ASSERT_TRUE(small.ok());
  EXPECT_THAT(failure_of(decode_bytes(**small, jpeg())).message,
              HasSubstr("limits.file_bytes_max"));
  DecodeRequest wrong;
  wrong.crop = CropRect{0.5, 0.5, 0.7, 0.1};
  const auto bytes = jpeg();
  auto outcome = (*pool)->decode({}, {std::span<const std::byte>(bytes), "", wrong});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::invalid_argument);
}

TEST(WorkerPool, SurvivesWorkersKilledFromOutside) {
  auto pool = WorkerPool::start(test_options(1));
  ASSERT_TRUE(pool.ok());
  ASSERT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
  auto children = children_of(::getpid());
  ASSERT_EQ(children.size(), 1u);
  // ^C reaches every process of the terminal; workers leave it to the pool.
  ::kill(children[0].first, SIGINT);
  ::kill(children[0].first, SIGTERM);
  EXPECT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
  EXPECT_EQ((*pool)->stats().restarts, 0u);
  // An idle one that is gone is not held against the next file.
  ::kill(children[0].first, SIGKILL);
  std::this_thread::sleep_for(50ms);
  EXPECT_TRUE(is_picture(decode_bytes(**pool, jpeg())));
  EXPECT_EQ((*pool)->stats().restarts, 1u);
  // One that is ended in the middle of a file.
  std::thread killer([&] {
    std::this_thread::sleep_for(100ms);
    for (const auto& [pid, state] : children_of(::getpid())) ::kill(pid, SIGKILL);
  });
  const Error error = failure_of(decode_bytes(**pool, planted_file(Plant::hang)));
  killer.join();
  EXPECT_EQ(error.code, ErrorCode::resource_exhausted);
}

TEST(WorkerPool, LeavesNothingBehind) {
  const std::size_t before = open_descriptors();
  {
    auto pool = WorkerPool::start(test_options(2));
    ASSERT_TRUE(pool.ok());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5; ++i) {
          (void)decode_bytes(**pool, planted_file(Plant::crash));
          (void)decode_bytes(**pool, jpeg());
        }
      });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& [pid, state] : children_of(::getpid())) EXPECT_NE(state, 'Z');
  }
  EXPECT_TRUE(children_of(::getpid()).empty());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(WorkerPool, WorkersDieWithTheirParent) {
  int channel[2];
  ASSERT_EQ(::pipe(channel), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    auto pool = WorkerPool::start(test_options(1));
    const bool fine = pool.ok() && is_picture(decode_bytes(**pool, jpeg()));
    const auto children = children_of(::getpid());
    const pid_t worker = fine && !children.empty() ? children[0].first : -1;
    if (::write(channel[1], &worker, sizeof worker) != sizeof worker) ::_exit(1);
    (void)decode_bytes(**pool,
                       planted_file(Plant::hang));  // the worker is busy when its parent dies
    ::_exit(0);
  }
  pid_t worker = -1;
  ASSERT_EQ(::read(channel[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  ::close(channel[0]);
  ::close(channel[1]);
  ASSERT_GT(worker, 0);
  std::this_thread::sleep_for(100ms);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  auto alive = [&] {
    std::ifstream stat("/proc/" + std::to_string(worker) + "/stat");
    std::string line;
    if (!std::getline(stat, line)) return false;
    const std::size_t close = line.rfind(')');
    return close != std::string::npos && line[close + 2] != 'Z';
  };
  for (int i = 0; i < 100 && alive(); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(alive());
}

}  // namespace
}  // namespace similis
