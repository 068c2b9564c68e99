#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/image.h"

/// Small lists inside one column, as text that a person can read in the database:
///   classes   "<class id> <probability> <bytes of the name>:<name>\n" for each
///   counts    "<count> <bytes of the word>:<word>\n" for each
/// Decoders give nullopt for anything else.
namespace similis::sql {

std::string encode_classes(const std::vector<ClassScore>& classes);
std::optional<std::vector<ClassScore>> decode_classes(std::string_view text);

using CountedWords = std::vector<std::pair<std::string, std::int64_t>>;
std::string encode_counts(const CountedWords& counts);
std::optional<CountedWords> decode_counts(std::string_view text);

/// 64 hex digits; nullopt for the zero hash of a file that was never read.
std::optional<std::string> encode_hash(const ContentHash& hash);
std::optional<ContentHash> decode_hash(std::string_view text);

/// ASCII letters in lower case, all other bytes as they are.
std::string ascii_lower(std::string_view text);

}  // namespace similis::sql
