#pragma once

#include <cstdint>

namespace similis {

/// Positive and below 2^53, so that JSON numbers and every database keep them exactly; 0 means
/// "none". Given by the metadata store, unique in it, never reused.
using ImageId = std::int64_t;
using CollectionId = std::int64_t;
using IndexId = std::int64_t;
using FolderId = std::int64_t;
using JobId = std::int64_t;
inline constexpr std::int64_t kIdMax = (std::int64_t{1} << 53) - 1;

/// What a vector store acknowledges a write with; a search that carries it reflects that write.
/// Ascends within an index.
using WriteToken = std::int64_t;

/// Seconds since 1970-01-01 UTC.
using UnixSeconds = std::int64_t;

}  // namespace similis
