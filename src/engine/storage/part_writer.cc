#include "engine/storage/part_writer.h"

#include <cassert>
#include <cstring>

#include "base/log.h"

namespace similis::engine {
namespace {
constexpr char kMagic[8] = {'S', 'I', 'M', 'P', 'A', 'R', 'T', '\n'};
constexpr std::size_t kFlushBytes = 4 << 20;
}  // namespace

Result<std::unique_ptr<PartWriter>> PartWriter::create(Storage& storage,
                                                       const std::filesystem::path& directory,
                                                       const Geometry& geometry,
                                                       const Identity& identity) {
  auto path = directory / part_name(identity.file);
  ASSIGN_OR_RETURN(auto file, storage.create(path));
  return std::unique_ptr<PartWriter>(
      new PartWriter(storage, std::move(path), geometry, identity, std::move(file)));
}

PartWriter::PartWriter(Storage& storage, std::filesystem::path path, const Geometry& geometry,
                       const Identity& identity, std::unique_ptr<AppendFile> file)
    : storage_(storage),
      path_(std::move(path)),
      geometry_(geometry),
      identity_(identity),
      file_(std::move(file)) {
  slot_.reserve(geometry_.slot_bytes);
}

PartWriter::~PartWriter() {
  if (finished_) return;
  file_.reset();
  if (auto status = storage_.remove(path_); !status.ok())
    log(LogLevel::warning,
        "an unfinished file stays until the index is opened again: " + status.error().message);
}

Status PartWriter::flush() {
  TRY(file_->append(buffer_));
  buffer_.clear();
  return {};
}

Status PartWriter::put(std::span<const std::byte> bytes) {
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  position_ += bytes.size();
  return buffer_.size() >= kFlushBytes ? flush() : Status();
}

Status PartWriter::end_slot() {
  slot_.resize(geometry_.slot_bytes);
  slot_checksums_.push_back(crc32c(slot_));
  TRY(put(slot_));
  slot_.clear();
  slot_rows_ = 0;
  return {};
}

// Ends the region being written and begins the next at a block's multiple.
Status PartWriter::end_region(PartRegion region) {
  assert(region == region_);
  auto& record = footer_.regions[region];
  record.offset = region_begin_;
  record.bytes = position_ - region_begin_;
  const std::vector<std::byte> padding(round_up(position_, kBlockBytes) - position_);
  region_checksum_ = crc32c(padding, region_checksum_);
  TRY(put(padding));
  record.checksum = region_checksum_;
  region_checksum_ = 0;
  region_begin_ = position_;
  region_ = static_cast<PartRegion>(region + 1);
  return {};
}

template <typename T>
Status PartWriter::put_region(PartRegion region, const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  region_checksum_ = crc32c(bytes);
  TRY(put(bytes));
  return end_region(region);
}

Status PartWriter::add_row(std::uint64_t id, bool dead, std::span<const std::byte> vector) {
  assert(region_ == kVectors && vector.size() == geometry_.row_bytes);
  if (ids_.size() % 64 == 0) dead_.push_back(0);
  if (dead) dead_.back() |= std::uint64_t{1} << (ids_.size() % 64);
  ids_.push_back(id);
  slot_.insert(slot_.end(), vector.begin(), vector.end());
  return ++slot_rows_ == geometry_.rows_per_slot ? end_slot() : Status();
}

Status PartWriter::add_attributes(std::span<const std::byte> bytes) {
  if (region_ == kVectors) {
    if (slot_rows_ != 0) TRY(end_slot());
    TRY(end_region(kVectors));
  }
  assert(attribute_lengths_.size() < ids_.size());
  attribute_lengths_.push_back(static_cast<std::uint32_t>(bytes.size()));
  region_checksum_ = crc32c(bytes, region_checksum_);
  return put(bytes);
}

Status PartWriter::add_change(std::uint32_t ordinal, ChangeKind kind,
                              std::span<const std::byte> attributes) {
  assert(attribute_lengths_.size() == ids_.size());
  if (region_ == kVectors) TRY(end_region(kVectors));
  changes_.push_back({ordinal, kind, static_cast<std::uint32_t>(attributes.size()), 0});
  region_checksum_ = crc32c(attributes, region_checksum_);
  return put(attributes);
}

Result<Manifest::Part> PartWriter::finish() {
  assert(attribute_lengths_.size() == ids_.size());
  if (region_ == kVectors) TRY(end_region(kVectors));
  TRY(end_region(kAttributes));
  TRY(put_region(kSlotChecksums, slot_checksums_));
  TRY(put_region(kIds, ids_));
  TRY(put_region(kAttributeLengths, attribute_lengths_));
  TRY(put_region(kDeadRows, dead_));
  TRY(put_region(kChanges, changes_));

  std::memcpy(footer_.magic, kMagic, sizeof kMagic);
  footer_.version = kFormatVersion;
  footer_.index = identity_.index;
  footer_.file = identity_.file;
  footer_.lsn = identity_.lsn;
  footer_.segment = identity_.segment;
  footer_.first_ordinal = identity_.first_ordinal;
  footer_.rows = static_cast<std::uint32_t>(ids_.size());
  footer_.changes = static_cast<std::uint32_t>(changes_.size());
  footer_.dimensions = geometry_.dimensions;
  footer_.slot_bytes = geometry_.slot_bytes;
  footer_.rows_per_slot = geometry_.rows_per_slot;
  footer_.checksum = checksum_of(footer_);
  TRY(put(bytes_of(footer_)));
  TRY(flush());
  TRY(file_->sync());
  finished_ = true;
  return Manifest::Part{identity_.file,
                        position_,
                        identity_.first_ordinal,
                        static_cast<std::uint32_t>(ids_.size()),
                        static_cast<std::uint32_t>(changes_.size()),
                        footer_.checksum};
}

}  // namespace similis::engine
