#pragma once

#include <string>
#include <string_view>

#include "core/image.h"

namespace similis::http {

/// SHA-256.
ContentHash hash_of(std::string_view text);
/// In time that depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// 256 random bits in 43 characters of 0-9, A-Z, a-z.
std::string random_secret();
/// "sim_" and a random secret.
std::string new_api_key();
/// The beginning of a key that may be shown, to tell keys apart.
std::string key_prefix(std::string_view key);
/// 12 hexadecimal digits: enough to find a request in a log.
std::string new_request_id();

}  // namespace similis::http
