#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/ids.h"

namespace similis {

struct Collection {
  CollectionId id = 0;
  std::string name;          // [a-z0-9][a-z0-9_-]{0,62}
  std::string uuid;          // never reused, part of every cache key
  IndexId active_index = 0;  // 0 until the first index exists
  std::int64_t epoch = 0;    // raised with everything a search can see
  WriteToken token = 0;      // the active index's latest acknowledged write
  UnixSeconds created_at = 0;
};

enum class IndexState : std::uint8_t { building, active, standby, retired };

/// What an index is fixed to: vectors of two models never mix.
struct IndexInfo {
  IndexId id = 0;
  CollectionId collection = 0;
  IndexState state = IndexState::building;
  std::string model_name;
  std::string model_version;
  std::string identity;  // hash over model file, preprocessing, pooling, PCA
  std::int32_t dimensions = 0;
  WriteToken token = 0;  // latest acknowledged write
  UnixSeconds created_at = 0;
};

/// invalid_argument when `name` cannot be a collection's name.
Status check_collection_name(std::string_view name);

}  // namespace similis
