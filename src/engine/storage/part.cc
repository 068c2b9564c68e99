#include "engine/storage/part.h"

#include <algorithm>
#include <cstring>

namespace similis::engine {
namespace {

constexpr char kMagic[8] = {'S', 'I', 'M', 'P', 'A', 'R', 'T', '\n'};
constexpr std::size_t kStreamBytes = 1 << 20;
constexpr std::size_t kVerifyBytes = 4 << 20;

}  // namespace

Error Part::damaged(std::uint64_t offset, const std::string& what) const {
  return {ErrorCode::corruption, path_ + " at byte " + std::to_string(offset) + ": " + what,
          "Run verify to see how much is damaged; those pictures have to be indexed again."};
}

Result<std::shared_ptr<const Part>> Part::open(Storage& storage,
                                               const std::filesystem::path& directory,
                                               const Uuid& index, const Geometry& geometry,
                                               std::uint32_t segment,
                                               const Manifest::Part& expected) {
  const auto path = directory / part_name(expected.file);
  auto opened = storage.open(path);
  if (!opened.ok()) {
    if (opened.error().code != ErrorCode::not_found) return std::move(opened).error();
    return Error(ErrorCode::corruption, path.native() + ": the manifest names it, it is missing");
  }
  const std::shared_ptr<Part> part(
      new Part(std::move(opened).value(), path.native(), geometry, expected));
  const std::uint64_t size = part->file_->size();
  if (size != expected.bytes || size < kBlockBytes || size % kBlockBytes != 0) {
    return part->damaged(size,
                         "the file should be " + std::to_string(expected.bytes) + " bytes long");
  }
  auto& footer = part->footer_;
  const std::uint64_t footer_at = size - kBlockBytes;
  TRY(part->file_->read(footer_at, std::as_writable_bytes(std::span(&footer, 1))));
  if (std::memcmp(footer.magic, kMagic, sizeof kMagic) != 0 ||
      checksum_of(footer) != footer.checksum || footer.checksum != expected.footer_checksum)
    return part->damaged(footer_at, "the footer's checksum does not match");
  if (footer.version > kFormatVersion) {
    return Error(ErrorCode::conflict,
                 path.native() + ": written in format " + std::to_string(footer.version) +
                     ", this version reads up to " + std::to_string(kFormatVersion),
                 "Use the newer version of the program.");
  }
  bool fits = footer.index == index && footer.file == expected.file && footer.segment == segment &&
              footer.first_ordinal == expected.first_ordinal && footer.rows == expected.rows &&
              footer.changes == expected.changes && footer.dimensions == geometry.dimensions &&
              footer.slot_bytes == geometry.slot_bytes &&
              footer.rows_per_slot == geometry.rows_per_slot;
  const std::uint64_t slots = geometry.slots(expected.rows);
  const std::uint64_t sizes[kRegionCount] = {
      slots * geometry.slot_bytes,
      footer.regions[kAttributes].bytes,
      slots * sizeof(std::uint32_t),
      std::uint64_t{expected.rows} * sizeof(std::uint64_t),
      std::uint64_t{expected.rows} * sizeof(std::uint32_t),
      (std::uint64_t{expected.rows} + 63) / 64 * sizeof(std::uint64_t),
      std::uint64_t{expected.changes} * sizeof(ChangeRecord)};
  std::uint64_t at = 0;
  for (std::uint32_t r = 0; r < kRegionCount && fits; ++r) {
    fits = footer.regions[r].offset == at && footer.regions[r].bytes == sizes[r] &&
           sizes[r] <= footer_at - at;
    at += round_up(sizes[r], kBlockBytes);
  }
  if (!fits || at != footer_at)
    return part->damaged(footer_at, "the footer belongs to another file");
  ASSIGN_OR_RETURN(part->slot_checksums_, part->read_region<std::uint32_t>(kSlotChecksums));
  if (expected.rows == 0) {
    ASSIGN_OR_RETURN(const auto changes, part->read_region<ChangeRecord>(kChanges));
    for (const ChangeRecord& change : changes) part->changed_.push_back(change.ordinal);
  }
  return std::shared_ptr<const Part>(part);
}

template <typename T>
Result<std::vector<T>> Part::read_region(PartRegion region) const {
  const auto& record = footer_.regions[region];
  const std::uint64_t padded = round_up(record.bytes, kBlockBytes);
  AlignedBuffer buffer(padded);
  TRY(file_->read(record.offset, buffer.span()));
  if (crc32c(buffer.span()) != record.checksum)
    return damaged(record.offset,
                   "the checksum of " + std::to_string(padded) + " bytes does not match");
  std::vector<T> out(record.bytes / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), buffer.data(), out.size() * sizeof(T));
  return out;
}

