#include "engine/storage/manifest.h"

#include <cstring>
#include <set>

namespace similis::engine {
namespace {

constexpr char kMagic[8] = {'S', 'I', 'M', 'I', 'N', 'D', 'X', '\n'};
constexpr std::uint64_t kManifestBytesMax = 1 << 30;

struct FixedPart {
  char magic[8];
  std::uint32_t version;
  std::uint32_t checksum;  // of the whole file with this field zero
  std::uint64_t bytes;     // of the whole file
  Uuid index;
  std::uint32_t kind;
  std::uint32_t metric;
  std::uint32_t dimensions;
  float norm_max;
  std::uint64_t lsn;
  std::uint64_t max_id;
  std::uint64_t first_wal;
  std::uint64_t next_file;
  std::uint32_t next_segment;
  std::uint32_t segments;
};
static_assert(sizeof(FixedPart) == 96);

struct SegmentRecord {
  std::uint32_t number;
  std::uint32_t sealed;
  std::uint32_t rows;
  std::uint32_t parts;
  std::uint32_t derived;
  std::uint32_t reserved;
};
static_assert(sizeof(SegmentRecord) == 24);

struct PartRecord {
  std::uint64_t file;
  std::uint64_t bytes;
  std::uint32_t first_ordinal;
  std::uint32_t rows;
  std::uint32_t changes;
  std::uint32_t footer_checksum;
};
static_assert(sizeof(PartRecord) == 32);

struct DerivedRecord {
  std::uint32_t kind;
  std::uint32_t checksum;
  std::uint64_t file;
  std::uint64_t bytes;
};
static_assert(sizeof(DerivedRecord) == 24);

template <typename T>
void put(std::vector<std::byte>& out, const T& record) {
  const auto bytes = bytes_of(record);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <typename T>
bool take(std::span<const std::byte>& in, T& record) {
  if (in.size() < sizeof(T)) return false;
  std::memcpy(&record, in.data(), sizeof(T));
  in = in.subspan(sizeof(T));
  return true;
}

Error broken(const std::string& name, const std::string& what) {
  return {ErrorCode::corruption, name + ": " + what,
          "The index has to be built again, or restored from a copy."};
}

}  // namespace

std::vector<std::byte> encode_manifest(const Manifest& m) {
  FixedPart fixed{};
  std::memcpy(fixed.magic, kMagic, sizeof kMagic);
  fixed.version = kFormatVersion;
  fixed.index = m.index;
  fixed.kind = m.kind;
  fixed.metric = m.metric;
  fixed.dimensions = m.dimensions;
  fixed.norm_max = m.norm_max;
  fixed.lsn = m.lsn;
  fixed.max_id = m.max_id;
  fixed.first_wal = m.first_wal;
  fixed.next_file = m.next_file;
  fixed.next_segment = m.next_segment;
  fixed.segments = static_cast<std::uint32_t>(m.segments.size());
  std::vector<std::byte> out;
  put(out, fixed);
  for (const auto& segment : m.segments) {
    put(out, SegmentRecord{segment.number, segment.sealed ? 1U : 0U, segment.rows,
                           static_cast<std::uint32_t>(segment.parts.size()),
                           static_cast<std::uint32_t>(segment.derived.size()), 0});
    for (const auto& part : segment.parts)
      put(out, PartRecord{part.file, part.bytes, part.first_ordinal, part.rows, part.changes,
                          part.footer_checksum});
    for (const auto& derived : segment.derived)
      put(out, DerivedRecord{derived.kind, derived.checksum, derived.file, derived.bytes});
  }
  fixed.bytes = out.size();
  std::memcpy(out.data(), &fixed, sizeof fixed);
  fixed.checksum = crc32c(out);
  std::memcpy(out.data(), &fixed, sizeof fixed);
  return out;
}

Result<Manifest> decode_manifest(std::span<const std::byte> bytes, const std::string& name) {
  FixedPart fixed{};
  auto rest = bytes;
  if (!take(rest, fixed)) return broken(name, "shorter than a manifest's fixed part");
  if (std::memcmp(fixed.magic, kMagic, sizeof kMagic) != 0)
    return broken(name, "does not begin as a manifest does");
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  std::memset(copy.data() + offsetof(FixedPart, checksum), 0, sizeof fixed.checksum);
  const bool whole = fixed.bytes == bytes.size() && crc32c(copy) == fixed.checksum;
  if (fixed.version > kFormatVersion) {
    return Error(ErrorCode::conflict,
                 name + ": written in format " + std::to_string(fixed.version) +
                     ", this version reads up to " + std::to_string(kFormatVersion) +
                     (whole ? "" : " (or its version field is damaged: the checksum is wrong)"),
                 "Use the newer version of the program.");
  }
  if (!whole) return broken(name, "its checksum does not match");
  if (fixed.version == 0) return broken(name, "format version 0 does not exist");
  if (fixed.dimensions == 0 || fixed.dimensions > kDimensionsMax)
    return broken(name, "impossible dimensions " + std::to_string(fixed.dimensions));

  Manifest m;
  m.index = fixed.index;
  m.kind = fixed.kind;
  m.metric = fixed.metric;
  m.dimensions = fixed.dimensions;
  m.norm_max = fixed.norm_max;
  m.lsn = fixed.lsn;
  m.max_id = fixed.max_id;
  m.first_wal = fixed.first_wal;
  m.next_file = fixed.next_file;
  m.next_segment = fixed.next_segment;
  std::set<std::uint32_t> numbers;
  std::set<std::uint64_t> files;
  for (std::uint32_t s = 0; s < fixed.segments; ++s) {
    SegmentRecord record{};
    if (!take(rest, record)) return broken(name, "ends inside a segment");
    auto& segment = m.segments.emplace_back();
    segment.number = record.number;
    segment.sealed = record.sealed == 1;
    segment.rows = record.rows;
    if (record.sealed > 1 || (!segment.sealed && s + 1 != fixed.segments))
      return broken(name, "an open segment that is not the last");
    if (record.number >= m.next_segment || !numbers.insert(record.number).second)
      return broken(name, "a segment's number is taken or was never given");
    std::uint64_t rows = 0;
    for (std::uint32_t p = 0; p < record.parts; ++p) {
      PartRecord part{};
      if (!take(rest, part)) return broken(name, "ends inside a part");
      if (part.rows != 0 && part.first_ordinal != rows)
        return broken(name, "a segment's parts leave a gap");
      if (part.file >= m.next_file || !files.insert(part.file).second)
        return broken(name, "a file's number is taken or was never given");
      rows += part.rows;
      segment.parts.push_back({part.file, part.bytes, part.first_ordinal, part.rows, part.changes,
                               part.footer_checksum});
    }
    if (rows != record.rows) return broken(name, "a segment's parts do not make up its rows");
    for (std::uint32_t d = 0; d < record.derived; ++d) {
      DerivedRecord derived{};
      if (!take(rest, derived)) return broken(name, "ends inside a derived file");
      if (derived.file >= m.next_file || !files.insert(derived.file).second)
        return broken(name, "a file's number is taken or was never given");
      segment.derived.push_back({derived.kind, derived.checksum, derived.file, derived.bytes});
    }
  }
  if (!rest.empty()) return broken(name, "has bytes after its end");
  return m;
}

Result<Manifest> read_manifest(Storage& storage, const std::filesystem::path& directory) {
  const auto path = directory / kManifestName;
  auto opened = storage.open(path);
  if (!opened.ok()) {
    if (opened.error().code != ErrorCode::not_found) return std::move(opened).error();
    // An interrupted creation leaves none of these.
    ASSIGN_OR_RETURN(const auto names, storage.list(directory));
    for (const std::string& name : names) {
      const FileKind kind = parse_name(name).kind;
      if (kind == FileKind::other || kind == FileKind::temporary) continue;
      return Error(ErrorCode::corruption,
                   path.native() + " is missing, though " + name + " of an index is there",
                   "Bring it back from a copy, or move the folder away and run verify.");
    }
    return Error(ErrorCode::not_found, directory.native() + ": there is no index here");
  }
  const auto& file = *opened.value();
  if (file.size() > kManifestBytesMax) return broken(path.native(), "larger than any manifest");
  std::vector<std::byte> bytes(file.size());
  TRY(file.read(0, bytes));
  return decode_manifest(bytes, path.native());
}

Status publish_manifest(Storage& storage, const std::filesystem::path& directory,
                        const Manifest& manifest, PublishOutcome& outcome) {
  outcome = PublishOutcome::unchanged;
  const auto temporary = directory / kManifestTemporary;
  const auto bytes = encode_manifest(manifest);
  if (auto status = storage.remove(temporary);
      !status.ok() && status.error().code != ErrorCode::not_found)
    return status;
  auto write = [&]() -> Status {
    ASSIGN_OR_RETURN(const auto file, storage.create(temporary));
    TRY(file->append(bytes));
    return file->sync();
  };
  if (auto status = write(); !status.ok()) {
    (void)storage.remove(temporary);  // the next publication removes it as well
    return status;
  }
  // The names of the parts that it lists must be durable before its own.
  if (auto status = storage.sync_directory(directory); !status.ok()) {
    (void)storage.remove(temporary);
    return status;
  }
  outcome = PublishOutcome::unknown;
  TRY(storage.rename(temporary, directory / kManifestName));
  TRY(storage.sync_directory(directory));
  outcome = PublishOutcome::published;
  return {};
}

}  // namespace similis::engine
