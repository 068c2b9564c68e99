#pragma once

#include <memory>

#include "core/search.h"
#include "services/ports.h"

namespace similis {

/// Finds the pictures that look like a picture, a crop of it, a stored id, a vector, or a weighted
/// mixture.
class QueryService {
 public:
  explicit QueryService(const Ports& ports);
  ~QueryService();

  /// Errors: not_found (collection, id), invalid_argument (k, crop, vector length, min_score),
  /// unsupported_media, unreadable_media and too_large (the picture), gone (the cursor has expired:
  /// search again), conflict (the collection has no index yet), cancelled, deadline_exceeded.
  Result<SearchResponse> search(const Context& ctx, const SearchRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace similis
