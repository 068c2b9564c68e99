#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace similis {

static_assert(std::endian::native == std::endian::little, "byte formats here are little-endian");

/// Appends fixed-width little-endian fields to a string of bytes.
class ByteWriter {
 public:
  template <typename T>
    requires(std::is_arithmetic_v<T>)
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  /// Length (u32), then the bytes.
  void put_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    bytes_.append(text);
  }
  void put_raw(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Reads what ByteWriter wrote. After a read past the end every value is zero and ok() is false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
    requires(std::is_arithmetic_v<T>)
  T get() {
    T value{};
    get_raw(&value, sizeof value);
    return value;
  }
  std::string get_text() {
    const auto size = get<std::uint32_t>();
    if (!ok_ || size > bytes_.size()) return ok_ = false, std::string();
    std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }
  void get_raw(void* data, std::size_t size) {
    if (!ok_ || size > bytes_.size()) {
      ok_ = false;
      return;
    }
    if (size > 0) std::memcpy(data, bytes_.data(), size);  // neither may be null
    bytes_.remove_prefix(size);
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace similis
