#include "archive/unpack_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "archive/frames.h"
#include "base/bytes.h"
#include "base/helper_program.h"
#include "base/log.h"

namespace similis {

namespace {

using archive::Frame;

constexpr std::uint64_t kReaderMemoryBytes = std::uint64_t{512} << 20;
/// A reader says something more often than this, or it hangs.
constexpr std::chrono::seconds kSilenceMax{60};
/// Cancellation is seen so soon.
constexpr std::chrono::milliseconds kLook{100};

Error archive_error(ErrorCode code, const std::string& why) {
  if (code == ErrorCode::unsupported_media) {
    return {code, "this is not an archive that can be read: " + why,
            "Give a zip or tar file (also compressed by gzip, bzip2, xz or zstd)."};
  }
  if (code == ErrorCode::too_large) {
    return {
        code, "the archive is not read on: " + why,
        "What came before is kept. If it is what it should be, unpack it and index the folder."};
  }
  return {ErrorCode::unreadable_media, "the archive cannot be read on: " + why,
          "What came before it is kept. Try the archive with another program, and make it anew."};
}

/// The process that takes one archive apart. Ends with the object.
class Reader {
 public:
  Reader() = default;
  ~Reader() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Status start(const std::filesystem::path& program, const File& archive,
               std::uint64_t member_bytes_max);
  /// The next frame. deadline_exceeded or cancelled by the context; unreadable_media when the
  /// process is gone, hangs or says what none of its own says.
  Result<Frame> next(const Context& ctx, std::string& payload);
  Status answer(bool wanted);

 private:
  Status read(const Context& ctx, char* out, std::size_t size);

  pid_t pid_ = -1;
  File socket_;
};

/// posix_spawn's argument objects, released on every path.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawnattr_init(&attributes_);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  int prepare(int socket, int archive) {
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    int status =
        ::posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO})
      status |= ::posix_spawn_file_actions_addopen(&files_, fd, "/dev/null", O_WRONLY, 0);
    status |= ::posix_spawn_file_actions_adddup2(&files_, socket, archive::kSocketFd);
    status |= ::posix_spawn_file_actions_adddup2(&files_, archive, archive::kArchiveFd);
    status |= ::posix_spawn_file_actions_addclosefrom_np(&files_, archive::kArchiveFd + 1);
    // A group of its own: ^C in the terminal is for this process.
    status |= ::posix_spawnattr_setsigmask(&attributes_, &none);
    status |= ::posix_spawnattr_setsigdefault(&attributes_, &all);
    status |= ::posix_spawnattr_setpgroup(&attributes_, 0);
    status |= ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return status;
  }
  int spawn(pid_t& pid, const char* program, char* const* argv, char* const* envp) {
    return ::posix_spawn(&pid, program, &files_, &attributes_, argv, envp);
  }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

Status Reader::start(const std::filesystem::path& program, const File& archive,
                     std::uint64_t member_bytes_max) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error(errno, "make", "a socket for the archive's reader");
  }
  socket_.reset(pair[0]);
  const File theirs(pair[1]);
  // Numbers above the targets, so that none is overwritten before it is copied.
  const File socket(::fcntl(theirs.fd(), F_DUPFD_CLOEXEC, 10));
  const File file(::fcntl(archive.fd(), F_DUPFD_CLOEXEC, 10));
  if (!socket.is_open() || !file.is_open()) {
    return errno_error(errno, "copy", "a descriptor for the archive's reader");
  }
  SpawnPlan plan;
  if (plan.prepare(socket.fd(), file.fd()) != 0) {
    return Error(ErrorCode::resource_exhausted, "the archive's reader could not be prepared");
  }
  std::string arguments[] = {program.native(), std::to_string(::getpid()),
                             std::to_string(member_bytes_max), std::to_string(kReaderMemoryBytes)};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(),
                  arguments[3].data(), nullptr};
  std::vector<std::string> environment{"TZ=UTC"};
  for (const char* name : {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name))
      environment.push_back(std::string(name) + "=" + value);
  }
  std::vector<char*> envp;
  for (std::string& entry : environment) envp.push_back(entry.data());
  envp.push_back(nullptr);
  pid_t pid = -1;
  if (const int errnum = plan.spawn(pid, program.c_str(), argv, envp.data()); errnum != 0) {
    return Error(ErrorCode::unavailable, errno_error(errnum, "start", program.native()).message);
  }
  pid_ = pid;
  return {};
}

