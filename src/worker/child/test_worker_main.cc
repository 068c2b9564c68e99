// A decode worker for tests: files that begin as planted_file() writes them (test_plants.h) make it
// misbehave. The product's worker has none of this.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "worker/child/worker.h"
#include "worker/test_plants.h"

namespace {

using similis::Plant;

// Everything a worker must not be able to do. True when one of them worked.
bool escapes() {
  if (::open("/etc/passwd", O_RDONLY) >= 0) return true;
  if (::open("/tmp/similis-escape", O_WRONLY | O_CREAT, 0600) >= 0) return true;
  if (::socket(AF_INET, SOCK_STREAM, 0) >= 0) return true;
  if (::socket(AF_UNIX, SOCK_DGRAM, 0) >= 0) return true;
  if (::unlink("/tmp/similis-escape") == 0) return true;
  if (::kill(::getppid(), 0) == 0) return true;
  char program[] = "/bin/true";
  char* arguments[] = {program, nullptr};
  ::execv(program, arguments);  // a success does not come back, which the pool sees as a crash
  if (const pid_t child = ::fork(); child >= 0) {
    if (child == 0) ::_exit(0);
    return true;
  }
  if (::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
      MAP_FAILED)
    return true;
  return false;
}

void misbehave(std::span<const std::byte> bytes) {
  switch (similis::plant_of(bytes)) {
    case Plant::none:
      return;
    case Plant::crash: {
      volatile int* nowhere = nullptr;
      *nowhere = 1;
      return;
    }
    case Plant::abort:
      std::abort();
    case Plant::hang:
      for (volatile bool forever = true; forever;) {
      }
      return;
    case Plant::touch_memory:
      for (;;) {
        const std::size_t size = std::size_t{1} << 20;
        void* page = std::malloc(size);
        if (page == nullptr) std::abort();
        std::memset(page, 1, size);
        ::usleep(200);
      }
    case Plant::allocate_at_once: {
      std::vector<char> all(std::size_t{64} << 30);
      ::_exit(all.empty() ? 0 : 1);
    }
    case Plant::leave:
      ::_exit(0);
    case Plant::escape:
      if (escapes()) std::abort();
      return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  return similis::run_worker(argc, argv, misbehave);
}
