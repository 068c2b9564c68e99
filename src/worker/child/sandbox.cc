#include "worker/child/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/file.h"

namespace similis {
namespace {

// What libvips, its decoders, glib, the C library and our loop call, found by tracing all formats.
constexpr int kAllowed[] = {
    SCMP_SYS(brk),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(close),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(getcpu),
    SCMP_SYS(getegid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getuid),
    SCMP_SYS(lseek),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(nanosleep),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pread64),
    SCMP_SYS(read),
    SCMP_SYS(recvmsg),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sendmsg),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(sysinfo),
    SCMP_SYS(time),
    SCMP_SYS(uname),
    SCMP_SYS(write),
};

bool allow_calls(scmp_filter_ctx filter) {
  bool fine = true;
  auto add = [&](std::uint32_t action, int call, auto... conditions) {
    fine =
        fine && seccomp_rule_add(filter, action, call, sizeof...(conditions), conditions...) == 0;
  };
  for (const int call : kAllowed) add(SCMP_ACT_ALLOW, call);
  // Threads, but no processes. The flags of clone3 lie in memory, out of a filter's sight: the C
  // library then takes clone.
  add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  add(SCMP_ACT_ALLOW, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
  // Memory, but no new code.
  add(SCMP_ACT_ALLOW, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  add(SCMP_ACT_ALLOW, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  // Limits may be read. A thread may be named. abort() may signal its own process.
  add(SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0));
  add(SCMP_ACT_ALLOW, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
  add(SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
      SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid())));
  add(SCMP_ACT_ALLOW, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_GETFL));
  return fine;
}

std::string enter_seccomp() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) return "seccomp is not available";
  std::string refused;
  if (seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) != 0 || !allow_calls(filter)) {
    refused = "the seccomp filter could not be made";
  } else if (const int status = seccomp_load(filter); status != 0) {
    refused = std::string("seccomp was refused: ") + std::strerror(-status);
  }
  seccomp_release(filter);
  return refused;
}

// linux/landlock.h of Debian 12 knows ABI 2; the kernel may know more. Rights by ABI, from the
// kernel's documentation: 1: bits 0..12 of the file rights; 2: bit 13 (refer); 3: 14 (truncate); 4:
// TCP bind and connect; 5: 15 (ioctl on devices); 6: abstract Unix sockets and signals to processes
// outside.
struct LandlockRules {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scopes = 0;
};

std::string enter_landlock() {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return "Landlock is not available";
  LandlockRules rules;
  const int file_bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
  rules.files = (std::uint64_t{1} << file_bits) - 1;
  std::size_t size = sizeof rules.files;
  if (abi >= 4) rules.network = 3, size = 2 * sizeof(std::uint64_t);
  if (abi >= 6) rules.scopes = 3, size = 3 * sizeof(std::uint64_t);
  const File ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size, 0)));
  if (!ruleset.is_open()) return std::string("Landlock was refused: ") + std::strerror(errno);
  if (::syscall(SYS_landlock_restrict_self, ruleset.fd(), 0) != 0) {
    return std::string("Landlock was refused: ") + std::strerror(errno);
  }
  return {};
}

void limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  ::setrlimit(resource, &both);  // lowering one's own limits is always allowed
}

}  // namespace

std::string enter_sandbox() {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_NOFILE, 16);
  std::string missing = enter_landlock();
  if (const std::string refused = enter_seccomp(); !refused.empty()) {
    missing += (missing.empty() ? "" : "; ") + refused;
  }
  return missing;
}

void limit_memory(std::uint64_t more_bytes) {
  std::uint64_t now_bytes = 0;
  char text[4096] = "";
  if (auto file = File::open("/proc/self/status", O_RDONLY);
      file.ok() && ::read(file->fd(), text, sizeof text - 1) > 0) {
    const char* at = std::strstr(text, "VmData:");
    unsigned long long kib = 0;
    if (at == nullptr || std::sscanf(at, "VmData: %llu kB", &kib) != 1) return;
    now_bytes = kib << 10;
  }
  limit(RLIMIT_DATA, now_bytes + more_bytes);
}

}  // namespace similis
