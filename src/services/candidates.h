#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/search.h"
#include "stores/vector/vector_store.h"

namespace similis {

/// What stands behind the pages of one search: everything a later page needs, so that paging
/// neither repeats an id nor sees later writes. Kept in the cache under a key that holds the epoch.
struct Candidates {
  struct Entry {
    ImageId id = 0;
    float score = 0;
    std::uint32_t identical_count = 0;  // further rows of equal bytes that this entry stands for
  };
  std::string collection_uuid;
  std::vector<Entry> entries;  // best first, ties by id
  std::int64_t epoch = 0;
  std::int64_t total = 0;  // ready pictures in the collection
  double cutoff = 0;
  bool exact = true;  // every score was computed on the stored vector
  std::vector<ClassScore> classes;
  std::string query_name;
  std::int32_t query_width = 0;
  std::int32_t query_height = 0;

  [[nodiscard]] std::string serialise() const;
  /// False when the bytes are of another version or broken: a cache may hold anything.
  static bool parse(std::string_view bytes, Candidates& out);

  [[nodiscard]] std::int64_t above_cutoff() const;
  /// 40 equal bins over [0, 1]; scores outside count in the outermost.
  [[nodiscard]] ScoreHistogram histogram() const;
};

/// Where a page begins: the cache key of its candidates, the first entry, the page size.
struct PageCursor {
  std::string key;  // hexadecimal
  std::size_t offset = 0;
  std::size_t k = 0;

  [[nodiscard]] std::string to_string() const;
  /// invalid_argument when the text is not a cursor of ours.
  static Result<PageCursor> parse(std::string_view text);
};

}  // namespace similis
