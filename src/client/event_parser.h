#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "client/transport.h"

namespace similis {

/// Cuts a text/event-stream into events, however its bytes arrive (WHATWG HTML, section 9.2.6).
/// Comments and unknown fields are dropped; an event without data is none.
class EventParser {
 public:
  using OnEvent = std::function<bool(const ServerSentEvent&)>;

  /// False when `on_event` wants no more.
  bool feed(std::string_view bytes, const OnEvent& on_event);

 private:
  bool take_line(std::string_view line, const OnEvent& on_event);

  std::string line_;
  ServerSentEvent event_;
  bool has_data_ = false;
  bool after_cr_ = false;
};

}  // namespace similis
