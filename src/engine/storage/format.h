#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/crc32c.h"
#include "engine/storage/aligned_buffer.h"

/// The bytes on disk, described one by one in docs/index_format.md. All numbers are little-endian.
namespace similis::engine {

static_assert(std::endian::native == std::endian::little, "files are written as memory holds them");

inline constexpr std::uint32_t kFormatVersion = 1;
using Uuid = std::array<std::byte, 16>;

/// How rows lie on disk and in memory, all of it following from the dimensions.
struct Geometry {
  std::uint32_t dimensions = 0;
  std::uint32_t row_bytes = 0;      // 2 * dimensions
  std::uint32_t slot_bytes = 0;     // on disk: whole 512-byte sectors
  std::uint32_t rows_per_slot = 0;  // 1, or several where a vector takes half a sector or less
  std::uint32_t stride_bytes = 0;   // in memory: whole cache lines
  std::uint32_t chunk_rows = 0;     // a power of two, at least 64; about 4 MiB of memory

  explicit Geometry(std::uint32_t dimensions);
  [[nodiscard]] std::uint64_t slots(std::uint64_t rows) const {
    return (rows + rows_per_slot - 1) / rows_per_slot;
  }
  [[nodiscard]] std::uint64_t chunk_bytes() const {
    return std::uint64_t{chunk_rows} * stride_bytes;
  }
};

inline constexpr std::uint32_t kDimensionsMax = 65536;
inline constexpr std::uint32_t kAttributeBytesMax = 1 << 20;

// --- A part: rows appended to a segment, and changes to its earlier rows -------------------------

/// The regions of a part, in file order; each begins at a block's multiple and is padded with
/// zeros.
enum PartRegion : std::uint32_t {
  kVectors,           // slots
  kAttributes,        // the rows' bytes, then the changes' bytes, without gaps
  kSlotChecksums,     // u32 a slot: CRC32C of its slot_bytes
  kIds,               // u64 a row
  kAttributeLengths,  // u32 a row
  kDeadRows,          // bit a row, in u64 words: dead already when the part was written
  kChanges,           // ChangeRecord
  kRegionCount,
};

struct RegionRecord {
  std::uint64_t offset;
  std::uint64_t bytes;     // without the padding
  std::uint32_t checksum;  // CRC32C with the padding; of kVectors: of the padding alone
  std::uint32_t reserved;
};
static_assert(sizeof(RegionRecord) == 24);

/// The last block of a part's file.
struct PartFooter {
  char magic[8];           // "SIMPART\n"
  std::uint32_t version;   // kFormatVersion
  std::uint32_t checksum;  // CRC32C of the whole block with this field zero
  Uuid index;              // the index it belongs to
  std::uint64_t file;      // its number, as in its name
  std::uint64_t lsn;       // it holds its rows' and changes' state as of this write
  std::uint32_t segment;
  std::uint32_t first_ordinal;
  std::uint32_t rows;
  std::uint32_t changes;
  std::uint32_t dimensions;
  std::uint32_t slot_bytes;
  std::uint32_t rows_per_slot;
  std::uint32_t reserved;
  RegionRecord regions[kRegionCount];
  std::byte zero[kBlockBytes - 80 - sizeof(RegionRecord) * kRegionCount];
};
static_assert(sizeof(PartFooter) == kBlockBytes);

enum class ChangeKind : std::uint32_t { dead = 1, attributes = 2 };
struct ChangeRecord {
  std::uint32_t ordinal;
  ChangeKind kind;
  std::uint32_t attribute_bytes;  // of kind attributes, else 0
  std::uint32_t reserved;
};
static_assert(sizeof(ChangeRecord) == 16);

// --- A derived file: what can be made again from parts -------------------------------------------

/// A run of bytes, padded with zeros to a block's multiple, where the next one begins.
struct SectionRecord {
  std::uint64_t offset;
  std::uint64_t bytes;     // without the padding
  std::uint32_t checksum;  // CRC32C with the padding
  std::uint32_t reserved;
};
static_assert(sizeof(SectionRecord) == 24);

/// The last block of the file.
struct DerivedFooter {
  char magic[8];           // "SIMDERV\n"
  std::uint32_t version;   // kFormatVersion
  std::uint32_t checksum;  // CRC32C of the whole block with this field zero
  Uuid index;              // the index it belongs to
  std::uint64_t file;      // its number, as in its name
  std::uint32_t kind;      // DerivedKind
  std::uint32_t segment;
  std::uint32_t sections;
  std::uint32_t reserved;
  SectionRecord table;  // of SectionRecords
  std::byte zero[kBlockBytes - 56 - sizeof(SectionRecord)];
};
static_assert(sizeof(DerivedFooter) == kBlockBytes);

// --- The write-ahead log
// --------------------------------------------------------------------------

struct WalHeader {
  char magic[8];  // "SIMWAL1\n"
  std::uint32_t version;
  std::uint32_t checksum;  // CRC32C of the header with this field zero
  Uuid index;
  std::uint64_t file;       // its number, as in its name
  std::uint64_t first_lsn;  // all writes before it are durable elsewhere
  std::uint32_t dimensions;
  std::uint32_t reserved[3];
};
static_assert(sizeof(WalHeader) == 64);

enum class WalOperation : std::uint16_t { upsert = 1, erase = 2, attributes = 3, closed = 4 };
/// The next record is of the same batch: only together do they count.
inline constexpr std::uint16_t kBatchGoesOn = 1;
struct WalRecordHeader {
  std::uint32_t checksum;  // CRC32C of the record from the next field to its end
  std::uint32_t bytes;     // of the whole record, a multiple of 8
  std::uint64_t lsn;
  std::uint64_t durable_lsn;  // every write up to here was synced before this record was written
  std::uint64_t id;
  WalOperation operation;
  std::uint16_t flags;            // kBatchGoesOn or 0
  std::uint32_t attribute_bytes;  // follow the header; then zeros to a multiple of 8, the vector
};  // (upsert), zeros to a multiple of 8
static_assert(sizeof(WalRecordHeader) == 40);

// --- Names
// ------------------------------------------------------------------------------------------

inline constexpr char kManifestName[] = "MANIFEST";
inline constexpr char kManifestTemporary[] = "MANIFEST.tmp";
inline constexpr char kWalTemporary[] = "wal.tmp";
std::string part_name(std::uint64_t file);     // part-0000000012
std::string wal_name(std::uint64_t file);      // wal-0000000013
std::string derived_name(std::uint64_t file);  // derived-0000000014

enum class FileKind { part, wal, derived, temporary, other };
struct FileName {
  FileKind kind = FileKind::other;
  std::uint64_t file = 0;
};
FileName parse_name(const std::string& name);

template <typename T>
std::span<const std::byte> bytes_of(const T& object) {
  return std::as_bytes(std::span(&object, 1));
}

/// CRC32C of an object with its `checksum` taken as zero.
template <typename T>
std::uint32_t checksum_of(T object) {
  object.checksum = 0;
  return crc32c(bytes_of(object));
}

}  // namespace similis::engine
