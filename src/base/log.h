#pragma once

#include <functional>
#include <string_view>

namespace similis {

enum class LogLevel { debug, info, warning, error };

/// Libraries never print: they call this. The application installs a sink once, before threads
/// start; without one, messages are dropped. `message` is one line without a newline; never a
/// picture's content, a key or a query.
using LogSink = std::function<void(LogLevel, std::string_view message)>;
void set_log_sink(LogSink sink);
void log(LogLevel level, std::string_view message);

}  // namespace similis
