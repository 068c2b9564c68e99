#pragma once

#include <string>
#include <vector>

#include "core/collection.h"
#include "core/context.h"
#include "services/ingest_counters.h"
#include "services/ports.h"

namespace similis {

/// Checks everything that a collection rests on (database, vectors, uploads, models) and brings
/// rows and vectors back together: a ready row without its vector is embedded again, a vector
/// without its row is removed, filters see what the rows say, an index that is missing is made
/// again. Damage that cannot be mended is a finding, and the rest goes on. What was found, in
/// words: empty when all is well. `counters` count the rows looked at, with findings as `failed`.
Result<std::vector<std::string>> run_verify(const Context& ctx, const Ports& ports,
                                            const Collection& collection, IngestCounters& counters);

}  // namespace similis
