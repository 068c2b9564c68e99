#include "engine/storage/wal.h"

#include <algorithm>
#include <cstring>

#include "engine/index.h"

namespace similis::engine {
namespace {

constexpr char kMagic[8] = {'S', 'I', 'M', 'W', 'A', 'L', '1', '\n'};
constexpr std::uint64_t kReadBytes = 4 << 20;

std::uint64_t record_bytes(std::uint64_t attribute_bytes, std::uint64_t vector_bytes) {
  return sizeof(WalRecordHeader) + round_up(attribute_bytes, 8) + round_up(vector_bytes, 8);
}

}  // namespace

void encode_record(std::vector<std::byte>& out, WalOperation operation, std::uint64_t id,
                   std::span<const std::byte> attributes, std::span<const std::byte> vector) {
  WalRecordHeader header{};
  header.bytes = static_cast<std::uint32_t>(record_bytes(attributes.size(), vector.size()));
  header.id = id;
  header.operation = operation;
  header.attribute_bytes = static_cast<std::uint32_t>(attributes.size());
  const std::size_t begin = out.size();
  out.resize(begin + header.bytes);  // zeros: the padding
  std::byte* at = out.data() + begin;
  std::memcpy(at, &header, sizeof header);
  at += sizeof header;
  if (!attributes.empty()) std::memcpy(at, attributes.data(), attributes.size());
  at += round_up(attributes.size(), 8);
  if (!vector.empty()) std::memcpy(at, vector.data(), vector.size());
}

std::size_t stamp_record(std::span<std::byte> records, std::uint64_t lsn,
                         std::uint64_t durable_lsn) {
  std::byte* record = records.data();
  WalRecordHeader header{};
  std::memcpy(&header, record, sizeof header);
  header.flags = header.bytes < records.size() ? kBatchGoesOn : 0;
  header.lsn = lsn;
  header.durable_lsn = durable_lsn;
  std::memcpy(record, &header, sizeof header);
  header.checksum =
      crc32c({record + sizeof header.checksum, header.bytes - sizeof header.checksum});
  std::memcpy(record, &header.checksum, sizeof header.checksum);
  return header.bytes;
}

std::optional<WalRecord> split_record(std::span<const std::byte> bytes, std::uint32_t dimensions) {
  WalRecord out;
  auto& h = out.header;
  if (bytes.size() < sizeof h) return std::nullopt;
  std::memcpy(&h, bytes.data(), sizeof h);
  const bool upsert = h.operation == WalOperation::upsert;
  const std::uint64_t vector_bytes = upsert ? std::uint64_t{2} * dimensions : 0;
  if (h.operation < WalOperation::upsert || h.operation > WalOperation::closed ||
      h.flags > kBatchGoesOn || h.attribute_bytes > kAttributeBytesMax ||
      h.bytes != record_bytes(h.attribute_bytes, vector_bytes) || h.bytes > bytes.size())
    return std::nullopt;
  if (h.operation != WalOperation::closed && (h.id < 1 || h.id > kRowIdMax)) return std::nullopt;
  out.raw = bytes.first(h.bytes);
  out.attributes = out.raw.subspan(sizeof h, h.attribute_bytes);
  out.vector = out.raw.subspan(sizeof h + round_up(h.attribute_bytes, 8), vector_bytes);
  return out;
}

std::optional<WalRecord> parse_record(std::span<const std::byte> bytes, std::uint32_t dimensions) {
  auto out = split_record(bytes, dimensions);
  if (!out || crc32c(out->raw.subspan(sizeof out->header.checksum)) != out->header.checksum)
    return std::nullopt;
  return out;
}

namespace {

WalHeader make_header(const Uuid& index, std::uint32_t dimensions, std::uint64_t file,
                      std::uint64_t first_lsn) {
  WalHeader header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kFormatVersion;
  header.index = index;
  header.file = file;
  header.first_lsn = first_lsn;
  header.dimensions = dimensions;
  header.checksum = checksum_of(header);
  return header;
}

}  // namespace

Result<std::unique_ptr<AppendFile>> create_wal(Storage& storage,
                                               const std::filesystem::path& directory,
                                               const Uuid& index, std::uint32_t dimensions,
                                               std::uint64_t file, std::uint64_t first_lsn) {
  const auto path = directory / wal_name(file);
  ASSIGN_OR_RETURN(auto out, storage.create(path));
  auto write = [&]() -> Status {
    TRY(out->append(bytes_of(make_header(index, dimensions, file, first_lsn))));
    TRY(out->sync());
    return storage.sync_directory(directory);
  };
  if (auto status = write(); !status.ok()) {
    // Without records it is harmless, and the next opening takes it away too.
    (void)storage.remove(path);
    return std::move(status).error();
  }
  return out;
}

Result<std::unique_ptr<AppendFile>> copy_wal(Storage& storage,
                                             const std::filesystem::path& directory,
                                             const Uuid& index, std::uint32_t dimensions,
                                             std::uint64_t file, std::uint64_t first_lsn,
                                             const ReadFile& source, std::uint64_t offset,
                                             std::uint64_t size) {
  const auto temporary = directory / kWalTemporary;
  ASSIGN_OR_RETURN(auto out, storage.create(temporary));
  auto write = [&]() -> Status {
    TRY(out->append(bytes_of(make_header(index, dimensions, file, first_lsn))));
    std::vector<std::byte> buffer;
    for (std::uint64_t done = 0; done < size; done += buffer.size()) {
      buffer.resize(std::min<std::uint64_t>(kReadBytes, size - done));
      TRY(source.read(offset + done, buffer));
      TRY(out->append(buffer));
    }
    TRY(out->sync());
    TRY(storage.rename(temporary, directory / wal_name(file)));
    return storage.sync_directory(directory);
  };
  if (auto status = write(); !status.ok()) {
    (void)storage.remove(temporary);  // the next opening takes it away too
    return std::move(status).error();
  }
  return out;
}

/// The block behind the window, which the disk reads while the window's records are looked at.
struct WalReader::Ahead {
  Ahead(Storage& storage, std::size_t room) : queue(storage.make_read_queue()), buffer(room) {}
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;
  ~Ahead() { (void)wait(); }

