#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "cli/terminal.h"
#include "wire/json.h"

namespace similis::cli {

/// Breaks at spaces so that no line is wider than `columns`; a line that begins with spaces (a
/// quoted place) is kept.
std::string wrapped(std::string_view text, std::size_t columns);

/// All of the text, wrapped; its first line behind two spaces, the others behind four.
std::string list_item(std::string_view text, std::size_t columns);

/// "similis: WHAT: WHY. WHAT TO DO." for the terminal, control characters escaped, ending in a
/// newline.
std::string error_text(const Error& error, const Terminal& terminal);

/// Writes to standard output; false when nobody reads any more.
bool print_out(std::string_view text);
void print_err(std::string_view text);
/// One object for other programs. Names can be any bytes: what is not UTF-8 is replaced.
void print_json(const Json& answer);
/// The same on one line, for NDJSON.
void print_json_line(const Json& answer);

}  // namespace similis::cli
