#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/storage/format.h"
#include "engine/storage/storage.h"

namespace similis::engine {

/// One record as it lies in a log; the spans point into the reader's buffer until the next call.
struct WalRecord {
  WalRecordHeader header{};
  std::uint64_t offset = 0;
  std::span<const std::byte> attributes;
  std::span<const std::byte> vector;  // fp16, of an upsert
  std::span<const std::byte> raw;     // the whole record
};

/// Appends a record to `out` with its lsn, durable_lsn and checksum left open; stamp_record() fills
/// them once the order of writes is known.
void encode_record(std::vector<std::byte>& out, WalOperation operation, std::uint64_t id,
                   std::span<const std::byte> attributes, std::span<const std::byte> vector);
/// `records` begins with a record made by encode_record and holds the rest of its batch. Returns
/// the record's length.
std::size_t stamp_record(std::span<std::byte> records, std::uint64_t lsn,
                         std::uint64_t durable_lsn);
/// A record's parts, when `bytes` begins with one whose checksum and lengths hold.
std::optional<WalRecord> parse_record(std::span<const std::byte> bytes, std::uint32_t dimensions);
/// The same of bytes whose checksum is known to hold.
std::optional<WalRecord> split_record(std::span<const std::byte> bytes, std::uint32_t dimensions);

/// Makes an empty log whose header and name are durable when this returns.
Result<std::unique_ptr<AppendFile>> create_wal(Storage& storage,
                                               const std::filesystem::path& directory,
                                               const Uuid& index, std::uint32_t dimensions,
                                               std::uint64_t file, std::uint64_t first_lsn);

/// Makes a log that holds `size` bytes of records copied from `source` at `offset`; it appears
/// under its name only once all of it is durable.
Result<std::unique_ptr<AppendFile>> copy_wal(Storage& storage,
                                             const std::filesystem::path& directory,
                                             const Uuid& index, std::uint32_t dimensions,
                                             std::uint64_t file, std::uint64_t first_lsn,
                                             const ReadFile& source, std::uint64_t offset,
                                             std::uint64_t size);

/// Reads one log from its beginning, in large blocks.
class WalReader {
 public:
  /// `corruption` for a header that does not belong here; `conflict` for a newer format. A log
  /// that ends within its header was never synced: torn_header() says so, and it holds no records.
  static Result<WalReader> open(Storage& storage, const std::filesystem::path& path,
                                const Uuid& index, std::uint32_t dimensions, std::uint64_t file);

  WalReader(WalReader&&) noexcept;
  ~WalReader();

  /// The next record, or false at the first byte that does not begin a whole one.
  Result<bool> next(WalRecord& record);

  /// After next() gave false. True when some record further on was written after `lsn` had been
  /// synced: then what stopped the reading is damage, not a torn tail.
  Result<bool> written_after(std::uint64_t lsn) const;

  [[nodiscard]] bool torn_header() const { return torn_header_; }
  [[nodiscard]] std::uint64_t first_lsn() const { return first_lsn_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }  // of the next record
  [[nodiscard]] std::uint64_t file_bytes() const { return file_->size(); }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  struct Ahead;
  WalReader(Storage& storage, std::shared_ptr<ReadFile> file, std::string name,
            std::uint32_t dimensions);
  Status refill();

  Storage& storage_;
  std::shared_ptr<ReadFile> file_;
  std::string name_;
  std::uint32_t dimensions_ = 0;
  std::uint64_t first_lsn_ = 0;
  bool torn_header_ = false;
  std::uint64_t offset_ = 0;
  // [carried rest of the last block | block]: a record across two blocks lies in one piece.
  std::size_t carry_bytes_ = 0;
  AlignedBuffer buffer_;
  std::span<const std::byte> window_;  // unread bytes, at offset_
  std::uint64_t read_to_ = 0;          // file offset behind the window
  std::unique_ptr<Ahead> ahead_;       // last: what it reads into goes after it
};

}  // namespace similis::engine
