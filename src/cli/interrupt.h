#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

namespace similis::cli {

/// Turns SIGINT, SIGTERM and SIGHUP into a stop request, once; a second one ends the process at
/// once (what is stored is safe at any moment). Made before any other thread, so that every thread
/// inherits the blocked signals.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace similis::cli
