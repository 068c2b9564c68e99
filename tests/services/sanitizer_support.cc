// Only in builds with ThreadSanitizer, which in GCC 12 does not see how a std::timed_mutex is
// locked until a time (pthread_mutex_clocklock): it takes each unlock for a fault, and loses count
// of the locks that are held.
extern "C" const char* __tsan_default_suppressions() {
  return "mutex:std::timed_mutex::unlock\n";
}
extern "C" const char* __tsan_default_options() {
  return "detect_deadlocks=0";
}
