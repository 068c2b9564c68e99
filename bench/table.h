#pragma once

#include <string>

#include "base/result.h"

namespace similis::bench {

struct TableOptions {
  int rows = 100'000;
  int dimensions = 2048;
  int intrinsic = 30;  // dimensions of the manifold the vectors lie on
  int queries = 1000;
  std::string folder;  // where the index is kept; "": a temporary one
};

/// Prints the published table of DiskANN on 100,000 x 2048-d vectors and, beside it, the engine's
/// own figures on vectors of a seeded generator; then a JSON line a row.
Status run_table(const TableOptions& options);

}  // namespace similis::bench
