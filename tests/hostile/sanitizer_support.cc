// Only in builds with AddressSanitizer: what is known to stay behind when the pictures are made.

// libx265 keeps a block of each encoder that it opens.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libx265.so\n";
}
