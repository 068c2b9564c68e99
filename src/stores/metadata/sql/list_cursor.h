#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace similis::sql {

/// Where a listing goes on: the list's name and the last row's sort keys, "name.412.6162". Whole
/// numbers are decimal, bytes are "x" and hexadecimal. Opaque to callers, safe in a URL.
class ListCursor {
 public:
  explicit ListCursor(std::string_view list) : text_(list) {}
  ListCursor& add(std::int64_t value);
  ListCursor& add(std::string_view bytes);
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

/// Reads a cursor back, key by key; ok() is false when the text is not a cursor of this list with
/// exactly these keys.
class CursorReader {
 public:
  CursorReader(std::string_view text, std::string_view list);
  std::int64_t number();
  std::string bytes();
  [[nodiscard]] bool ok() const { return ok_ && rest_.empty(); }

 private:
  std::string_view key();
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace similis::sql
