#pragma once

#include "core/collection.h"
#include "core/context.h"
#include "services/failure_log.h"
#include "services/ingest_counters.h"
#include "services/ports.h"

namespace similis {

/// Takes the pictures of the archive at `path` into the collection, as uploads. May be repeated:
/// what is there already counts as unchanged.
///  - A plain archive: each picture is called by its file's name and gets its folder's path inside
///    the archive as a tag ("cats/siamese"). Hidden files, and those that are no pictures, are
///    skipped.
///  - An exported collection (wire/export_format.h): pictures get the names and tags they had. Of a
///    picture whose bytes are in the collection already, in a folder or uploaded, only the tags are
///    added. Embeddings are computed anew: nothing an archive says of a picture is believed.
/// unsupported_media: no archive; unreadable_media: it is damaged, and what came before stays.
Status run_import(const Context& ctx, const Ports& ports, const Collection& collection,
                  const std::string& path, IngestCounters& counters, FailureLog& failures);

}  // namespace similis
