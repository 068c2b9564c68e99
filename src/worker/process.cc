#include "worker/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

namespace similis {
namespace {

// A mapped memfd that its other holder can neither shrink (which would make our reads fault) nor
// grow.
Result<File> make_arena() {
  File arena(::memfd_create("similis-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!arena.is_open()) return errno_error(errno, "make", "shared memory for a decode worker");
  if (::ftruncate(arena.fd(), static_cast<off_t>(kArenaBytes)) != 0 ||
      ::fcntl(arena.fd(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return errno_error(errno, "size", "shared memory for a decode worker");
  }
  return arena;
}

// What a worker is given of the environment: where libraries are, and the sanitizers' options of a
// test build.
std::vector<std::string> worker_environment() {
  std::vector<std::string> out{"LC_ALL=C", "TZ=UTC"};
  for (const char* name :
       {"LD_LIBRARY_PATH", "PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) out.push_back(std::string(name) + "=" + value);
  }
  return out;
}

// posix_spawn's argument objects, released on every path.
struct SpawnActions {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  SpawnActions() {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnActions() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }
};

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::spawn(const std::filesystem::path& program,
                                                            std::uint64_t memory_bytes_max) {
  std::unique_ptr<WorkerProcess> worker(new WorkerProcess);
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error(errno, "make", "a socket for a decode worker");
  }
  worker->socket_.reset(pair[0]);
  const File theirs(pair[1]);
  ASSIGN_OR_RETURN(const File arena, make_arena());
  void* mapped = ::mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd(), 0);
  if (mapped == MAP_FAILED) return errno_error(errno, "map", "shared memory for a decode worker");
  worker->arena_ = {static_cast<std::byte*>(mapped), kArenaBytes};
  worker->complaint_.reset(::memfd_create("similis-complaint", MFD_CLOEXEC));
  if (!worker->complaint_.is_open())
    return errno_error(errno, "make", "shared memory for a decode worker");

  SpawnActions actions;
  // Through numbers above the targets, so that no source is overwritten before it is copied.
  int sources[] = {theirs.fd(), arena.fd(), worker->complaint_.fd()};
  std::vector<File> high;
  for (int& fd : sources) {
    high.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 10));
    if (!high.back().is_open())
      return errno_error(errno, "copy", "a descriptor for a decode worker");
    fd = high.back().fd();
  }
  posix_spawn_file_actions_t* files = &actions.files;
  int status = ::posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  status |= ::posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  status |= ::posix_spawn_file_actions_adddup2(files, sources[2], STDERR_FILENO);
  status |= ::posix_spawn_file_actions_adddup2(files, sources[0], kWorkerSocketFd);
  status |= ::posix_spawn_file_actions_adddup2(files, sources[1], kWorkerArenaFd);
  status |= ::posix_spawn_file_actions_addclosefrom_np(files, kWorkerArenaFd + 1);
  // A process group of its own, so that ^C in the terminal does not end pictures half-way; default
  // signal handling.
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  status |= ::posix_spawnattr_setsigmask(&actions.attributes, &none);
  status |= ::posix_spawnattr_setsigdefault(&actions.attributes, &all);
  status |= ::posix_spawnattr_setpgroup(&actions.attributes, 0);
  status |= ::posix_spawnattr_setflags(
      &actions.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  if (status != 0)
    return Error(ErrorCode::resource_exhausted,
                 "a decode worker could not be prepared: out of memory");

  std::string arguments[] = {program.native(), std::to_string(kWorkerProtocol),
                             std::to_string(::getpid()), std::to_string(memory_bytes_max)};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(),
                  arguments[3].data(), nullptr};
  std::vector<std::string> environment = worker_environment();
  std::vector<char*> envp;
  for (std::string& entry : environment) envp.push_back(entry.data());
  envp.push_back(nullptr);
  const int errnum =
      ::posix_spawn(&worker->pid_, program.c_str(), files, &actions.attributes, argv, envp.data());
  if (errnum != 0) {
    worker->pid_ = -1;
    return errno_error(errnum, "start", program.native());
  }
  return worker;
}

WorkerProcess::~WorkerProcess() {
  end(false);
  if (!arena_.empty()) ::munmap(arena_.data(), arena_.size());
}

bool WorkerProcess::send_job(std::string_view bytes, int file_fd) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &file_fd, sizeof file_fd);
  ssize_t n = -1;
  do n = ::sendmsg(socket_.fd(), &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(bytes.size());
}

std::string WorkerProcess::receive() {
  std::string bytes(kMessageBytesMax, '\0');
  ssize_t n = -1;
  do n = ::recv(socket_.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return bytes;
}

int WorkerProcess::end(bool gently) {
  socket_.reset();
  if (pid_ < 0) return 0;
  int status = 0;
  auto reaped = [&](int flags) {
    pid_t got = -1;
    do got = ::waitpid(pid_, &status, flags);
    while (got < 0 && errno == EINTR);
    return got != 0;  // the worker, or an error: nothing more to wait for
  };
  bool gone = false;
  if (gently) {
    using namespace std::chrono_literals;
    for (auto waited = 0ms; !gone && waited < 300ms; waited += 2ms) {
      gone = reaped(WNOHANG);
      if (!gone) std::this_thread::sleep_for(2ms);
    }
  }
  if (!gone) {
    ::kill(pid_, SIGKILL);
    reaped(0);
  }
  pid_ = -1;
  return status;
}

std::string WorkerProcess::complaint() const {
  char text[512];
  const ssize_t n = ::pread(complaint_.fd(), text, sizeof text, 0);
  std::string line;
  for (ssize_t i = 0; i < n && text[i] != '\n'; ++i) {
    if (text[i] >= 0x20 && text[i] < 0x7F) line += text[i];
  }
  return line;
}

}  // namespace similis