Status Reader::read(const Context& ctx, char* out, std::size_t size) {
  const auto until = Context::Clock::now() + kSilenceMax;
  while (size > 0) {
    TRY(ctx.check());
    pollfd one{socket_.fd(), POLLIN, 0};
    const int ready = ::poll(&one, 1, static_cast<int>(kLook.count()));
    if (ready < 0 && errno != EINTR) return errno_error(errno, "wait for", "the archive's reader");
    if (ready <= 0) {
      if (Context::Clock::now() < until) continue;
      return archive_error(ErrorCode::unreadable_media, "its reader hung");
    }
    const ssize_t n = ::recv(socket_.fd(), out, size, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) return archive_error(ErrorCode::unreadable_media, "its reader crashed");
    out += n;
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

Result<Frame> Reader::next(const Context& ctx, std::string& payload) {
  std::array<char, archive::kHeadBytes> head;
  TRY(read(ctx, head.data(), head.size()));
  std::uint32_t size = 0;
  std::memcpy(&size, head.data() + 1, sizeof size);
  const auto kind = static_cast<std::uint8_t>(head[0]);
  if (kind < static_cast<std::uint8_t>(Frame::ready) ||
      kind > static_cast<std::uint8_t>(Frame::done) || size > archive::kPayloadBytesMax) {
    return archive_error(ErrorCode::unreadable_media, "its reader went astray");
  }
  payload.resize(size);
  TRY(read(ctx, payload.data(), size));
  return static_cast<Frame>(kind);
}

Status Reader::answer(bool wanted) {
  const std::uint8_t byte = wanted ? archive::kTake : archive::kPass;
  ssize_t n = -1;
  // An honest reader waits for this answer: there is room for it.
  do n = ::send(socket_.fd(), &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n == 1) return {};
  return archive_error(ErrorCode::unreadable_media, "its reader crashed");
}

void warn_of_sandbox(const std::string& missing) {
  static std::atomic<bool> was_said{false};
  if (missing.empty() || was_said.exchange(true)) return;
  log(LogLevel::warning, "archives are read with less protection: " + missing);
}

Error too_large(std::uint64_t bytes_max) {
  return {ErrorCode::too_large, "the file has more than " + std::to_string(bytes_max) + " bytes",
          "Raise limits.file_bytes_max."};
}

class UnpackProcess final : public Unpacker {
 public:
  explicit UnpackProcess(std::filesystem::path program) : program_(std::move(program)) {}

  Status unpack(const Context& ctx, const File& archive, std::uint64_t member_bytes_max,
                const ArchiveVisitor& visitor) override {
    Reader reader;
    TRY(reader.start(program_, archive, member_bytes_max));
    std::optional<ArchiveMember> member;
    const auto hand_over = [&](std::optional<Error> error) {
      ArchiveMember whole = *std::exchange(member, std::nullopt);
      whole.error = std::move(error);
      return visitor.take(std::move(whole));
    };
    std::string payload;
    for (;;) {
      ASSIGN_OR_RETURN(const Frame frame, reader.next(ctx, payload));
      const bool is_of_member = frame == Frame::data || frame == Frame::end ||
                                frame == Frame::too_large || frame == Frame::broken;
      if (is_of_member != member.has_value() && frame != Frame::busy) {
        return archive_error(ErrorCode::unreadable_media, "its reader went astray");
      }
      switch (frame) {
        case Frame::ready:
          warn_of_sandbox(payload);
          break;
        case Frame::busy:
          break;
        case Frame::member: {
          ByteReader head(payload);
          const auto size = head.get<std::int64_t>();
          const auto modified_at_s = head.get<std::int64_t>();
          if (!head.ok()) {
            return archive_error(ErrorCode::unreadable_media, "its reader went astray");
          }
          ArchiveMember begun;
          begun.name = payload.substr(payload.size() - head.left());
          if (begun.name.size() > kMemberNameBytesMax) {
            return archive_error(ErrorCode::unreadable_media, "its reader went astray");
          }
          if (modified_at_s >= 0) begun.modified_at_s = modified_at_s;
          const auto known =
              size < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(size));
          ASSIGN_OR_RETURN(const bool wanted, visitor.wants(begun.name, known));
          TRY(reader.answer(wanted));
          if (!wanted) break;
          begun.bytes.reserve(std::min({known.value_or(0), member_bytes_max, kReservedMax}));
          member = std::move(begun);
          break;
        }
        case Frame::data: {
          if (member->bytes.size() + payload.size() > member_bytes_max) {
            return archive_error(ErrorCode::unreadable_media, "its reader went astray");
          }
          const auto bytes = std::as_bytes(std::span(payload));
          member->bytes.insert(member->bytes.end(), bytes.begin(), bytes.end());
          break;
        }
        case Frame::end:
          TRY(hand_over(std::nullopt));
          break;
        case Frame::too_large:
          TRY(hand_over(too_large(member_bytes_max)));
          break;
        case Frame::broken:
          TRY(hand_over(
              Error(ErrorCode::unreadable_media, "the archive does not give it: " + payload)));
          break;
        case Frame::failed:
          return archive_error(
              payload.empty() ? ErrorCode::unreadable_media : static_cast<ErrorCode>(payload[0]),
              payload.empty() ? "" : payload.substr(1));
        case Frame::done:
          return {};
      }
    }
  }

 private:
  /// What an archive says of a member's size may be a lie.
  static constexpr std::uint64_t kReservedMax = 64 << 20;

  const std::filesystem::path program_;
};

bool has(std::span<const std::byte> head, std::size_t at, std::string_view text) {
  return head.size() >= at + text.size() &&
         std::memcmp(head.data() + at, text.data(), text.size()) == 0;
}

}  // namespace

std::string_view archive_type(std::span<const std::byte> head) {
  if (has(head, 0, "PK\x03\x04") || has(head, 0, "PK\x05\x06")) return "zip";
  if (has(head, 257, "ustar")) return "tar";
  if (has(head, 0, "\x1f\x8b")) return "gzip";
  if (has(head, 0, "BZh")) return "bzip2";
  if (has(head, 0,
          std::string_view("\xfd"
                           "7zXZ\0",
                           6)))
    return "xz";
  if (has(head, 0, "\x28\xb5\x2f\xfd")) return "zstd";
  return "";
}

std::unique_ptr<Unpacker> make_unpacker(std::filesystem::path program) {
  return std::make_unique<UnpackProcess>(std::move(program));
}

Result<std::filesystem::path> find_unpacker() {
  return find_helper_program("similis-unpack");
}

}  // namespace similis
