#pragma once

#include <string>

#include "cli/terminal.h"
#include "wire/json.h"

namespace similis::cli {

/// The table of a search's answer (an API SearchResponse): head, hits with score, bar and word, the
/// cut-off's divider among them, the foot. No line is wider than the terminal.
std::string render_search(const Json& answer, const std::string& query_name,
                          const Terminal& terminal, bool offer_more);

/// What is said instead when no hit is above the cut-off.
std::string render_no_match(const Json& answer, const Terminal& terminal);

/// "0.91".
std::string score_text(double score);

}  // namespace similis::cli
