// Only in builds with AddressSanitizer: what lets a program with OpenVINO run under it.

#include <dlfcn.h>

// oneTBB opens a helper with RTLD_DEEPBIND, on which the sanitizer ends the program. The flag is
// not needed here.
extern "C" void* dlopen(const char* file, int flags) {
  using Dlopen = void* (*)(const char*, int);
  static const Dlopen next = reinterpret_cast<Dlopen>(dlsym(RTLD_NEXT, "dlopen"));
  return next(file, flags & ~RTLD_DEEPBIND);
}

// What a library holds on to counts as leaked once it is unloaded, and cannot be named any more.
extern "C" int dlclose(void*) {
  return 0;
}

// They keep a few objects until the process ends; the last is the sanitizer's own.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libopenvino.so\nleak:libtbb.so\nleak:libtbbbind\nleak:libubsan.so\n";
}
