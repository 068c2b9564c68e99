// Only in builds with AddressSanitizer: its allocator runs out of memory as the C library's does,
// so that the limits of a worker can be tested under it.

#include <sanitizer/asan_interface.h>
#include <unistd.h>

#include <string_view>

#include "worker/protocol.h"

// malloc() answers null beyond RLIMIT_DATA. Little freed memory is kept from reuse, as it counts
// towards a picture's limit.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1:quarantine_size_mb=16";
}

// Its `operator new` reports where others call std::new_handler.
extern "C" void __asan_on_error() {
  if (std::string_view(__asan_get_report_description()) == "out-of-memory")
    ::_exit(similis::kExitOutOfMemory);
}
