#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/job.h"
#include "core/search.h"

namespace similis::wire {

// What clients send. Reading is strict: a member that is not known is an error that names the
// nearest one, and every error names its place by a JSON pointer.

/// The JSON body of a search: exactly one of image_id, vector, examples, cursor, and the settings
/// of read_search_settings. A cursor stands alone. The collection is left for the caller.
Result<SearchRequest> read_search_request(std::string_view json);
/// The settings alone (k, crop, filter, min_score, exclude_self, collapse_identical, use_cache):
/// the multipart part `params`.
Status read_search_settings(std::string_view json, SearchRequest& request);
/// One setting as a query parameter (crop as "x,y,width,height"). False when it is none of them.
Result<bool> read_search_setting(std::string_view name, std::string_view value,
                                 SearchRequest& request);
/// The names that read_search_setting takes.
const std::vector<std::string>& search_setting_names();

/// For a query without a picture's bytes.
std::string search_request_json(const SearchRequest& request);
/// For a query with them: "k=5&filter=...", percent-encoded, with the picture's name.
std::string search_query_string(const SearchRequest& request);

struct BuildRequest {
  std::string path;  // of a folder or archive; absolute, bytes; `path_bytes` (base64) where it is
                     // not UTF-8
  BuildOptions options;
  std::string model;  // "" is the default
};
Result<BuildRequest> read_build_request(std::string_view json);
std::string build_request_json(const BuildRequest& request);

/// {"path": ..., "pictures": true}
struct ExportRequest {
  std::string path;      // as BuildRequest's
  bool pictures = true;  // their files too
};
Result<ExportRequest> read_export_request(std::string_view json);
std::string export_request_json(const ExportRequest& request);

/// {"name": ...}
Result<std::string> read_name(std::string_view json);
std::string name_json(std::string_view name);
/// {"tags": [...]}
Result<std::vector<std::string>> read_tags(std::string_view json);
std::string tags_json(const std::vector<std::string>& tags);
/// {"credential": ...}
Result<std::string> read_credential(std::string_view json);

/// A decimal number, whole or not, of a query parameter.
Result<std::int64_t> read_whole(std::string_view name, std::string_view text, std::int64_t min,
                                std::int64_t max);
Result<double> read_number(std::string_view name, std::string_view text, double min, double max);
Result<bool> read_bool(std::string_view name, std::string_view text);

/// Everything but unreserved characters as %XX (RFC 3986).
std::string percent_encode(std::string_view text);

}  // namespace similis::wire
