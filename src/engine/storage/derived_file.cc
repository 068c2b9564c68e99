#include "engine/storage/derived_file.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"

namespace similis::engine {
namespace {

constexpr char kMagic[8] = {'S', 'I', 'M', 'D', 'E', 'R', 'V', '\n'};
constexpr std::size_t kVerifyBytes = 4 << 20;
constexpr std::size_t kSectionsMax = 1 << 20;

}  // namespace

Result<std::unique_ptr<DerivedWriter>> DerivedWriter::create(Storage& storage,
                                                             const std::filesystem::path& directory,
                                                             const Uuid& index, std::uint64_t file,
                                                             DerivedKind kind,
                                                             std::uint32_t segment) {
  auto path = directory / derived_name(file);
  ASSIGN_OR_RETURN(auto created, storage.create(path));
  std::unique_ptr<DerivedWriter> writer(new DerivedWriter(storage, std::move(path)));
  writer->file_ = std::move(created);
  DerivedFooter& footer = writer->footer_;
  std::memcpy(footer.magic, kMagic, sizeof kMagic);
  footer.version = kFormatVersion;
  footer.index = index;
  footer.file = file;
  footer.kind = static_cast<std::uint32_t>(kind);
  footer.segment = segment;
  return writer;
}

DerivedWriter::~DerivedWriter() {
  if (finished_) return;
  file_.reset();
  if (auto status = storage_.remove(path_); !status.ok())
    log(LogLevel::warning,
        "an unfinished file stays until the index is opened again: " + status.error().message);
}

Status DerivedWriter::put(std::span<const std::byte> bytes, SectionRecord& record) {
  record.offset = file_->size();
  record.bytes = bytes.size();
  const std::vector<std::byte> padding(round_up(bytes.size(), kBlockBytes) - bytes.size());
  record.checksum = crc32c(padding, crc32c(bytes));
  TRY(file_->append(bytes));
  if (!padding.empty()) TRY(file_->append(padding));
  return {};
}

Status DerivedWriter::add(std::span<const std::byte> section) {
  return put(section, sections_.emplace_back());
}

Result<Manifest::Derived> DerivedWriter::finish() {
  footer_.sections = static_cast<std::uint32_t>(sections_.size());
  TRY(put(std::as_bytes(std::span(sections_)), footer_.table));
  footer_.checksum = checksum_of(footer_);
  TRY(file_->append(bytes_of(footer_)));
  TRY(file_->sync());
  finished_ = true;
  return Manifest::Derived{footer_.kind, footer_.checksum, footer_.file, file_->size()};
}

Error DerivedFile::damaged(std::uint64_t offset, const std::string& what) const {
  return {ErrorCode::corruption, path_ + " at byte " + std::to_string(offset) + ": " + what,
          "It is made again from the vectors."};
}

Result<std::unique_ptr<DerivedFile>> DerivedFile::open(Storage& storage,
                                                       const std::filesystem::path& directory,
                                                       const Uuid& index, std::uint32_t segment,
                                                       const Manifest::Derived& expected) {
  const auto path = directory / derived_name(expected.file);
  auto opened = storage.open(path);
  if (!opened.ok()) {
    if (opened.error().code != ErrorCode::not_found) return std::move(opened).error();
    return Error(ErrorCode::corruption, path.native() + ": the manifest names it, it is missing");
  }
  std::unique_ptr<DerivedFile> out(
      new DerivedFile(std::move(opened).value(), path.native(), expected));
  const std::uint64_t size = out->file_->size();
  if (size != expected.bytes || size < kBlockBytes || size % kBlockBytes != 0) {
    return out->damaged(size,
                        "the file should be " + std::to_string(expected.bytes) + " bytes long");
  }
  DerivedFooter& footer = out->footer_;
  const std::uint64_t footer_at = size - kBlockBytes;
  TRY(out->file_->read(footer_at, std::as_writable_bytes(std::span(&footer, 1))));
  if (std::memcmp(footer.magic, kMagic, sizeof kMagic) != 0 ||
      checksum_of(footer) != footer.checksum || footer.checksum != expected.checksum)
    return out->damaged(footer_at, "the footer's checksum does not match");
  if (footer.version > kFormatVersion) {
    return Error(ErrorCode::conflict,
                 path.native() + ": written in format " + std::to_string(footer.version) +
                     ", this version reads up to " + std::to_string(kFormatVersion),
                 "Use the newer version of the program.");
  }
  const std::uint64_t table_bytes = std::uint64_t{footer.sections} * sizeof(SectionRecord);
  if (footer.index != index || footer.file != expected.file || footer.kind != expected.kind ||
      footer.segment != segment || footer.sections > kSectionsMax ||
      footer.table.bytes != table_bytes ||
      footer.table.offset + round_up(table_bytes, kBlockBytes) != footer_at)
    return out->damaged(footer_at, "the footer belongs to another file");
  std::vector<std::byte> table(footer_at - footer.table.offset);
  TRY(out->file_->read(footer.table.offset, table));
  if (crc32c(table) != footer.table.checksum)
    return out->damaged(footer.table.offset, "the table's checksum does not match");
  out->sections_.resize(footer.sections);
  if (table_bytes > 0) std::memcpy(out->sections_.data(), table.data(), table_bytes);
  std::uint64_t at = 0;
  for (const SectionRecord& section : out->sections_) {
    if (section.offset != at || section.bytes > footer_at - at)
      return out->damaged(footer.table.offset, "the table does not hold together");
    at += round_up(section.bytes, kBlockBytes);
  }
  if (at != footer.table.offset)
    return out->damaged(footer.table.offset, "the table does not hold together");
  return out;
}

Status DerivedFile::read(std::size_t section, std::span<std::byte> out) const {
  const SectionRecord& record = sections_[section];
  TRY(file_->read(record.offset, out));
  const std::vector<std::byte> padding(round_up(record.bytes, kBlockBytes) - record.bytes);
  if (crc32c(padding, crc32c(out)) != record.checksum)
    return damaged(record.offset,
                   "the checksum of section " + std::to_string(section) + " does not match");
  return {};
}

Status DerivedFile::verify(std::vector<DamageReport>& found,
                           const std::function<Status()>& check) const {
  const std::string name = derived_name(record_.file);
  AlignedBuffer buffer(kVerifyBytes);
  // A read that the medium refuses is a finding too: the rest of the file is still checked.
  const auto read = [&](std::uint64_t offset, std::span<std::byte> out) {
    const Status status = file_->read(offset, out);
    if (!status.ok()) found.push_back({name, offset, status.error().message});
    return status.ok();
  };
  std::vector<SectionRecord> all = sections_;
  all.push_back(footer_.table);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::uint64_t padded = round_up(all[i].bytes, kBlockBytes);
    std::uint32_t checksum = 0;
    bool complete = true;
    for (std::uint64_t at = 0; at < padded; at += kVerifyBytes) {
      TRY(check());
      const auto block = buffer.span().first(std::min<std::uint64_t>(kVerifyBytes, padded - at));
      complete = read(all[i].offset + at, block) && complete;
      checksum = crc32c(block, checksum);
    }
    if (complete && checksum != all[i].checksum)
      found.push_back({name, all[i].offset,
                       i < sections_.size()
                           ? "the checksum of section " + std::to_string(i) + " is wrong"
                           : "the checksum of the table is wrong"});
  }
  // The footer was checked when the file was opened; the medium may have changed since.
  DerivedFooter footer{};
  const std::uint64_t footer_at = record_.bytes - kBlockBytes;
  if (read(footer_at, std::as_writable_bytes(std::span(&footer, 1))) &&
      std::memcmp(&footer, &footer_, sizeof footer) != 0)
    found.push_back({name, footer_at, "the footer is wrong"});
  return {};
}

}  // namespace similis::engine