Result<Part::Tables> Part::read_tables() const {
  Tables tables;
  ASSIGN_OR_RETURN(tables.ids, read_region<std::uint64_t>(kIds));
  ASSIGN_OR_RETURN(tables.attribute_lengths, read_region<std::uint32_t>(kAttributeLengths));
  ASSIGN_OR_RETURN(tables.dead, read_region<std::uint64_t>(kDeadRows));
  ASSIGN_OR_RETURN(tables.changes, read_region<ChangeRecord>(kChanges));
  std::uint64_t attribute_bytes = 0;
  for (const std::uint32_t length : tables.attribute_lengths) attribute_bytes += length;
  for (const ChangeRecord& change : tables.changes) attribute_bytes += change.attribute_bytes;
  if (attribute_bytes != footer_.regions[kAttributes].bytes)
    return damaged(footer_.regions[kAttributeLengths].offset,
                   "the attributes' lengths do not make up their region");
  return tables;
}

Status Part::read_attributes(
    const Tables& tables,
    const std::function<Status(std::uint32_t, std::span<const std::byte>)>& each) const {
  const auto& region = footer_.regions[kAttributes];
  const std::uint64_t padded = round_up(region.bytes, kBlockBytes);
  // [carried | block], as in WalReader.
  constexpr std::size_t kCarry = kAttributeBytesMax;
  AlignedBuffer buffer;
  std::span<const std::byte> window;
  std::uint64_t read_to = 0;
  std::uint32_t checksum = 0;
  auto need = [&](std::size_t bytes) -> Status {
    while (window.size() < bytes) {
      if (buffer.size() == 0) buffer = AlignedBuffer(kCarry + kStreamBytes);
      std::byte* carried = buffer.data() + kCarry - window.size();
      if (!window.empty()) std::memmove(carried, window.data(), window.size());
      const auto block =
          buffer.span().subspan(kCarry, std::min<std::uint64_t>(kStreamBytes, padded - read_to));
      TRY(file_->read(region.offset + read_to, block));
      checksum = crc32c(block, checksum);
      read_to += block.size();
      window = {carried, window.size() + block.size()};
    }
    return {};
  };
  const auto rows = static_cast<std::uint32_t>(tables.attribute_lengths.size());
  const auto total = rows + static_cast<std::uint32_t>(tables.changes.size());
  for (std::uint32_t i = 0; i < total; ++i) {
    const std::uint32_t length =
        i < rows ? tables.attribute_lengths[i] : tables.changes[i - rows].attribute_bytes;
    if (length > kAttributeBytesMax)
      return damaged(region.offset, "attributes longer than any row's");
    TRY(need(length));
    TRY(each(i, window.first(length)));
    window = window.subspan(length);
  }
  if (read_to != padded || checksum != region.checksum)
    return damaged(region.offset, "the checksum of " + std::to_string(padded) +
                                      " bytes of attributes does not match");
  return {};
}

Status Part::read_rows(std::uint32_t first, std::uint32_t count, AlignedBuffer& scratch, Rows& rows,
                       ReadCounters* counters, std::vector<std::uint32_t>& damaged) const {
  const std::uint64_t slot_bytes = geometry_.slot_bytes;
  const std::uint64_t slot_begin = first / geometry_.rows_per_slot;
  const std::uint64_t slot_end = geometry_.slots(std::uint64_t{first} + count);
  const std::uint64_t read_begin = slot_begin * slot_bytes / kBlockBytes * kBlockBytes;
  const std::uint64_t read_end = round_up(slot_end * slot_bytes, kBlockBytes);
  scratch.ensure(read_end - read_begin);
  std::byte* slots = scratch.data() + (slot_begin * slot_bytes - read_begin);
  Status read = file_->read(read_begin, scratch.span().first(read_end - read_begin));
  const bool in_pieces = !read.ok();
  if (in_pieces && read.error().code != ErrorCode::io_error &&
      read.error().code != ErrorCode::corruption)
    return read;
  if (counters != nullptr) {
    counters->requests.fetch_add(1, std::memory_order_relaxed);
    counters->bytes.fetch_add(read_end - read_begin, std::memory_order_relaxed);
  }
  rows.first_slot = slots;
  rows.first_row = static_cast<std::uint32_t>(slot_begin * geometry_.rows_per_slot);
  for (std::uint64_t s = slot_begin; s < slot_end; ++s, slots += slot_bytes) {
    // A bad sector fails the whole request: slot by slot, only its rows are lost.
    if (in_pieces) TRY(read_slot(s, {slots, slot_bytes}));
    if (crc32c({slots, slot_bytes}) == slot_checksums_[s]) continue;
    const auto row = static_cast<std::uint32_t>(s * geometry_.rows_per_slot);
    for (std::uint32_t i = 0; i < geometry_.rows_per_slot && row + i < record_.rows; ++i)
      if (row + i >= first && row + i - first < count) damaged.push_back(row + i);
  }
  return {};
}

