#include "engine/storage/format.h"

#include <algorithm>
#include <cstdio>

namespace similis::engine {
namespace {
constexpr std::uint32_t kSectorBytes = 512;
constexpr std::uint64_t kChunkBytesMax = 4 << 20;
constexpr std::string_view kPartPrefix = "part-", kWalPrefix = "wal-", kDerivedPrefix = "derived-";

std::string numbered(std::string_view prefix, std::uint64_t number) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%010llu", static_cast<unsigned long long>(number));
  return std::string(prefix) + digits;
}
}  // namespace

Geometry::Geometry(std::uint32_t dimensions_) : dimensions(dimensions_) {
  row_bytes = 2 * dimensions;
  slot_bytes = static_cast<std::uint32_t>(round_up(row_bytes, kSectorBytes));
  rows_per_slot = std::max<std::uint32_t>(1, kSectorBytes / row_bytes);
  stride_bytes = static_cast<std::uint32_t>(round_up(row_bytes, 64));
  chunk_rows = 64;
  while (chunk_rows < 65536 && std::uint64_t{chunk_rows} * 2 * stride_bytes <= kChunkBytesMax)
    chunk_rows *= 2;
}

std::string part_name(std::uint64_t file) {
  return numbered(kPartPrefix, file);
}
std::string wal_name(std::uint64_t file) {
  return numbered(kWalPrefix, file);
}

std::string derived_name(std::uint64_t file) {
  return numbered(kDerivedPrefix, file);
}

FileName parse_name(const std::string& name) {
  if (name == kManifestTemporary || name == kWalTemporary) return {FileKind::temporary, 0};
  for (const auto& [prefix, kind] :
       {std::pair{kPartPrefix, FileKind::part}, std::pair{kWalPrefix, FileKind::wal},
        std::pair{kDerivedPrefix, FileKind::derived}}) {
    if (!name.starts_with(prefix)) continue;
    const std::string_view digits = std::string_view(name).substr(prefix.size());
    std::uint64_t number = 0;
    if (digits.size() < 10 || digits.size() > 18) break;
    bool ok = true;
    for (const char c : digits) {
      ok = ok && c >= '0' && c <= '9';
      number = number * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (ok && numbered(prefix, number) == name) return {kind, number};
  }
  return {};
}

}  // namespace similis::engine
