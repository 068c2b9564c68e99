#include "base/log.h"

#include <utility>

namespace similis {
namespace {
LogSink& sink_slot() {
  static LogSink sink;
  return sink;
}
}  // namespace

void set_log_sink(LogSink sink) {
  sink_slot() = std::move(sink);
}

void log(LogLevel level, std::string_view message) {
  if (const LogSink& sink = sink_slot()) sink(level, message);
}

}  // namespace similis