// A slot is lost when it cannot be read while the file's footer can be, nor after that, or when the
// file ends before it. A disk out of reach loses nothing: that is the caller's error.
Status Part::read_slot(std::uint64_t slot, std::span<std::byte> out) const {
  const std::uint64_t offset = slot * geometry_.slot_bytes;
  Status read = file_->read(offset, out);
  if (read.ok()) return {};
  if (read.error().code == ErrorCode::io_error) {
    TRY(file_->reach(record_.bytes - kBlockBytes));
    read = file_->read(offset, out);
  }
  if (read.ok()) return {};
  if (read.error().code != ErrorCode::io_error && read.error().code != ErrorCode::corruption)
    return read;
  std::memset(out.data(), 0, out.size());  // which is not what was written
  return {};
}

Part::Place Part::place(std::uint32_t row) const {
  const std::uint64_t block = file_->alignment();
  const std::uint64_t slot_begin =
      std::uint64_t{row / geometry_.rows_per_slot} * geometry_.slot_bytes;
  const std::uint64_t begin = slot_begin / block * block;
  const std::uint64_t end =
      std::min(round_up(slot_begin + geometry_.slot_bytes, block), record_.bytes);
  Place out;
  out.offset = begin;
  out.bytes = static_cast<std::uint32_t>(end - begin);
  out.slot_at = static_cast<std::uint32_t>(slot_begin - begin);
  out.row_at = out.slot_at + row % geometry_.rows_per_slot * geometry_.row_bytes;
  return out;
}

bool Part::is_intact(std::uint32_t row, const Place& place, const std::byte* read) const {
  return crc32c({read + place.slot_at, geometry_.slot_bytes}) ==
         slot_checksums_[row / geometry_.rows_per_slot];
}

Status Part::verify(std::vector<DamageReport>& found, const std::function<Status()>& check) const {
  const std::string name = part_name(record_.file);
  AlignedBuffer buffer(kVerifyBytes);
  // A read that the medium refuses is a finding too, and the rest of the file is still checked, as
  // long as the medium answers at all.
  Status reached;
  auto read = [&](std::uint64_t offset, std::span<std::byte> out) {
    const Status status = file_->read(offset, out);
    if (status.ok()) return true;
    found.push_back({name, offset, status.error().message});
    if (reached.ok() && status.error().code == ErrorCode::io_error)
      reached = file_->reach(record_.bytes - kBlockBytes);
    return false;
  };

  const auto& vectors = footer_.regions[kVectors];
  const std::uint64_t slots_a_read =
      std::max<std::uint64_t>(1, kVerifyBytes / geometry_.slot_bytes);
  for (std::uint64_t s = 0; s < slot_checksums_.size(); s += slots_a_read) {
    TRY(check());
    const std::uint64_t count = std::min<std::uint64_t>(slots_a_read, slot_checksums_.size() - s);
    buffer.ensure(count * geometry_.slot_bytes);
    const auto block = buffer.span().first(count * geometry_.slot_bytes);
    if (!read(s * geometry_.slot_bytes, block)) {
      TRY(reached);
      continue;
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      if (crc32c(block.subspan(i * geometry_.slot_bytes, geometry_.slot_bytes)) !=
          slot_checksums_[s + i])
        found.push_back({name, (s + i) * geometry_.slot_bytes, "a vector's checksum is wrong"});
    }
  }
  std::vector<std::byte> padding(round_up(vectors.bytes, kBlockBytes) - vectors.bytes);
  if (!padding.empty() && read(vectors.bytes, padding) && crc32c(padding) != vectors.checksum)
    found.push_back({name, vectors.bytes, "bytes behind the last vector are not zero"});

  for (std::uint32_t r = kAttributes; r < kRegionCount; ++r) {
    const auto& region = footer_.regions[r];
    std::uint32_t checksum = 0;
    bool complete = true;
    const std::uint64_t padded = round_up(region.bytes, kBlockBytes);
    for (std::uint64_t at = 0; at < padded; at += kVerifyBytes) {
      TRY(check());
      const auto block = buffer.span().first(std::min<std::uint64_t>(kVerifyBytes, padded - at));
      complete = read(region.offset + at, block) && complete;
      TRY(reached);
      checksum = crc32c(block, checksum);
    }
    static constexpr const char* kNames[] = {"vectors", "attributes",        "slot checksums",
                                             "ids",     "attribute lengths", "dead rows",
                                             "changes"};
    if (complete && checksum != region.checksum)
      found.push_back(
          {name, region.offset, std::string("the checksum of the ") + kNames[r] + " is wrong"});
  }
  // The footer was checked when the part was opened; the medium may have changed since.
  PartFooter footer{};
  const std::uint64_t footer_at = record_.bytes - kBlockBytes;
  if (read(footer_at, std::as_writable_bytes(std::span(&footer, 1))) &&
      std::memcmp(&footer, &footer_, sizeof footer) != 0)
    found.push_back({name, footer_at, "the footer is wrong"});
  return reached;
}

}  // namespace similis::engine
