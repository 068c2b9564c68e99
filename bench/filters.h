#pragma once

#include <string>

#include "base/result.h"

namespace similis::bench {

struct FiltersOptions {
  int rows = 100'000;
  int dimensions = 1280;
  int intrinsic = 30;  // dimensions of the manifold the vectors lie on
  int queries = 300;
  std::string data;  // a folder with base.npy and query.npy in place of generated vectors
};

/// Searches with filters that leave from all rows down to one in ten thousand, at random, and with
/// such as agree or disagree with the query: only rows near it, only rows far from it. Vectors on
/// disk, one query at a time. Prints a table, and then a JSON line a filter.
Status run_filters(const FiltersOptions& options);

}  // namespace similis::bench
