#pragma once

#include <string>

#include "base/result.h"

namespace similis::bench {

struct WritesOptions {
  int rows = 100'000;
  int dimensions = 1280;
  int intrinsic = 30;  // dimensions of the manifold the vectors lie on
  int queries = 1000;
  int seconds = 20;  // of searching, alone and beside writes
  std::string data;  // a folder with base.npy and query.npy in place of generated vectors
};

/// The engine under writes: how many rows a second are durable, what they cost searches beside
/// them, and what is found after half of the rows were replaced. Prints tables, and then a JSON
/// line a figure.
Status run_writes(const WritesOptions& options);

}  // namespace similis::bench
