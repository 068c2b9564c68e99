#pragma once

#include <cstdint>
#include <string>

namespace similis {

/// Takes from this process, for good, what a decoder does not need. Call when everything is loaded
/// and no other thread runs yet. Returns what the kernel refused, in words; "" when all is in
/// place.
///  - new privileges, core dumps, files that grow;
///  - seccomp: a list of allowed system calls. No files are opened, no sockets made, no programs
///  started, no memory made
///    executable, no other process looked at or signalled; those calls fail with EPERM.
///  - Landlock, where the kernel has it: no file, no TCP, no signals to the outside, a second wall
///  behind the first.
std::string enter_sandbox();

/// How many more bytes of memory this process may take (RLIMIT_DATA), beyond what it has now.
void limit_memory(std::uint64_t more_bytes);

}  // namespace similis
