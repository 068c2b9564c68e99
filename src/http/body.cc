#include "http/body.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace similis::http {

namespace {

/// A file in `folder` that has no name, or loses it at once where the file system knows no
/// O_TMPFILE.
Result<File> nameless_file(const std::filesystem::path& folder) {
  TRY(make_directories(folder));
  auto file = File::open(folder, O_TMPFILE | O_RDWR);
  if (file.ok() || file.error().code != ErrorCode::io_error) return file;
  std::string name = (folder / "body-XXXXXX").native();
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return errno_error(errno, "make a file in", folder.native());
  File named(fd);
  if (::unlink(name.c_str()) != 0) return errno_error(errno, "remove", name);
  return named;
}

}  // namespace

RequestBody RequestBody::of(std::string_view bytes) {
  RequestBody body;
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
  body.memory_.assign(begin, begin + bytes.size());
  body.size_ = bytes.size();
  return body;
}

Status RequestBody::append(std::span<const std::byte> bytes) {
  if (in_memory() && !folder_.empty() && size_ + bytes.size() > kMemoryMax) {
    ASSIGN_OR_RETURN(file_, nameless_file(folder_));
    TRY(pwrite_all(file_.fd(), memory_, 0, "the request's spool"));
    memory_ = {};
  }
  if (in_memory()) {
    memory_.insert(memory_.end(), bytes.begin(), bytes.end());
  } else {
    TRY(pwrite_all(file_.fd(), bytes, size_, "the request's spool"));
  }
  size_ += bytes.size();
  return {};
}

Result<std::size_t> RequestBody::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset >= size_) return std::size_t{0};
  const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset));
  if (in_memory()) {
    std::memcpy(out.data(), memory_.data() + offset, length);
  } else {
    TRY(pread_exact(file_.fd(), out.first(length), offset, "the request's spool"));
  }
  return length;
}

Result<std::vector<std::byte>> RequestBody::take() {
  if (in_memory()) return std::move(memory_);
  std::vector<std::byte> bytes(size_);
  ASSIGN_OR_RETURN(const std::size_t read_bytes, read(0, bytes));
  bytes.resize(read_bytes);
  return bytes;
}

Result<std::string> RequestBody::text() const {
  std::string out(size_, '\0');
  ASSIGN_OR_RETURN(const std::size_t read_bytes,
                   read(0, std::as_writable_bytes(std::span(out.data(), out.size()))));
  out.resize(read_bytes);
  return out;
}

}  // namespace similis::http
