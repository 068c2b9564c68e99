#pragma once

#include <string>

#include "core/collection.h"
#include "core/context.h"
#include "services/failure_log.h"
#include "services/ingest_counters.h"
#include "services/ports.h"

namespace similis {

/// Writes the collection's ready pictures to the tar file `path` (wire/export_format.h), which is
/// there once it is whole. A picture whose file cannot be read, or has changed since it was
/// indexed, is a failure: what is known of it is written all the same. Pictures that come or go
/// meanwhile may be in or not. already_exists when there is a file at `path`.
Status run_export(const Context& ctx, const Ports& ports, const Collection& collection,
                  const std::string& path, bool with_pictures, IngestCounters& counters,
                  FailureLog& failures);

}  // namespace similis
