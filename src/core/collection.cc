#include "core/collection.h"

#include <algorithm>

namespace similis {

Status check_collection_name(std::string_view name) {
  auto word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool ok = !name.empty() && name.size() <= 63 && word(name.front()) &&
                  std::all_of(name.begin(), name.end(),
                              [&](char c) { return word(c) || c == '_' || c == '-'; });
  if (ok) return {};
  return Error(ErrorCode::invalid_argument,
               "\"" + std::string(name) + "\" cannot be a collection's name",
               "Use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or a digit.");
}

}  // namespace similis
