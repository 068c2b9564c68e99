#pragma once

#include <string>

#include "base/result.h"

namespace similis::bench {

struct IngestOptions {
  int small = 2000;    // pictures of 300 x 200
  int large = 300;     // pictures of 4000 x 3000
  int rounds = 3;      // bare costs and indexing in turn; medians are printed
  std::string folder;  // measure this folder instead of made pictures
};

/// Prints, for each set of pictures, what decoding, the model and the stores cost bare, the rate
/// that bound allows, and the rate that `similis index` reaches; then a JSON line.
Status run_ingest(const IngestOptions& options);

}  // namespace similis::bench
