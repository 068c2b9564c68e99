#pragma once

#include <string>

#include "cli/cli.h"

namespace similis::cli {

/// Draws the query and its hits in the terminal with libchafa: kitty, iTerm2 or sixel graphics
/// where the terminal has them, else coloured blocks.
Status show_pictures(Session& session, const Json& answer, const std::string& query_bytes,
                     const Hooks& hooks);

}  // namespace similis::cli
