#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace similis::cli {

/// A new empty file in the temporary folder that only this user may read, with a name a browser
/// takes for a page.
Result<std::filesystem::path> temporary_page();

/// Hands the file to the desktop's browser. unavailable where there is no desktop.
Status open_in_browser(const std::string& file);

/// Opens an address that holds a secret by way of a private page that leads there: the arguments of
/// a program can be read by every user of the machine. The page; delete it when done with the
/// address.
Result<std::filesystem::path> open_address(std::string_view address);

}  // namespace similis::cli
