#include "config/resource_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace similis {
namespace {

constexpr std::int64_t kMib = std::int64_t{1} << 20, kGib = std::int64_t{1} << 30;

ResourcePlan plan(const Settings& settings, std::int64_t cpus, std::int64_t memory) {
  const Result<ResourcePlan> out = plan_resources(settings, {cpus, memory}, 0);
  EXPECT_TRUE(out.ok()) << out.error().message;
  return out.value_or(ResourcePlan{});
}

TEST(ResourcePlan, SharesOutAQuarterOfTheMachine) {
  const ResourcePlan p = plan(Settings{}, 2, 24 * kGib);
  EXPECT_LE(p.memory_max, 6 * kGib);
  EXPECT_GT(p.memory_max, 6 * kGib - kMib);
  EXPECT_EQ(p.shares.size(), 4u);
  EXPECT_EQ(p.decode_workers, 2);
  EXPECT_EQ(p.model_threads, 2);
  EXPECT_EQ(p.server_threads, 4);
  EXPECT_EQ(p.decode_picture_bytes, kGib);
  EXPECT_GT(p.index_bytes, 2 * kGib);
  EXPECT_GT(p.cache_bytes, 256 * kMib);
  EXPECT_EQ(p.index_build_bytes, p.index_bytes);
}

TEST(ResourcePlan, SmallMachinesGetTheLeast) {
  const ResourcePlan p = plan(Settings{}, 1, kGib);
  EXPECT_LE(p.memory_max, 512 * kMib);
  EXPECT_EQ(p.decode_picture_bytes, 256 * kMib);
  EXPECT_GE(p.index_bytes, 64 * kMib);
  EXPECT_GE(p.cache_bytes, 16 * kMib);
  EXPECT_EQ(p.index_build_bytes, 256 * kMib);
  // Memory unknown: the same least.
  EXPECT_EQ(plan(Settings{}, 1, 0).memory_max, p.memory_max);
}

TEST(ResourcePlan, WhatIsSetHoldsAndTheRestIsShared) {
  Settings settings;
  settings.memory.max = 2 * kGib;
  settings.index.memory_max = kGib;
  settings.decode.workers = 3;
  settings.model.threads = 1;
  const ResourcePlan p = plan(settings, 8, 64 * kGib);
  EXPECT_EQ(p.index_bytes, kGib);
  EXPECT_LE(p.memory_max, 2 * kGib);
  EXPECT_GT(p.memory_max, 2 * kGib - kMib);
  EXPECT_EQ(p.decode_workers, 3);
  EXPECT_EQ(p.model_threads, 1);
  for (const auto& share : p.shares)
    EXPECT_EQ(share.set_by, share.part == "index" ? "index.memory_max" : "");

  settings.index.build_memory_max = 48 * kMib;
  EXPECT_EQ(plan(settings, 8, 64 * kGib).index_build_bytes, 48 * kMib);

  settings.decode.memory_max = 100 * kMib;
  EXPECT_EQ(plan(settings, 8, 64 * kGib).decode_picture_bytes, 100 * kMib);
}

TEST(ResourcePlan, MoreThanThereIsIsAnErrorOnlyWhenTheTotalIsSet) {
  Settings settings;
  settings.index.memory_max = 4 * kGib;
  EXPECT_GT(plan(settings, 2, 4 * kGib).memory_max, 4 * kGib);
  settings.memory.max = kGib;
  const Result<ResourcePlan> refused = plan_resources(settings, {2, 4 * kGib}, 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("index.memory_max 4GiB"));
}

class MachineTest : public testing::Test {
 protected:
  MachineTest() {
    std::string name = (std::filesystem::temp_directory_path() / "similis-machine-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    root_ = name;
    write("proc/meminfo", "MemTotal:       16384000 kB\nMemFree: 1 kB\n");
  }
  ~MachineTest() override {
    std::error_code ignored;  // a folder left in /tmp fails no test
    std::filesystem::remove_all(root_, ignored);
  }
  void write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  std::filesystem::path root_;
};

TEST_F(MachineTest, BareMachine) {
  const MachineFacts facts = machine_facts(root_, 8);
  EXPECT_EQ(facts.cpus, 8);
  EXPECT_EQ(facts.memory_bytes, 16384000LL * 1024);
}

TEST_F(MachineTest, GroupsOfVersionTwoLimitOnEveryLevel) {
  write("proc/self/cgroup", "0::/user.slice/app\n");
  write("sys/fs/cgroup/user.slice/memory.max", "4294967296\n");
  write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/user.slice/app/memory.max", "max\n");
  write("sys/fs/cgroup/user.slice/app/cpu.max", "150000 100000\n");
  const MachineFacts facts = machine_facts(root_, 8);
  EXPECT_EQ(facts.cpus, 2);
  EXPECT_EQ(facts.memory_bytes, 4LL << 30);
}

TEST_F(MachineTest, GroupsOfVersionOne) {
  write("proc/self/cgroup", "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  MachineFacts facts = machine_facts(root_, 8);
  EXPECT_EQ(facts.memory_bytes, 2LL << 30);
  EXPECT_EQ(facts.cpus, 8);
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  facts = machine_facts(root_, 8);
  EXPECT_EQ(facts.memory_bytes, 16384000LL * 1024);
  EXPECT_EQ(facts.cpus, 3);
}

TEST_F(MachineTest, NonsenseIsNoLimit) {
  write("proc/self/cgroup", "garbage\n0::\n");
  write("sys/fs/cgroup/memory.max", "-5\n");
  write("sys/fs/cgroup/cpu.max", "5");
  EXPECT_EQ(machine_facts(root_, 8).cpus, 8);
  EXPECT_EQ(machine_facts(root_, 0).cpus, 1);
  EXPECT_EQ(machine_facts(root_, 8).memory_bytes, 16384000LL * 1024);
}

TEST(Machine, ThisOneHasSomething) {
  EXPECT_GE(machine_facts().cpus, 1);
  EXPECT_GT(machine_facts().memory_bytes, 64 * kMib);
}

}  // namespace
}  // namespace similis
