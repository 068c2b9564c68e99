#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/storage/format.h"
#include "engine/storage/manifest.h"
#include "engine/storage/storage.h"

namespace similis::engine {

/// Writes one part, front to back: all vectors, then the rows' attributes, then changes, then
/// finish(). A writer destroyed before finish() succeeded removes its file.
class PartWriter {
 public:
  struct Identity {
    Uuid index{};
    std::uint64_t file = 0;
    std::uint64_t lsn = 0;
    std::uint32_t segment = 0;
    std::uint32_t first_ordinal = 0;
  };

  static Result<std::unique_ptr<PartWriter>> create(Storage& storage,
                                                    const std::filesystem::path& directory,
                                                    const Geometry& geometry,
                                                    const Identity& identity);
  ~PartWriter();
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  /// `vector`: row_bytes of fp16.
  Status add_row(std::uint64_t id, bool dead, std::span<const std::byte> vector);
  /// One call a row, in the rows' order, after the last add_row().
  Status add_attributes(std::span<const std::byte> bytes);
  /// After the rows' attributes.
  Status add_change(std::uint32_t ordinal, ChangeKind kind, std::span<const std::byte> attributes);
  /// Writes the rest and syncs. The name is durable after the folder's sync that publishing does.
  Result<Manifest::Part> finish();

 private:
  PartWriter(Storage& storage, std::filesystem::path path, const Geometry& geometry,
             const Identity& identity, std::unique_ptr<AppendFile> file);
  Status flush();
  Status put(std::span<const std::byte> bytes);
  Status end_slot();
  Status end_region(PartRegion region);
  template <typename T>
  Status put_region(PartRegion region, const std::vector<T>& values);

  Storage& storage_;
  const std::filesystem::path path_;
  const Geometry geometry_;
  const Identity identity_;
  std::unique_ptr<AppendFile> file_;
  bool finished_ = false;

  std::vector<std::byte> buffer_;  // not yet appended
  std::uint64_t position_ = 0;     // of the next byte put
  std::uint64_t region_begin_ = 0;
  std::uint32_t region_checksum_ = 0;
  PartRegion region_ = kVectors;
  PartFooter footer_{};

  std::vector<std::byte> slot_;
  std::uint32_t slot_rows_ = 0;
  std::vector<std::uint32_t> slot_checksums_;
  std::vector<std::uint64_t> ids_;
  std::vector<std::uint32_t> attribute_lengths_;
  std::vector<std::uint64_t> dead_;
  std::vector<ChangeRecord> changes_;
};

}  // namespace similis::engine
