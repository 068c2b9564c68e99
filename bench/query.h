#pragma once

#include "base/result.h"

namespace similis::bench {

struct QueryOptions {
  int rows = 100'000;  // vectors in the index
  int queries = 400;   // of 300 x 200, per setting
  int large = 30;      // of 4000 x 3000
};

/// A warm server over loopback TCP: picture bytes in, answer out, no query seen before. Prints
/// latency with one client, by stage, and throughput with eight; then a JSON line for each row.
Status run_query(const QueryOptions& options);

}  // namespace similis::bench
