#pragma once

#include <functional>
#include <map>
#include <string>

#include "cli/cli.h"
#include "config/settings.h"

namespace similis {

/// What the command line works with: the embedded system, or a running server.
cli::Hooks make_hooks();

/// The configuration as the options and the environment give it. `flags` are further keys that
/// options set.
Result<Settings> load_settings(const cli::GlobalOptions& options,
                               std::map<std::string, std::string, std::less<>> flags = {});

}  // namespace similis
