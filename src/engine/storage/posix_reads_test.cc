#include "engine/storage/posix_reads.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <random>
#include <thread>

#include "base/temporary_folder.h"
#include "engine/storage/aligned_buffer.h"

namespace similis::engine {
namespace {

enum class Way : std::uint8_t { kernel, pool, one_by_one };

class ReadQueueTest : public testing::TestWithParam<Way> {
 protected:
  static constexpr std::uint64_t kBytes = (1 << 20) + 100;

  ReadQueueTest() {
    const auto file = posix_storage().create(folder_.path() / "file");
    EXPECT_TRUE(file.ok());
    std::mt19937 random(1);
    for (std::uint64_t i = 0; i < kBytes; ++i)
      content_.push_back(static_cast<std::byte>(random() & 0xff));
    EXPECT_TRUE((*file)->append(content_).ok());
    file_ = posix_storage().open(folder_.path() / "file").value();
    queue_ = make();
  }

  void SetUp() override {
    // Many containers refuse it; the engine then reads by threads, which the suite Pool tries.
    if (!queue_) GTEST_SKIP() << "the kernel refuses io_uring";
  }
  static std::unique_ptr<ReadQueue> make() {
    if (GetParam() == Way::kernel) return make_uring_queue();
    if (GetParam() == Way::pool) return make_pool_queue();
    return posix_storage().Storage::make_read_queue();
  }
  void wait(const ReadGroup& group) {
    while (group.pending > 0) queue_->reap(true);
  }

  TemporaryFolder folder_;
  std::vector<std::byte> content_;
  std::shared_ptr<ReadFile> file_;
  std::unique_ptr<ReadQueue> queue_;  // null where the kernel has none
};

// More at once than the kernel's queue holds; past the page cache and, unaligned, through it.
TEST_P(ReadQueueTest, ManyGroupsSideBySide) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr std::size_t kGroups = 5, kReads = 150, kMax = 8192;
  AlignedBuffer buffer(kGroups * kReads * kMax);
  std::vector<ReadGroup> groups(kGroups);
  std::byte* at = buffer.data();
  std::vector<ReadGroup*> together;
  for (ReadGroup& group : groups) {
    for (std::size_t i = 0; i < kReads; ++i, at += kMax) {
      const std::uint64_t unit = i % 3 == 0 ? 1 : file_->alignment();
      const std::uint64_t bytes = (1 + random() % (kMax / unit)) * unit;
      const std::uint64_t offset = random() % ((kBytes - bytes) / unit) * unit;
      group.requests.push_back({file_.get(), offset, {at, bytes}, {}});
    }
    together.push_back(&group);
    if (random() % 2 == 0 && &group != &groups.back()) continue;
    queue_->submit(together);
    together.clear();
  }
  for (ReadGroup& group : groups) {
    wait(group);
    for (const ReadRequest& request : group.requests) {
      ASSERT_TRUE(request.status.ok()) << request.status.error().message;
      ASSERT_EQ(
          std::memcmp(request.out.data(), content_.data() + request.offset, request.out.size()), 0);
    }
  }
}

TEST_P(ReadQueueTest, ReadsBeyondTheEndFailAlone) {
  AlignedBuffer buffer(3 * kBlockBytes);
  ReadGroup group;
  for (const std::uint64_t offset : {std::uint64_t{0}, round_up(kBytes, kBlockBytes), kBytes - 10})
    group.requests.push_back({file_.get(),
                              offset,
                              {buffer.data() + group.requests.size() * kBlockBytes, kBlockBytes},
                              {}});
  queue_->submit(std::array{&group});
  wait(group);
  EXPECT_TRUE(group.requests[0].status.ok());
  EXPECT_EQ(std::memcmp(buffer.data(), content_.data(), kBlockBytes), 0);
  for (const std::size_t i : {1U, 2U}) {
    ASSERT_FALSE(group.requests[i].status.ok());
    EXPECT_EQ(group.requests[i].status.error().code, ErrorCode::corruption);
  }
}

// Several threads share the kernel, or the pool.
TEST_P(ReadQueueTest, ThreadsHaveQueuesOfTheirOwn) {
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      const auto queue = make();
      ASSERT_TRUE(queue);
      std::mt19937_64 random(t);
      AlignedBuffer buffer(20 * kBlockBytes);
      for (int round = 0; round < 50; ++round) {
        ReadGroup group;
        for (std::size_t i = 0; i < 20; ++i) {
          group.requests.push_back({file_.get(),
                                    random() % (kBytes / kBlockBytes) * kBlockBytes,
                                    {buffer.data() + i * kBlockBytes, kBlockBytes},
                                    {}});
        }
        queue->submit(std::array{&group});
        while (group.pending > 0) queue->reap(true);
        for (const ReadRequest& request : group.requests) {
          ASSERT_TRUE(request.status.ok());
          ASSERT_EQ(std::memcmp(request.out.data(), content_.data() + request.offset, kBlockBytes),
                    0);
        }
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Kernel, ReadQueueTest, testing::Values(Way::kernel));
INSTANTIATE_TEST_SUITE_P(Pool, ReadQueueTest, testing::Values(Way::pool));
INSTANTIATE_TEST_SUITE_P(OneByOne, ReadQueueTest, testing::Values(Way::one_by_one));

TEST_P(ReadQueueTest, ReachesBlocksThatAreThere) {
  EXPECT_TRUE(file_->reach(0).ok());
  EXPECT_TRUE(file_->reach(kBytes / kBlockBytes * kBlockBytes - kBlockBytes).ok());
  EXPECT_FALSE(file_->reach((kBytes / kBlockBytes + 1) * kBlockBytes).ok());
}

/// As the seccomp profiles of containers do. For the rest of the process's life.
bool refuse_io_uring() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{std::size(program), program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(ReadQueueDeathTest, WhereIoUringIsRefusedThreadsRead) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const TemporaryFolder folder;
        const std::vector<std::byte> content(1 << 16, std::byte{7});
        const bool written =
            posix_storage().create(folder.path() / "file").value()->append(content).ok();
        bool right = refuse_io_uring() && make_uring_queue() == nullptr && written;
        const auto file = posix_storage().open(folder.path() / "file").value();
        const auto queue = posix_storage().make_read_queue();
        AlignedBuffer buffer(4096);
        ReadGroup group;
        group.requests.push_back({file.get(), 8192, buffer.span().first(4096), {}});
        ReadGroup* const one = &group;
        queue->submit({&one, 1});
        while (group.pending > 0) queue->reap(true);
        right = right && group.requests[0].status.ok() &&
                std::memcmp(buffer.data(), content.data(), 4096) == 0;
        std::filesystem::remove_all(folder.path());
        ::_exit(right ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace similis::engine
