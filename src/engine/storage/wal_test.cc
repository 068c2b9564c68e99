// Reading logs: of sizes around a block's, by each way of reading, whole and cut off.
#include "engine/storage/wal.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/temporary_folder.h"
#include "engine/storage/simulated_storage_test.h"

namespace similis::engine {
namespace {

constexpr std::uint32_t kDimensions = 500;
constexpr std::size_t kBlock = 4 << 20;  // of a reader
const Uuid kIndex{};

class WalReaderTest : public testing::TestWithParam<const char*> {
 protected:
  WalReaderTest() {
    if (GetParam() == std::string("pool")) ::setenv("SIMILIS_READS", "pool", 1);
  }
  ~WalReaderTest() override { ::unsetenv("SIMILIS_READS"); }

  Storage& storage() {
    return GetParam() == std::string("simulated") ? static_cast<Storage&>(simulated_)
                                                  : posix_storage();
  }
  std::filesystem::path directory() {
    if (GetParam() != std::string("simulated")) return folder_.path();
    EXPECT_TRUE(simulated_.make_directory("logs").ok());
    return "logs";
  }

  /// A log of so many bytes behind its header, of records with attributes; its ids count from 1.
  std::uint64_t write(const std::filesystem::path& folder, std::size_t bytes) {
    auto file = create_wal(storage(), folder, kIndex, kDimensions, 1, 1);
    EXPECT_TRUE(file.ok());
    constexpr std::size_t kLeast = sizeof(WalRecordHeader) + 2 * kDimensions;
    static_assert(kLeast % 8 == 0);
    const std::vector<std::byte> vector(std::size_t{2} * kDimensions);
    std::vector<std::byte> out;
    std::uint64_t id = 0;
    for (std::size_t left = bytes; left > 0;) {
      // Long ones lie across blocks; the last one takes what is left.
      std::size_t size = kLeast + (id % 7 == 3 ? 300'000 : 40);
      if (left < size + kLeast) size = left;
      const std::vector<std::byte> some(size - kLeast, static_cast<std::byte>(id));
      out.clear();
      encode_record(out, WalOperation::upsert, ++id, some, vector);
      EXPECT_EQ(stamp_record(out, id, id - 1), out.size());
      EXPECT_TRUE((*file)->append(out).ok());
      left -= size;
    }
    EXPECT_TRUE((*file)->sync().ok());
    EXPECT_EQ((*file)->size(), sizeof(WalHeader) + bytes);
    return id;
  }

  TemporaryFolder folder_;
  SimulatedStorage simulated_{3};
};

TEST_P(WalReaderTest, ReadsLogsOfEachLength) {
  const auto folder = directory();
  constexpr std::size_t kHeader = sizeof(WalHeader);
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{2000}, std::size_t{100'000}, kBlock - kHeader - 8,
        kBlock - kHeader, kBlock - kHeader + 8, 2 * kBlock - kHeader, 2 * kBlock - kHeader + 4096,
        3 * kBlock + 123'456}) {
    SCOPED_TRACE(bytes);
    const std::uint64_t records = write(folder, bytes);
    auto opened = WalReader::open(storage(), folder / wal_name(1), kIndex, kDimensions, 1);
    ASSERT_TRUE(opened.ok());
    std::uint64_t read = 0;
    for (WalRecord record;;) {
      const auto whole = opened->next(record);
      ASSERT_TRUE(whole.ok());
      if (!*whole) break;
      ASSERT_EQ(record.header.id, ++read);
      ASSERT_EQ(record.vector.size(), 2 * kDimensions);
      for (const std::byte b : record.attributes) ASSERT_EQ(b, static_cast<std::byte>(read - 1));
    }
    EXPECT_EQ(read, records);
    EXPECT_EQ(opened->offset(), kHeader + bytes);
    ASSERT_TRUE(storage().remove(folder / wal_name(1)).ok());
  }
}

// What is under way when a reader is moved or goes does no harm.
TEST_P(WalReaderTest, MayBeMovedAndLeftInTheMiddle) {
  const auto folder = directory();
  const std::uint64_t records = write(folder, 3 * kBlock);
  auto opened = WalReader::open(storage(), folder / wal_name(1), kIndex, kDimensions, 1);
  ASSERT_TRUE(opened.ok());
  WalRecord record;
  ASSERT_TRUE(*opened->next(record));  // the second block is under way
  WalReader moved = std::move(opened).value();
  std::uint64_t read = 1;
  for (; *moved.next(record); ++read) ASSERT_EQ(record.header.id, read + 1);
  EXPECT_EQ(read, records);
  for (int i = 0; i < 20; ++i) {
    auto left = WalReader::open(storage(), folder / wal_name(1), kIndex, kDimensions, 1);
    ASSERT_TRUE(*left->next(record));
  }
}

// A file that lost its end after it was opened is an error once that is needed, not before.
TEST_P(WalReaderTest, SaysWhenTheFileEndsTooEarly) {
  const auto folder = directory();
  const std::uint64_t records = write(folder, 3 * kBlock);
  auto opened = WalReader::open(storage(), folder / wal_name(1), kIndex, kDimensions, 1);
  ASSERT_TRUE(opened.ok());
  ASSERT_TRUE(storage().truncate(folder / wal_name(1), kBlock + kBlock / 2).ok());
  WalRecord record;
  std::uint64_t read = 0;
  Result<bool> whole = true;
  while ((whole = opened->next(record)).ok() && *whole) ++read;
  EXPECT_FALSE(whole.ok());
  EXPECT_GT(read, 0U);
  EXPECT_LT(read, records);
}

INSTANTIATE_TEST_SUITE_P(Ways, WalReaderTest, testing::Values("kernel", "pool", "simulated"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace similis::engine
