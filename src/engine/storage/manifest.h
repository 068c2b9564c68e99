#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/storage/format.h"
#include "engine/storage/storage.h"

namespace similis::engine {

/// The root of an index: what it is, and which files hold its state as of `lsn`. Writes after it
/// are in the logs numbered `first_wal` and above.
struct Manifest {
  /// A file of parts: rows, changes, or both. Applied in the order listed.
  struct Part {
    std::uint64_t file = 0;
    std::uint64_t bytes = 0;
    std::uint32_t first_ordinal = 0;
    std::uint32_t rows = 0;
    std::uint32_t changes = 0;
    std::uint32_t footer_checksum = 0;
    friend bool operator==(const Part&, const Part&) = default;
  };
  /// A file that can be made again from the parts (a graph, codes). Kind `flat` has none.
  struct Derived {
    std::uint32_t kind = 0;
    std::uint32_t checksum = 0;  // of its footer
    std::uint64_t file = 0;
    std::uint64_t bytes = 0;
    friend bool operator==(const Derived&, const Derived&) = default;
  };
  struct Segment {
    std::uint32_t number = 0;
    bool sealed = false;  // takes no more rows; only the last segment may be open
    std::uint32_t rows = 0;
    std::vector<Part> parts;
    std::vector<Derived> derived;
    friend bool operator==(const Segment&, const Segment&) = default;
  };

  Uuid index{};
  std::uint32_t kind = 0;    // IndexKind
  std::uint32_t metric = 0;  // Metric
  std::uint32_t dimensions = 0;
  std::uint64_t lsn = 0;
  std::uint64_t max_id = 0;  // the largest id ever written
  std::uint64_t first_wal = 0;
  std::uint64_t next_file = 1;
  std::uint32_t next_segment = 1;
  float norm_max = 0;  // the largest norm ever stored
  std::vector<Segment> segments;

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

std::vector<std::byte> encode_manifest(const Manifest& manifest);
/// `conflict` for a newer format, `corruption` for anything that does not hold together.
Result<Manifest> decode_manifest(std::span<const std::byte> bytes, const std::string& name);

/// not_found when the folder holds no index, `corruption` when it holds files of one.
Result<Manifest> read_manifest(Storage& storage, const std::filesystem::path& directory);

enum class PublishOutcome { published, unchanged, unknown };
/// Writes a temporary file, syncs it and the folder, renames it over MANIFEST and syncs the folder
/// again. `outcome` says what a failure left behind: `unknown` once the rename was tried.
Status publish_manifest(Storage& storage, const std::filesystem::path& directory,
                        const Manifest& manifest, PublishOutcome& outcome);

}  // namespace similis::engine
