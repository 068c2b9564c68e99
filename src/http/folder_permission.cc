#include "http/folder_permission.h"

#include <algorithm>
#include <system_error>

#include "core/filter.h"
#include "wire/text.h"

namespace similis::http {

Result<BuildSource> build_source(const std::string& path,
                                 const std::vector<std::filesystem::path>& roots, bool any_folder) {
  const std::string shown = wire::display_text(path);
  if (!path.starts_with('/')) {
    return Error(ErrorCode::invalid_argument, "the path \"" + shown + "\" is not absolute",
                 "Give the folder's path from the root on, such as /srv/pictures.");
  }
  std::error_code failed;
  const auto real = std::filesystem::canonical(path, failed);
  const std::string folder =
      failed ? std::filesystem::weakly_canonical(path).native() : real.native();
  const bool allowed =
      any_folder || std::any_of(roots.begin(), roots.end(), [&](const std::filesystem::path& root) {
        std::error_code unknown;
        const auto real_root = std::filesystem::canonical(root, unknown);
        return !unknown && is_under(folder, real_root.native());
      });
  if (!allowed) {
    return Error(ErrorCode::permission_denied, shown + " is not under an allowed folder",
                 roots.empty()
                     ? "Index it with `similis index`, or allow its folder with "
                       "server.allowed_roots in the configuration."
                     : "Add its folder to server.allowed_roots in the configuration, or index "
                       "it with `similis index`.");
  }
  if (failed == std::errc::permission_denied) {
    return Error(ErrorCode::permission_denied, shown + " cannot be read",
                 "Give this user the right to read it.");
  }
  if (failed) {
    return Error(ErrorCode::not_found, "there is no " + shown + ": " + failed.message(),
                 "Give a folder or an archive of the machine the server runs on.");
  }
  const bool is_folder = std::filesystem::is_directory(real, failed);
  if (!is_folder && !std::filesystem::is_regular_file(real, failed)) {
    return Error(ErrorCode::invalid_argument, shown + " is not a folder",
                 "Give the folder it is in, or an archive of pictures.");
  }
  return BuildSource{folder, is_folder};
}

}  // namespace similis::http
