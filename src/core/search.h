#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/context.h"
#include "core/filter.h"
#include "core/ids.h"
#include "core/image.h"

namespace similis {

/// A rectangle on the oriented picture, each figure a share of its width or height: 0 <= x < x +
/// width <= 1.
struct Crop {
  double x = 0, y = 0, width = 1, height = 1;
  friend bool operator==(const Crop&, const Crop&) = default;
};

struct QueryPicture {
  std::shared_ptr<const std::vector<std::byte>> bytes;  // an encoded picture, any format
  std::string name;                                     // as the user calls it, for the answer only
};

/// One part of a mixed query; a negative weight pushes away.
struct QueryExample {
  std::variant<ImageId, std::vector<float>> what;
  double weight = 1;
};

struct SearchRequest {
  std::string collection;
  /// What to look for: a picture, a stored id, a vector of the index's dimensions, or several
  /// weighted examples.
  std::variant<QueryPicture, ImageId, std::vector<float>, std::vector<QueryExample>> query;
  std::optional<Crop> crop;  // of a picture or a stored id
  std::size_t k = 10;        // 1..1000, hits a page
  std::string cursor;  // "" for the first page; else everything above is ignored but the collection
  Filter filter;
  std::optional<double> min_score;  // the cut-off; the model card's when absent
  bool exclude_self = false;        // leave the query's own stored picture out
  bool collapse_identical = false;  // one hit for pictures of equal bytes
  bool use_cache = true;
};

struct SearchHit {
  ImageRow row;
  double score = 0;  // cosine, -1..1
  bool above_cutoff = false;
  std::int64_t identical_count =
      0;  // further pictures of equal bytes behind this hit (collapse_identical)
};

/// How the candidates' scores are spread, for the cut-off's slider: counts over equal bins of
/// [from, to].
struct ScoreHistogram {
  double from = 0, to = 1;
  std::vector<std::int64_t> counts;
};

enum class CacheState : std::uint8_t { off, miss, hit };

struct SearchResponse {
  std::vector<SearchHit> hits;    // best first, ties by id
  std::string next_cursor;        // "" when there is no further page
  std::int64_t total = 0;         // ready pictures in the collection
  std::int64_t candidates = 0;    // behind the paging, at most 1000
  std::int64_t above_cutoff = 0;  // of the candidates
  double cutoff = 0;
  ScoreHistogram histogram;
  std::vector<ClassScore> classes;  // of the query picture, top 5; empty for vectors and mixtures
  std::string query_name;
  std::int32_t query_width = 0;  // pixels, after orientation; 0 when there is no picture
  std::int32_t query_height = 0;
  std::int64_t epoch = 0;
  CacheState cache = CacheState::off;
  bool exact = true;       // every score was computed on the stored vector
  std::int64_t reads = 0;  // requests to the disk
  std::int64_t bytes_read = 0;
  std::vector<Trace::Stage> timings;  // stages in ms, "total" last
};

}  // namespace similis
