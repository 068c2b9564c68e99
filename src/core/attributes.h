#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"

namespace similis {

/// What a filter can ask of a picture. Every upsert into a vector store carries it, so that filters
/// are evaluated inside the search; the metadata store is the truth.
struct Attributes {
  std::string folder;               // absolute path of the folder, bytes; "" for uploads
  std::optional<UnixSeconds> date;  // EXIF date taken, else the file's modification time
  std::int64_t size_bytes = 0;      // of the file
  std::int32_t width = 0;           // pixels, after orientation
  std::int32_t height = 0;
  std::vector<std::string> tags;  // sorted, unique
  std::string class_name;  // most probable class when it is clear (product.md: from 35 %), else ""

  friend bool operator==(const Attributes&, const Attributes&) = default;
};

}  // namespace similis
