#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/index.h"
#include "engine/storage/format.h"
#include "engine/storage/manifest.h"
#include "engine/storage/storage.h"

namespace similis::engine {

/// Requests submitted to the disk for vectors, and their bytes.
struct ReadCounters {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bytes{0};
};

/// One part's file, open for reading. Immutable; safe from several threads. Its file may be removed
/// while it lives.
class Part {
 public:
  /// Vectors of consecutive rows inside a scratch buffer.
  struct Rows {
    const std::byte* first_slot = nullptr;
    std::uint32_t first_row = 0;  // of the first slot, relative to the part
    [[nodiscard]] const std::byte* row(const Geometry& g, std::uint32_t row_in_part) const {
      const std::uint32_t at = row_in_part - first_row;
      return first_slot + std::size_t{at / g.rows_per_slot} * g.slot_bytes +
             std::size_t{at % g.rows_per_slot} * g.row_bytes;
    }
  };

  /// The small regions of a part, read once at opening and compaction.
  struct Tables {
    std::vector<std::uint64_t> ids;
    std::vector<std::uint32_t> attribute_lengths;
    std::vector<std::uint64_t> dead;
    std::vector<ChangeRecord> changes;
  };

  /// Reads and checks the footer and the slots' checksums.
  static Result<std::shared_ptr<const Part>> open(Storage& storage,
                                                  const std::filesystem::path& directory,
                                                  const Uuid& index, const Geometry& geometry,
                                                  std::uint32_t segment,
                                                  const Manifest::Part& expected);

  [[nodiscard]] Result<Tables> read_tables() const;
  /// Calls `each(i, bytes)` for the rows' attributes (i below rows), then for the changes' (i from
  /// rows on), in order. Its checksum is known only at the end: `each` must stand any bytes.
  Status read_attributes(
      const Tables& tables,
      const std::function<Status(std::uint32_t, std::span<const std::byte>)>& each) const;
  /// One request for rows [first, first + count) of this part, every slot checked. Rows whose bytes
  /// fail their checksum, or cannot be read though the file's footer can, are added to `damaged`;
  /// what `rows` gives for them means nothing. io_error: the disk is out of reach.
  Status read_rows(std::uint32_t first, std::uint32_t count, AlignedBuffer& scratch, Rows& rows,
                   ReadCounters* counters, std::vector<std::uint32_t>& damaged) const;

  /// What to read for one row: its slot, and around it what the disk's blocks take along.
  struct Place {
    std::uint64_t offset = 0;  // in file()
    std::uint32_t bytes = 0;
    std::uint32_t slot_at = 0;  // within what was read
    std::uint32_t row_at = 0;   // the vector, within what was read
  };
  [[nodiscard]] Place place(std::uint32_t row) const;
  /// Whether what was read at the row's place holds the slot that was written.
  [[nodiscard]] bool is_intact(std::uint32_t row, const Place& place, const std::byte* read) const;
  [[nodiscard]] const ReadFile& file() const { return *file_; }

  /// Checks every byte; appends what it finds. Stops early only for an error that is no damage.
  Status verify(std::vector<DamageReport>& found, const std::function<Status()>& check) const;

  [[nodiscard]] const Manifest::Part& record() const { return record_; }
  [[nodiscard]] std::uint32_t first_ordinal() const { return record_.first_ordinal; }
  [[nodiscard]] std::uint32_t rows() const { return record_.rows; }
  /// Whether it holds the row of the segment.
  [[nodiscard]] bool holds(std::uint32_t ordinal) const {
    return ordinal - record_.first_ordinal < record_.rows;  // modulo 2^32
  }
  [[nodiscard]] std::uint64_t bytes() const { return record_.bytes; }
  /// Of a part without rows the ordinals it changes: parts are joined without reading them again.
  [[nodiscard]] const std::vector<std::uint32_t>& changed() const { return changed_; }
  [[nodiscard]] std::uint64_t bytes_in_memory() const {
    return (slot_checksums_.size() + changed_.size()) * sizeof(std::uint32_t);
  }

 private:
  Part(std::shared_ptr<ReadFile> file, std::string path, const Geometry& geometry,
       const Manifest::Part& record)
      : file_(std::move(file)), path_(std::move(path)), geometry_(geometry), record_(record) {}
  template <typename T>
  Result<std::vector<T>> read_region(PartRegion region) const;
  [[nodiscard]] Error damaged(std::uint64_t offset, const std::string& what) const;
  Status read_slot(std::uint64_t slot, std::span<std::byte> out) const;

  const std::shared_ptr<ReadFile> file_;
  const std::string path_;
  const Geometry geometry_;
  const Manifest::Part record_;
  PartFooter footer_{};
  std::vector<std::uint32_t> slot_checksums_;
  std::vector<std::uint32_t> changed_;
};

}  // namespace similis::engine
