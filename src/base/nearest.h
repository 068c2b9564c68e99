#pragma once

#include <span>
#include <string>
#include <string_view>

namespace similis {

/// The candidate that `name` was probably meant to be: the smallest number of inserted, dropped,
/// changed or swapped neighbouring letters (Damerau-Levenshtein, restricted), if at most a third of
/// the longer name. "" when none is near. For hints such as: did you mean "pictures"?
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

/// The hint itself: `Did you mean "pictures"?`, or "" when none is near.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace similis