  void begin(const ReadFile& file, std::uint64_t offset, std::span<std::byte> out) {
    // Whole blocks of the disk go past the page cache, what is left at a file's end cannot.
    const std::size_t whole = out.size() / kBlockBytes * kBlockBytes;
    bytes = out.size();
    group.requests.clear();
    if (whole > 0) group.requests.push_back({&file, offset, out.first(whole), {}});
    if (whole < bytes) group.requests.push_back({&file, offset + whole, out.subspan(whole), {}});
    ReadGroup* const one = &group;
    queue->submit({&one, 1});
  }
  Status wait() {
    while (group.pending > 0) queue->reap(true);
    for (const ReadRequest& request : group.requests) TRY(request.status);
    return {};
  }

  std::unique_ptr<ReadQueue> queue;
  AlignedBuffer buffer;
  std::size_t bytes = 0;
  ReadGroup group;
};

WalReader::WalReader(Storage& storage, std::shared_ptr<ReadFile> file, std::string name,
                     std::uint32_t dimensions)
    : storage_(storage), file_(std::move(file)), name_(std::move(name)), dimensions_(dimensions) {
  carry_bytes_ =
      round_up(record_bytes(kAttributeBytesMax, std::uint64_t{2} * dimensions), kBlockBytes);
}

Result<WalReader> WalReader::open(Storage& storage, const std::filesystem::path& path,
                                  const Uuid& index, std::uint32_t dimensions,
                                  std::uint64_t file_number) {
  ASSIGN_OR_RETURN(auto file, storage.open(path));
  WalReader reader(storage, std::move(file), path.native(), dimensions);
  reader.offset_ = sizeof(WalHeader);
  const std::uint64_t size = reader.file_->size();
  WalHeader header{};
  if (size >= sizeof header)
    TRY(reader.file_->read(0, std::as_writable_bytes(std::span(&header, 1))));
  const bool whole = size >= sizeof header &&
                     std::memcmp(header.magic, kMagic, sizeof kMagic) == 0 &&
                     checksum_of(header) == header.checksum;
  if (!whole) {
    if (size <= sizeof header) {
      reader.torn_header_ = true;
      return reader;
    }
    return Error(ErrorCode::corruption, path.native() + ": its header's checksum does not match",
                 "Run verify; the index has to be built again, or restored from a copy.");
  }
  if (header.version > kFormatVersion) {
    return Error(ErrorCode::conflict,
                 path.native() + ": written in format " + std::to_string(header.version) +
                     ", this version reads up to " + std::to_string(kFormatVersion),
                 "Use the newer version of the program.");
  }
  if (header.index != index || header.file != file_number || header.dimensions != dimensions)
    return Error(ErrorCode::corruption, path.native() + ": belongs to another index");
  reader.first_lsn_ = header.first_lsn;
  return reader;
}

WalReader::WalReader(WalReader&&) noexcept = default;
WalReader::~WalReader() = default;

Status WalReader::refill() {
  const std::size_t room = carry_bytes_ + kReadBytes;
  if (read_to_ == 0) {
    // The first block begins at the file's beginning, so that every block is aligned.
    buffer_ = AlignedBuffer(room);
    const auto bytes = std::min<std::uint64_t>(kReadBytes, file_->size());
    const auto block = buffer_.span().subspan(carry_bytes_, bytes);
    TRY(file_->read(0, block));
    window_ = block.subspan(sizeof(WalHeader));
    read_to_ = bytes;
  } else {
    TRY(ahead_->wait());
    std::byte* const carried = ahead_->buffer.data() + carry_bytes_ - window_.size();
    if (!window_.empty()) std::memcpy(carried, window_.data(), window_.size());
    window_ = {carried, window_.size() + ahead_->bytes};
    read_to_ += ahead_->bytes;
    std::swap(buffer_, ahead_->buffer);
  }
  if (const auto rest = file_->size() - read_to_; rest > 0) {
    if (!ahead_) ahead_ = std::make_unique<Ahead>(storage_, room);
    ahead_->begin(*file_, read_to_,
                  ahead_->buffer.span().subspan(carry_bytes_, std::min(kReadBytes, rest)));
  } else {
    ahead_.reset();
  }
  return {};
}

Result<bool> WalReader::next(WalRecord& record) {
  if (torn_header_) return false;
  if (read_to_ == 0) TRY(refill());
  // A window shorter than the longest record may end inside a whole one.
  if (window_.size() < carry_bytes_ && read_to_ < file_->size()) {
    std::uint32_t bytes = 0;
    if (window_.size() >= sizeof(WalRecordHeader))
      std::memcpy(&bytes, window_.data() + offsetof(WalRecordHeader, bytes), sizeof bytes);
    if (bytes == 0 || bytes > window_.size()) TRY(refill());
  }
  auto parsed = parse_record(window_, dimensions_);
  if (!parsed) return false;
  record = *parsed;
  record.offset = offset_;
  offset_ += parsed->header.bytes;
  window_ = window_.subspan(parsed->header.bytes);
  return true;
}

Result<bool> WalReader::written_after(std::uint64_t lsn) const {
  if (torn_header_ || offset_ >= file_->size()) return false;
  std::vector<std::byte> window;
  for (std::uint64_t begin = offset_; begin < file_->size(); begin += kReadBytes) {
    // A record that begins in a block may end as much behind it as one can be long.
    window.resize(std::min(kReadBytes + carry_bytes_, file_->size() - begin));
    TRY(file_->read(begin, window));
    const std::size_t end = std::min<std::size_t>(kReadBytes, window.size());
    for (std::size_t at = 0; at < end && at + sizeof(WalRecordHeader) <= window.size(); at += 8) {
      WalRecordHeader header{};
      std::memcpy(&header, window.data() + at, sizeof header);
      if (header.durable_lsn < lsn || header.lsn < header.durable_lsn) continue;
      if (parse_record(std::span(window).subspan(at), dimensions_)) return true;
    }
  }
  return false;
}

}  // namespace similis::engine
