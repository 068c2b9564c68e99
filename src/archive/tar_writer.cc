#include "archive/tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace similis {

namespace {

constexpr std::size_t kCopyBytes = 1 << 20;

struct WriterDeleter {
  void operator()(struct archive* writer) const { archive_write_free(writer); }
};
struct EntryDeleter {
  void operator()(struct archive_entry* entry) const { archive_entry_free(entry); }
};

}  // namespace

struct TarWriter::Impl {
  std::filesystem::path path;
  std::filesystem::path partial;
  File file;
  std::unique_ptr<struct archive, WriterDeleter> writer;
  bool finished = false;
  bool broken = false;  // bytes of a member are missing: nothing more may be written

  ~Impl() {
    if (broken && writer) archive_write_fail(writer.get());
    writer.reset();
    if (!finished && !partial.empty()) ::unlink(partial.c_str());
  }

  Error error() {
    broken = true;
    const int errnum = archive_errno(writer.get());
    if (errnum > 0) return errno_error(errnum, "write", partial.native());
    const char* why = archive_error_string(writer.get());
    return {ErrorCode::io_error,
            "write " + partial.native() + ": " + (why != nullptr ? why : "it failed")};
  }

  Status begin(std::string_view name, std::uint64_t size, std::int64_t mtime_s) {
    const std::unique_ptr<struct archive_entry, EntryDeleter> entry(archive_entry_new());
    archive_entry_copy_pathname(entry.get(), std::string(name).c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), mtime_s, 0);
    if (archive_write_header(writer.get(), entry.get()) < ARCHIVE_WARN) return error();
    return {};
  }

  Status data(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const la_ssize_t n = archive_write_data(writer.get(), bytes.data(), bytes.size());
      if (n <= 0) return error();
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }
};

TarWriter::TarWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TarWriter::TarWriter(TarWriter&&) noexcept = default;
TarWriter& TarWriter::operator=(TarWriter&&) noexcept = default;
TarWriter::~TarWriter() = default;

Result<TarWriter> TarWriter::create(const std::filesystem::path& path, std::string_view own) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  const auto partial = path.parent_path() / (".similis-" + std::string(own) + ".partial");
  ::unlink(partial.c_str());
  // Never through a link, nor into a file that is somebody else's.
  ASSIGN_OR_RETURN(impl->file, File::open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW));
  impl->partial = partial;
  impl->writer.reset(archive_write_new());
  struct archive* writer = impl->writer.get();
  if (writer == nullptr) {
    return Error(ErrorCode::resource_exhausted, "there is not enough memory to write an archive");
  }
  // Names are bytes here, whatever the locale: POSIX's own format has a header for that, which GNU
  // tar warns of at each file.
  archive_write_set_format_gnutar(writer);
  archive_write_set_bytes_per_block(writer, static_cast<int>(kCopyBytes));
  archive_write_set_bytes_in_last_block(writer, 1);
  if (archive_write_open_fd(writer, impl->file.fd()) != ARCHIVE_OK) return impl->error();
  return TarWriter(std::move(impl));
}

Status TarWriter::add(std::string_view name, std::span<const std::byte> bytes,
                      std::int64_t mtime_s) {
  TRY(impl_->begin(name, bytes.size(), mtime_s));
  return impl_->data(bytes);
}

Status TarWriter::add(std::string_view name, const File& file, std::uint64_t size,
                      std::int64_t mtime_s) {
  TRY(impl_->begin(name, size, mtime_s));
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(size, kCopyBytes)));
  std::optional<Error> lost;
  for (std::uint64_t at = 0; at < size; at += buffer.size()) {
    const auto part = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - at)));
    if (!lost) {
      const Status read = pread_exact(file.fd(), part, at, name);
      if (!read.ok()) lost = Error(ErrorCode::unreadable_media, read.error().message);
    }
    if (lost) std::fill(part.begin(), part.end(), std::byte{0});
    TRY(impl_->data(part));
  }
  if (lost) return *std::move(lost);
  return {};
}

std::int64_t TarWriter::bytes() const {
  return archive_filter_bytes(impl_->writer.get(), -1);
}

Status TarWriter::finish() {
  if (archive_write_close(impl_->writer.get()) != ARCHIVE_OK) return impl_->error();
  TRY(sync_data(impl_->file.fd(), impl_->partial.native()));
  // Not over a file that came there in the meantime. File systems know one way or the other.
  if (::renameat2(AT_FDCWD, impl_->partial.c_str(), AT_FDCWD, impl_->path.c_str(),
                  RENAME_NOREPLACE) != 0) {
    if (errno != EEXIST && ::link(impl_->partial.c_str(), impl_->path.c_str()) == 0) {
      ::unlink(impl_->partial.c_str());
    } else if (errno == EEXIST) {
      return Error(ErrorCode::already_exists, impl_->path.native() + " exists by now",
                   "Choose another name, or move it away.");
    } else {
      return errno_error(errno, "name", impl_->path.native());
    }
  }
  impl_->finished = true;
  return sync_directory(impl_->path.parent_path());
}

}  // namespace similis
