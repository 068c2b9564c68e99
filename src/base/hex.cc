#include "base/hex.h"

#include <array>

namespace similis {
namespace {

constexpr std::array<signed char, 256> make_values() {
  std::array<signed char, 256> values{};
  for (auto& value : values) value = -1;
  for (int i = 0; i < 10; ++i) values['0' + i] = static_cast<signed char>(i);
  for (int i = 0; i < 6; ++i) {
    values['a' + i] = values['A' + i] = static_cast<signed char>(10 + i);
  }
  return values;
}
constexpr auto kValues = make_values();

}  // namespace

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out(bytes.size() * 2, '\0');
  char* at = out.data();
  for (const std::byte b : bytes) {
    *at++ = kDigits[static_cast<unsigned>(b) >> 4];
    *at++ = kDigits[static_cast<unsigned>(b) & 15];
  }
  return out;
}

bool from_hex(std::string_view digits, std::span<std::byte> out) {
  if (digits.size() != out.size() * 2) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = kValues[static_cast<unsigned char>(digits[2 * i])];
    const int low = kValues[static_cast<unsigned char>(digits[2 * i + 1])];
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::byte>(high << 4 | low);
  }
  return true;
}

}  // namespace similis
