#include "archive/child/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <clocale>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "archive/frames.h"
#include "archive/unpacker.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "worker/child/sandbox.h"

namespace similis::archive {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;
/// So often a long silence is broken while what is not wanted is read over.
constexpr std::uint64_t kBusyBytes = 16 << 20;
/// Of a member that is not sent, what is.
constexpr std::size_t kHeadBytesShown = 4096;
constexpr std::size_t kNameBytesShown = 100;

struct HangUp {};  // nobody listens any more

class Speaker {
 public:
  void say(Frame kind, std::string_view payload = {}) const {
    ByteWriter head;
    head.put(static_cast<std::uint8_t>(kind));
    head.put(static_cast<std::uint32_t>(payload.size()));
    send(head.take());
    send(payload);
  }
  [[nodiscard]] bool is_wanted() const {
    std::uint8_t answer = kPass;
    ssize_t n = -1;
    do n = ::read(kSocketFd, &answer, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1) throw HangUp();
    return answer == kTake;
  }

 private:
  static void send(std::string_view bytes) {
    if (!write_all(kSocketFd, std::as_bytes(std::span(bytes)), "the socket").ok()) throw HangUp();
  }
};

/// The archive's file for libarchive, which would ask for facts of a descriptor that the sandbox
/// keeps from it.
class Source {
 public:
  explicit Source(std::uint64_t size) : size_(size) {}

  static la_ssize_t read(struct archive* reader, void* self_, const void** out) {
    auto& self = *static_cast<Source*>(self_);
    ssize_t n = -1;
    do
      n = ::pread(kArchiveFd, self.buffer_.data(), self.buffer_.size(),
                  static_cast<off_t>(self.offset_));
    while (n < 0 && errno == EINTR);
    if (n < 0) {
      archive_set_error(reader, errno, "reading failed: %s", std::strerror(errno));
      return ARCHIVE_FATAL;
    }
    self.offset_ += static_cast<std::uint64_t>(n);
    *out = self.buffer_.data();
    return n;
  }
  static la_int64_t skip(struct archive*, void* self_, la_int64_t bytes) {
    auto& self = *static_cast<Source*>(self_);
    const auto left = static_cast<la_int64_t>(self.size_ - std::min(self.size_, self.offset_));
    const la_int64_t skipped = std::clamp<la_int64_t>(bytes, 0, left);
    self.offset_ += static_cast<std::uint64_t>(skipped);
    return skipped;
  }
  static la_int64_t seek(struct archive*, void* self_, la_int64_t offset, int whence) {
    auto& self = *static_cast<Source*>(self_);
    const la_int64_t base = whence == SEEK_SET   ? 0
                            : whence == SEEK_CUR ? static_cast<la_int64_t>(self.offset_)
                                                 : static_cast<la_int64_t>(self.size_);
    if (offset < -base) return ARCHIVE_FATAL;
    self.offset_ = static_cast<std::uint64_t>(base + offset);
    return base + offset;
  }

