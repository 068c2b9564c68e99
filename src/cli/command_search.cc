#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "cli/browser.h"
#include "cli/commands.h"
#include "cli/contact_sheet.h"
#include "cli/print.h"
#include "cli/render_search.h"
#include "cli/show.h"
#include "cli/text.h"
#include "wire/archive.h"
#include "wire/error_table.h"

namespace similis::cli {
namespace {

constexpr std::uint64_t kPictureBytesMax = std::uint64_t{1} << 30;

Result<std::string> read_standard_input() {
  std::string bytes;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "read", "standard input");
    if (n == 0) break;
    bytes.append(buffer, static_cast<std::size_t>(n));
    if (bytes.size() > kPictureBytesMax) {
      return Error(ErrorCode::too_large, "standard input has more than 1 GB", "Pipe one picture.");
    }
  }
  if (bytes.empty())
    return Error(ErrorCode::unsupported_media, "standard input is empty", "Pipe a picture.");
  return bytes;
}

Result<std::string> read_picture(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return Error(ErrorCode::invalid_argument, path + " is a folder",
                 "Search for one picture, or index the folder: "
                 "similis index " +
                     path);
  }
  auto text = read_text_file(path, kPictureBytesMax);
  if (!text.ok() && text.error().code == ErrorCode::not_found) {
    return Error(ErrorCode::not_found, "there is no file " + path,
                 "Give a picture's path, - or id:NUMBER.");
  }
  if (text.ok() && text->empty()) {
    return Error(ErrorCode::unsupported_media, path + " is empty", "Give a picture.");
  }
  return text;
}

void add_parameter(std::string& target, std::string_view name, const std::string& value) {
  target += (target.find('?') == std::string::npos ? '?' : '&') + std::string(name) + "=" +
            percent_encoded(value);
}

struct Query {
  ApiRequest request;
  std::string name;
  std::string bytes;  // of the query picture; "" for a stored one
};

Result<Query> make_query(Session& session, const SearchOptions& options) {
  ASSIGN_OR_RETURN(const std::string collection, session.collection(options.collection));
  Query query;
  query.request.method = "POST";
  query.request.target = "/api/v1/collections/" + collection + "/search";
  if (options.picture.starts_with("id:")) {
    query.name = options.picture;
    Json body{{"image_id", options.picture.substr(3)}, {"k", options.k}};
    if (!options.filter.empty()) body["filter"] = options.filter;
    if (options.min_score) body["min_score"] = *options.min_score;
    if (options.exclude_self) body["exclude_self"] = true;
    if (options.collapse) body["collapse_identical"] = true;
    if (!options.crop.empty()) {
      double x = 0, y = 0, width = 0, height = 0;
      if (std::sscanf(options.crop.c_str(), "%lf,%lf,%lf,%lf", &x, &y, &width, &height) != 4) {
        return Error(ErrorCode::invalid_argument,
                     "--crop \"" + options.crop + "\" is not x,y,width,height",
                     "Each is a share of the picture, for example 0.25,0.25,0.5,0.5.");
      }
      body["crop"] = {{"x", x}, {"y", y}, {"width", width}, {"height", height}};
    }
    query.request.headers.emplace_back("Content-Type", "application/json");
    query.request.body = wire::to_text(body);
    return query;
  }
  std::string& target = query.request.target;
  add_parameter(target, "k", std::to_string(options.k));
  if (!options.filter.empty()) add_parameter(target, "filter", options.filter);
  if (options.min_score) add_parameter(target, "min_score", Json(*options.min_score).dump());
  if (!options.crop.empty()) add_parameter(target, "crop", options.crop);
  if (options.exclude_self) add_parameter(target, "exclude_self", "true");
  if (options.collapse) add_parameter(target, "collapse_identical", "true");
  if (options.picture == "-") {
    query.name = "standard input";
    ASSIGN_OR_RETURN(query.bytes, read_standard_input());
  } else {
    query.name = std::filesystem::path(options.picture).filename().native();
    ASSIGN_OR_RETURN(query.bytes, read_picture(options.picture));
  }
  query.request.headers.emplace_back("Content-Type", "application/octet-stream");
  query.request.body = query.bytes;
  return query;
}

/// Names only, one a line or ended by NUL: hits above the cut-off, for other programs.
void print_paths(const Json& hits, bool zero) {
  std::string out;
  for (const Json& hit : hits) {
    if (!hit.value("above_cutoff", true)) continue;
    const std::string path = path_of(hit);
    out += path.empty() ? text_of(hit, "name") : path;
    out += zero ? '\0' : '\n';
  }
  print_out(out);
}

}  // namespace

Result<int> run_search(Session& session, const SearchOptions& options, const Hooks& hooks) {
  if (options.show && (session.options().json || options.paths || options.zero)) {
    return Error(ErrorCode::invalid_argument,
                 "--show draws for people, --json, --paths and -0 are for programs",
                 "Leave out one of them.");
  }
  ASSIGN_OR_RETURN(const Query query, make_query(session, options));
  auto found = session.call(query.request);
  if (!found.ok()) {
    Error error = std::move(found).error();
    // "unreadable" alone does not say which file.
    const bool about_picture = exit_code(error.code) == kExitUnreadable;
    return about_picture ? error.with_context("cannot search by " + query.name) : error;
  }
  const Json& answer = *found;
  const std::string stored_name = text_of(answer.value("query", Json::object()), "name");
  const std::string shown = query.bytes.empty() && !stored_name.empty() ? stored_name : query.name;
  const Json& hits = answer["hits"];
  const bool any = count_of(answer, "above_cutoff_count") > 0 && !hits.empty();
  const int code = any ? kExitOk : kExitNoMatch;

  if (session.options().json) {
    print_json(answer);
  } else if (options.paths || options.zero) {
    print_paths(hits, options.zero);
  } else if (!any) {
    print_out(render_no_match(answer, session.out()));
  } else {
    print_out(render_search(answer, shown, session.out(), session.out().is_terminal));
  }
  if (!options.html.empty() || options.open) {
    ASSIGN_OR_RETURN(const std::string file,
                     write_contact_sheet(session, answer, shown, query.bytes, options.html));
    if (!session.options().quiet) print_err("Written: " + printable(file) + "\n");
    // The hits are the answer; a machine without a desktop has given it all the same.
    if (options.open) {
      if (const Status opened = open_in_browser(file); !opened.ok())
        print_err(error_text(opened.error(), session.err()));
    }
  }
  if (options.show && !hits.empty()) TRY(show_pictures(session, answer, query.bytes, hooks));
  return code;
}

}  // namespace similis::cli
