#include "client/event_parser.h"

namespace similis {

bool EventParser::feed(std::string_view bytes, const OnEvent& on_event) {
  for (const char c : bytes) {
    // A line ends with \n, \r or \r\n.
    const bool second_half = c == '\n' && after_cr_;
    after_cr_ = c == '\r';
    if (second_half) continue;
    if (c != '\n' && c != '\r') {
      line_ += c;
      continue;
    }
    const std::string line = std::move(line_);
    line_.clear();
    if (!take_line(line, on_event)) return false;
  }
  return true;
}

bool EventParser::take_line(std::string_view line, const OnEvent& on_event) {
  if (line.empty()) {
    const bool complete = has_data_;
    const ServerSentEvent event = std::move(event_);
    event_ = {};
    event_.id = event.id;  // the last id stays until another comes
    has_data_ = false;
    return !complete || on_event(event);
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value =
      colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  } else if (field == "event") {
    event_.event = value;
  } else if (field == "id") {
    event_.id = value;
  }
  return true;
}

}  // namespace similis
