#include "worker/child/worker.h"

#include <glib.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "core/sha256.h"
#include "vision/decode/decode.h"
#include "worker/child/sandbox.h"
#include "worker/memory_watch.h"
#include "worker/protocol.h"

namespace similis {
namespace {

// Above this, memory that a file or the decoding of a picture took is given back to the system.
constexpr std::size_t kFileBytesKept = std::size_t{16} << 20;
constexpr std::size_t kFreeBytesKept = std::size_t{48} << 20;
// Beside the pictures' memory: thread stacks, allocator slack.
constexpr std::uint64_t kSlackBytes = std::uint64_t{128} << 20;

struct Arguments {
  std::uint32_t protocol = 0;
  pid_t parent = 0;
  std::uint64_t memory_bytes_max = 0;
};

bool parse(int argc, char** argv, Arguments& out) {
  auto number = [](const char* text, auto& value) {
    const char* end = text + std::strlen(text);
    return std::from_chars(text, end, value).ptr == end;
  };
  return argc == 4 && number(argv[1], out.protocol) && number(argv[2], out.parent) &&
         number(argv[3], out.memory_bytes_max);
}

// glib ends the process when it gets no memory, after saying so: that is a picture too large, not a
// crash. Its and libvips' warnings about files are of no use here.
void on_glib_message(const gchar*, GLogLevelFlags, const gchar* message, gpointer) {
  if (message != nullptr &&
      std::string_view(message).find("failed to allocate") != std::string_view::npos) {
    ::_exit(kExitOutOfMemory);
  }
}

// The same for messages in glib's newer form.
GLogWriterOutput on_glib_fields(GLogLevelFlags level, const GLogField* fields, gsize count,
                                gpointer) {
  for (gsize i = 0; i < count; ++i) {
    if (std::string_view(fields[i].key) == "MESSAGE" && fields[i].length == -1) {
      on_glib_message(nullptr, level, static_cast<const gchar*>(fields[i].value), nullptr);
    }
  }
  return G_LOG_WRITER_HANDLED;
}

// A file's bytes; the buffer is kept for the next file unless it is large.
class FileBuffer {
 public:
  Result<std::span<const std::byte>> read(int fd, std::size_t size) {
    if (size > capacity_) {
      bytes_ = std::make_unique_for_overwrite<std::byte[]>(size);
      capacity_ = size;
    }
    const std::span<std::byte> all(bytes_.get(), size);
    if (auto status = pread_exact(fd, all, 0, "the file"); !status.ok()) {
      if (status.error().code != ErrorCode::corruption) return status.error();
      return Error(ErrorCode::io_error, "the file became shorter while it was read",
                   "Index again when it is complete.");
    }
    return std::span<const std::byte>(all);
  }
  void trim() {
    if (capacity_ <= kFileBytesKept) return;
    bytes_.reset();
    capacity_ = 0;
  }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t capacity_ = 0;
};

struct Received {
  std::string bytes;
  File file;
};

// nullopt when the pool hung up.
std::optional<Received> receive(int socket) {
  Received received;
  received.bytes.resize(kMessageBytesMax);
  iovec part{received.bytes.data(), received.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = -1;
  do n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n <= 0) return std::nullopt;
  received.bytes.resize(static_cast<std::size_t>(n));
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(c), sizeof fd);
    received.file.reset(fd);
  }
  return received;
}

bool send(int socket, std::string_view bytes) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ssize_t n = -1;
  do n = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(bytes.size());
}

DecodeOutcome answer(const JobMessage& job, int fd, FileBuffer& buffer,
                     const BeforeDecode& before_decode) {
  auto bytes = buffer.read(fd, job.file_bytes);
  if (!bytes.ok()) return std::move(bytes).error();
  if (before_decode) before_decode(*bytes);
  auto picture = decode(*bytes, job.name, job.request, job.limits);
  if (picture.ok()) return std::move(picture).value();
  return std::move(picture).error();
}

int fail(const std::string& why) {
  (void)write_all(STDERR_FILENO, std::as_bytes(std::span(why)), "stderr");
  return 1;
}

}  // namespace

int run_worker(int argc, char** argv, const BeforeDecode& before_decode) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    return fail("similis-worker is started by similis, not by hand");
  }
  if (arguments.protocol != kWorkerProtocol) {
    return fail("similis-worker is of another version than similis; install both anew");
  }
  // Die with the pool, also when it ends too suddenly to hang up.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != arguments.parent) return 0;
  // ^C and SIGTERM are for the pool's process, which finishes its pictures and hangs up.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_IGN);
  // Keep freed memory: a picture's buffers would else be given back and zeroed by the kernel again
  // for each picture.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  ::mallopt(M_ARENA_MAX, 2);

  void* mapped =
      ::mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE, MAP_SHARED, kWorkerArenaFd, 0);
  if (mapped == MAP_FAILED) return fail(errno_error(errno, "map", "the shared memory").message);
  const std::span<std::byte> arena(static_cast<std::byte*>(mapped), kArenaBytes);

  if (auto status = init_decoder(1); !status.ok()) return fail(status.error().message);
  // OpenSSL reads its configuration at the first hash.
  if (auto hash = sha256(std::string_view()); !hash.ok()) return fail(hash.error().message);
  g_log_set_default_handler(on_glib_message, nullptr);
  g_log_set_writer_func(on_glib_fields, nullptr, nullptr);
  std::set_new_handler([] { ::_exit(kExitOutOfMemory); });

  WorkerHello hello;
  hello.anonymous_bytes = anonymous_bytes(::getpid());
  limit_memory(arguments.memory_bytes_max + kSlackBytes);
  hello.missing_sandbox = enter_sandbox();
  if (!send(kWorkerSocketFd, to_bytes(hello))) return 0;

  FileBuffer buffer;
  while (auto received = receive(kWorkerSocketFd)) {
    auto job = read_job(received->bytes);
    if (!job.ok() || !received->file.is_open()) return 1;
    ReplyMessage reply{job->id, answer(*job, received->file.fd(), buffer, before_decode)};
    received->file.reset();
    if (!send(kWorkerSocketFd, to_bytes(std::move(reply), arena))) break;
    buffer.trim();
    if (::mallinfo2().fordblks > kFreeBytesKept) ::malloc_trim(0);
  }
  // Not through exit(): what runs there would meet a process without rights.
  ::_exit(0);
}

}  // namespace similis
