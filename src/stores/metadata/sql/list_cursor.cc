#include "stores/metadata/sql/list_cursor.h"

#include <charconv>
#include <span>

#include "base/hex.h"

namespace similis::sql {

ListCursor& ListCursor::add(std::int64_t value) {
  text_ += '.';
  text_ += std::to_string(value);
  return *this;
}

ListCursor& ListCursor::add(std::string_view bytes) {
  text_ += ".x";
  text_ += to_hex(std::as_bytes(std::span(bytes)));
  return *this;
}

CursorReader::CursorReader(std::string_view text, std::string_view list) : rest_(text) {
  ok_ = rest_.starts_with(list);
  if (ok_) rest_.remove_prefix(list.size());
}

std::string_view CursorReader::key() {
  if (!ok_ || rest_.empty() || rest_.front() != '.') {
    ok_ = false;
    return {};
  }
  const std::size_t end = std::min(rest_.find('.', 1), rest_.size());
  const auto out = rest_.substr(1, end - 1);
  rest_.remove_prefix(end);
  return out;
}

std::int64_t CursorReader::number() {
  const auto digits = key();
  std::int64_t value = 0;
  const auto [at, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  ok_ = ok_ && ec == std::errc() && at == digits.data() + digits.size();
  return value;
}

std::string CursorReader::bytes() {
  const auto digits = key();
  if (!ok_ || !digits.starts_with('x') || digits.size() % 2 == 0) {
    ok_ = false;
    return {};
  }
  std::string out(digits.size() / 2, '\0');
  ok_ = from_hex(digits.substr(1), std::as_writable_bytes(std::span(out)));
  return out;
}

}  // namespace similis::sql