 private:
  const std::uint64_t size_;
  std::uint64_t offset_ = 0;
  std::array<std::byte, kReadBytes> buffer_;
};

struct ReaderDeleter {
  void operator()(struct archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<struct archive, ReaderDeleter>;

/// What libarchive says, in one line of plain text.
std::string reason_of(struct archive* reader) {
  const char* text = archive_error_string(reader);
  std::string out;
  for (const char* c = text ? text : "it cannot be read"; *c != '\0' && out.size() < 300; ++c) {
    out += *c >= 0x20 && *c < 0x7F ? *c : '?';
  }
  return out;
}

class Unpacking {
 public:
  Unpacking(Reader reader, std::uint64_t archive_bytes, std::uint64_t member_bytes_max)
      : reader_(std::move(reader)),
        unpacked_left_(std::max(kUnpackedMin, archive_bytes * kUnpackedFactor)),
        member_bytes_max_(member_bytes_max) {}

  void run() {
    struct archive_entry* entry = nullptr;
    for (bool first = true;; first = false) {
      const int status = archive_read_next_header(reader_.get(), &entry);
      if (status == ARCHIVE_EOF) {
        speaker_.say(Frame::done);
        return;
      }
      if (status == ARCHIVE_RETRY) continue;
      if (status < ARCHIVE_WARN) {
        fail(first && archive_format(reader_.get()) == 0 ? ErrorCode::unsupported_media
                                                         : ErrorCode::unreadable_media);
        return;
      }
      const bool is_link = archive_entry_hardlink(entry) != nullptr;
      if (!is_link && archive_entry_filetype(entry) != AE_IFREG) {
        if (!read_over()) return;
        continue;
      }
      if (!take(entry, is_link)) return;
    }
  }

 private:
  void fail(ErrorCode code, std::string why = "") const {
    ByteWriter payload;
    payload.put(static_cast<std::uint8_t>(code));
    if (why.empty()) why = reason_of(reader_.get());
    payload.put_raw(why.data(), why.size());
    speaker_.say(Frame::failed, payload.take());
  }

  /// One member. False when the archive cannot be read on, which was said then.
  bool take(struct archive_entry* entry, bool is_link) {
    const char* given = archive_entry_pathname(entry);
    if (given == nullptr) given = archive_entry_pathname_utf8(entry);
    std::string name(given != nullptr ? given : "");
    const bool is_too_long = name.size() > kMemberNameBytesMax;
    if (is_too_long) name = name.substr(0, kNameBytesShown) + "...";
    const bool has_size = archive_entry_size_is_set(entry) != 0;
    const std::int64_t size = has_size ? std::max<std::int64_t>(archive_entry_size(entry), 0) : -1;
    ByteWriter head;
    head.put(size);
    head.put(archive_entry_mtime_is_set(entry) != 0
                 ? std::max<std::int64_t>(archive_entry_mtime(entry), -1)
                 : std::int64_t{-1});
    head.put_raw(name.data(), name.size());
    speaker_.say(Frame::member, head.take());
    if (!speaker_.is_wanted()) return read_over();
    const char* broken = is_too_long ? "its name has more than 4096 bytes"
                         : is_link   ? "it is a link to another file of the archive"
                         : archive_entry_is_data_encrypted(entry) != 0 ? "it is encrypted"
                                                                       : nullptr;
    if (broken != nullptr) {
      speaker_.say(Frame::broken, broken);
      return read_over();
    }
    return copy(size < 0 ? 0 : static_cast<std::uint64_t>(size));
  }

  /// `size`: 0 where it is not known yet.
  bool copy(std::uint64_t size) {
    std::uint64_t copied = 0;
    for (;;) {
      const la_ssize_t n = archive_read_data(reader_.get(), buffer_.data(), buffer_.size());
      if (n == 0) {
        speaker_.say(Frame::end);
        return true;
      }
      if (n == ARCHIVE_RETRY) continue;
      if (n < 0) {
        // Also a warning, such as a wrong checksum: what was read in that call is lost.
        speaker_.say(Frame::broken, reason_of(reader_.get()));
        if (n > ARCHIVE_FATAL) return read_over();
        fail(ErrorCode::unreadable_media);
        return false;
      }
      if (!count(static_cast<std::uint64_t>(n))) return false;
      copied += static_cast<std::uint64_t>(n);
      const bool too_large = copied > member_bytes_max_ || size > member_bytes_max_;
      // Of one that is too large the head, which tells what it is.
      const std::size_t sent = copied > member_bytes_max_ && copied > static_cast<std::uint64_t>(n)
                                   ? 0
                                   : static_cast<std::size_t>(std::min<std::uint64_t>(
                                         static_cast<std::uint64_t>(n),
                                         too_large ? kHeadBytesShown : member_bytes_max_));
      if (sent > 0) speaker_.say(Frame::data, {buffer_.data(), sent});
      if (!too_large) continue;
      speaker_.say(Frame::too_large);
      return read_over();
    }
  }

  /// What is left of the member. Where nothing must be decompressed libarchive moves past it.
  bool read_over() {
    if (archive_filter_code(reader_.get(), 0) == ARCHIVE_FILTER_NONE) {
      const int status = archive_read_data_skip(reader_.get());
      if (status > ARCHIVE_FATAL) return true;
      fail(ErrorCode::unreadable_media);
      return false;
    }
    std::uint64_t silent = 0;
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    for (;;) {
      const int status = archive_read_data_block(reader_.get(), &block, &size, &offset);
      if (status == ARCHIVE_EOF) return true;
      if (status == ARCHIVE_RETRY || status == ARCHIVE_WARN || status == ARCHIVE_OK) {
        if (!count(size)) return false;
        silent += size;
        if (silent >= kBusyBytes) {
          speaker_.say(Frame::busy);
          silent = 0;
        }
        continue;
      }
      if (status > ARCHIVE_FATAL) return true;
      fail(ErrorCode::unreadable_media);
      return false;
    }
  }

  /// False when the archive unpacks to more than it may, which was said then.
  bool count(std::uint64_t bytes) {
    if (bytes <= unpacked_left_) {
      unpacked_left_ -= bytes;
      return true;
    }
    fail(ErrorCode::too_large, "it unpacks to more than a hundred times its size");
    return false;
  }

  const Reader reader_;
  std::uint64_t unpacked_left_;
  const std::uint64_t member_bytes_max_;
  Speaker speaker_;
  std::array<char, kReadBytes> buffer_;
};

bool number(const char* text, auto& value) {
  const char* end = text + std::strlen(text);
  return std::from_chars(text, end, value).ptr == end;
}

Reader open_reader() {
  Reader reader(archive_read_new());
  if (!reader) return nullptr;
  struct archive* r = reader.get();
  archive_read_support_format_tar(r);
  archive_read_support_format_zip(r);
  archive_read_support_filter_gzip(r);
  archive_read_support_filter_bzip2(r);
  archive_read_support_filter_xz(r);
  archive_read_support_filter_zstd(r);
  return reader;
}

}  // namespace

int run_unpack(int argc, char** argv) {
  pid_t parent = 0;
  std::uint64_t member_bytes_max = 0, memory_bytes_max = 0;
  struct stat facts{};
  if (argc != 4 || !number(argv[1], parent) || !number(argv[2], member_bytes_max) ||
      !number(argv[3], memory_bytes_max) || ::fstat(kArchiveFd, &facts) != 0) {
    const std::string why = "similis-unpack is started by similis, not by hand\n";
    (void)write_all(STDERR_FILENO, std::as_bytes(std::span(why)), "stderr");
    return 1;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) return 0;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
  // Names of zip files are UTF-8 where they say so; converted to anything else they would be lost.
  std::setlocale(LC_ALL, "C.UTF-8");
  Reader reader = open_reader();
  auto source = std::make_unique<Source>(static_cast<std::uint64_t>(facts.st_size));
  Speaker speaker;
  limit_memory(memory_bytes_max);
  try {
    speaker.say(Frame::ready, enter_sandbox());
    if (!reader) return 1;
    archive_read_set_read_callback(reader.get(), Source::read);
    archive_read_set_skip_callback(reader.get(), Source::skip);
    archive_read_set_seek_callback(reader.get(), Source::seek);
    archive_read_set_callback_data(reader.get(), source.get());
    if (archive_read_open1(reader.get()) != ARCHIVE_OK) {
      ByteWriter payload;
      payload.put(static_cast<std::uint8_t>(ErrorCode::unsupported_media));
      const std::string why = reason_of(reader.get());
      payload.put_raw(why.data(), why.size());
      speaker.say(Frame::failed, payload.take());
    } else {
      auto unpacking = std::make_unique<Unpacking>(
          std::move(reader), static_cast<std::uint64_t>(facts.st_size), member_bytes_max);
      unpacking->run();
      unpacking.release();  // its end would meet a process without rights
    }
  } catch (const HangUp&) {
    // The other side has what it wanted.
  }
  ::_exit(0);
}

}  // namespace similis::archive
