#pragma once

#include <string>

#include "cli/session.h"

namespace similis::cli {

/// Writes a page that shows the query and its hits and needs nothing else: pictures inside, no
/// script, no network. `file` "" makes one in the temporary folder. The path written.
Result<std::string> write_contact_sheet(Session& session, const Json& answer,
                                        const std::string& query_name,
                                        const std::string& query_bytes, const std::string& file);

}  // namespace similis::cli
