#pragma once

#include <span>
#include <string>
#include <string_view>

namespace similis {

/// How many single-character insertions, deletions, substitutions and swaps of neighbours turn `a`
/// into `b` (optimal string alignment). Counts bytes.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate most like what was typed, for a hint; "" when none is near enough to be meant
/// (more than a third of the longer name would have to change). Upper and lower case, '-' and '_'
/// count as equal.
std::string nearest_name(std::string_view typed, std::span<const std::string> candidates);

/// "Did you mean `name`?", or "" when nearest_name() finds none.
std::string did_you_mean(std::string_view typed, std::span<const std::string> candidates);

}  // namespace similis
