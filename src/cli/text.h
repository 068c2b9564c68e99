#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes_text.h"

namespace similis::cli {

/// Columns the text takes on a terminal: wide characters (CJK, emoji) count two, combining marks
/// none, a byte that is not UTF-8 one. `text` must be free of control characters (see printable()).
std::size_t display_width(std::string_view text);

/// Fit for a terminal: control characters, escape sequences, bidirectional overrides and bytes that
/// are not UTF-8 become visible escapes such as \n, \x1b or \u202e. A file's name can be anything.
std::string printable(std::string_view text);

/// At most `columns` wide: the middle gives way to "…" ("..." when `utf8` is false); a path keeps
/// its end, which tells more.
std::string shorten_middle(std::string_view text, std::size_t columns, bool utf8 = true);
/// At most `columns` wide: the end gives way.
std::string shorten_end(std::string_view text, std::size_t columns, bool utf8 = true);

/// Padded with spaces to `columns`; longer text is left as it is.
std::string pad_right(std::string_view text, std::size_t columns);
std::string pad_left(std::string_view text, std::size_t columns);

/// "8,674".
std::string grouped(std::int64_t number);
/// "850 ms", "41 s", "1 min 52 s", "3 h 10 min", "2 d 4 h".
std::string duration_text(double seconds);
/// "3.9", "11", "1,250": milliseconds without a unit.
std::string ms_text(double ms);
/// "1 picture", "8,674 pictures".
std::string counted(std::int64_t number, std::string_view one, std::string_view many);
/// One word for a shell: as it is, in quotes, or as bash's $'...' when it holds control characters
/// or bytes that are not UTF-8. Safe to print.
std::string shell_word(std::string_view text);
/// How the user calls this program, for lines to copy: the launcher's name, else "similis".
std::string command_name();
/// A folder of the user's own as a shell would take it: "~/Pictures".
std::string below_home(const std::string& path);

}  // namespace similis::cli
