#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"
#include "wire/json.h"

namespace similis::cli {

/// The API's Status as lines: one block a collection, then memory, disk, server, last job.
std::string render_status(const Json& status, const Terminal& terminal);

/// Failed files with reason and advice. `failures` is the API's list; `total` what it is a part of;
/// `retry` are lines to copy, which come whole even where they are wider than the terminal.
std::string render_failures(const Json& failures, std::int64_t failed, std::int64_t total,
                            const std::vector<std::string>& retry, const Terminal& terminal);

}  // namespace similis::cli
