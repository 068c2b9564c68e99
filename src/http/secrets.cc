#include "http/secrets.h"

#include <openssl/crypto.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <span>

#include "base/hex.h"
#include "core/sha256.h"

namespace similis::http {

namespace {

constexpr std::size_t kPrefixBytes = 8;

template <std::size_t N>
std::array<unsigned char, N> random_bytes() {
  std::array<unsigned char, N> bytes;
  // Fails only on a kernel without getrandom(2): nothing here could be kept secret then.
  if (getentropy(bytes.data(), bytes.size()) != 0) std::abort();
  return bytes;
}

}  // namespace

ContentHash hash_of(std::string_view text) {
  auto hash = sha256(text);
  if (!hash.ok()) std::abort();  // OpenSSL without SHA-256
  return *hash;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_secret() {
  constexpr std::string_view kDigits =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr std::size_t kCharacters = 43;  // 62^43 > 2^256
  auto number = random_bytes<32>();
  std::string out(kCharacters, '0');
  for (std::size_t i = kCharacters; i-- > 0;) {
    unsigned remainder = 0;
    for (unsigned char& byte : number) {
      const unsigned value = remainder << 8 | byte;
      byte = static_cast<unsigned char>(value / 62);
      remainder = value % 62;
    }
    out[i] = kDigits[remainder];
  }
  return out;
}

std::string new_api_key() {
  return "sim_" + random_secret();
}

std::string key_prefix(std::string_view key) {
  return std::string(key.substr(0, kPrefixBytes));
}

std::string new_request_id() {
  const auto bytes = random_bytes<6>();
  return to_hex(std::as_bytes(std::span(bytes)));
}

}  // namespace similis::http
