#pragma once

#include "core/collection.h"
#include "core/context.h"
#include "core/job.h"
#include "services/failure_log.h"
#include "services/ingest_counters.h"
#include "services/ports.h"

namespace similis {

/// Does an export job: writes the collection's ready pictures to the tar file `job.root`
/// (wire/export_format.h), which is there once it is whole. A picture whose file cannot be read, or
/// has changed since it was indexed, is a failure: what is known of it is written all the same.
/// Pictures that come or go meanwhile may be in or not. already_exists when there is such a file.
Status run_export(const Context& ctx, const Ports& ports, const Collection& collection,
                  const Job& job, IngestCounters& counters, FailureLog& failures);

}  // namespace similis
