#include "http/answer_head.h"

#include <array>
#include <ctime>

namespace similis::http {

namespace {

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 40> text;
  const std::size_t length =
      std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return std::string(text.data(), length);
}

/// A field's value without the control characters that would end it early.
std::string field_value(std::string_view value) {
  std::string out;
  for (char c : value)
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) out += c;
  return out;
}

}  // namespace

bool may_have_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

std::string head_of(const Response& response, bool keep_alive) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " " +
                    std::string(reason_phrase(response.status)) + "\r\nDate: " + http_date() +
                    "\r\n";
  for (const auto& [name, value] : response.headers) {
    out += name + ": " + field_value(value) + "\r\n";
  }
  if (may_have_body(response.status) && !response.stream) {
    out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  }
  return out + (keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

}  // namespace similis::http
