#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace similis::http {

/// The built page, read into memory once: no request can then name a file outside it. A file's
/// ".gz" beside it is its compressed form.
class StaticFiles {
 public:
  /// No files: every lookup answers nullopt.
  StaticFiles() = default;
  /// Errors: not_found when the folder is not there, too_large above 64 MB.
  static Result<StaticFiles> load(const std::filesystem::path& folder);

  /// The answer for a decoded path such as "/assets/x.js", "/docs" (docs.html), "/" or "/c/cats"
  /// (index.html: the page's own addresses); nullopt when there is nothing.
  [[nodiscard]] std::optional<Response> serve(const RequestHead& head, std::string_view path) const;
  [[nodiscard]] bool empty() const { return files_.empty(); }

 private:
  struct Entry {
    std::shared_ptr<const std::string> plain;
    std::shared_ptr<const std::string> gzip;  // null: none
    std::string etag;
  };
  [[nodiscard]] const Entry* find(std::string_view path) const;

  std::map<std::string, Entry, std::less<>> files_;  // by path with a leading slash
};

/// The media type by a file name's extension.
std::string_view media_type_of(std::string_view name);

}  // namespace similis::http
