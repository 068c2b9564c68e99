#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "cli/follow_job.h"
#include "cli/print.h"
#include "cli/progress_view.h"
#include "cli/render_job.h"
#include "cli/text.h"
#include "wire/error_table.h"
#include "wire/requests.h"

namespace similis::cli {
namespace {

constexpr std::int64_t kFailuresShown = 10;

Result<std::string> absolute_archive(const std::string& file) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(file, error);
  if (error) {
    return Error(ErrorCode::not_found, "cannot import " + file + ": " + error.message(),
                 "Give an archive that exists and can be read.");
  }
  if (std::filesystem::is_directory(path, error)) {
    return Error(
        ErrorCode::invalid_argument, "cannot import " + file + ": it is a folder",
        "Folders are indexed where they are: " + command_name() + " index " + shell_word(file));
  }
  return path.native();
}

/// The file need not be there yet, its folder must be.
Result<std::string> absolute_new_file(const std::string& file) {
  std::error_code error;
  const std::filesystem::path path(file);
  if (path.filename().empty()) {
    return Error(ErrorCode::invalid_argument, "cannot export to " + file + ": it is a folder",
                 "Name the file to write: " + file + "pictures.tar");
  }
  const auto folder = std::filesystem::canonical(
      path.has_parent_path() ? path.parent_path() : std::filesystem::path("."), error);
  if (error) {
    return Error(ErrorCode::not_found, "cannot export to " + file + ": " + error.message(),
                 "Give a folder that exists.");
  }
  return (folder / path.filename()).native();
}

/// The first failures with their reasons.
Status print_failed(Session& session, const Json& job) {
  const std::int64_t failed = count_of(job["counters"], "failed");
  if (failed == 0) return {};
  auto page =
      session.call("GET", job_target(job) + "/failures?limit=" + std::to_string(kFailuresShown));
  print_out(session.out().red("  failed  " + pad_left(grouped(failed), 6)) + "\n");
  // Another process may have done the work, and have taken the reasons with it.
  if (!page.ok() && page.error().code == ErrorCode::gone) return {};
  if (!page.ok()) return std::move(page).error();
  for (const Json& failure : (*page)["failures"]) {
    print_out(shorten_end("    " + printable(text_of(failure, "name")) + "  " +
                              printable(text_of(failure, "reason")),
                          session.out().columns, session.out().utf8) +
              "\n");
  }
  if (failed > kFailuresShown) print_out("    ...\n");
  return {};
}

std::string taken_in(const Json& job, const Terminal& terminal) {
  const Json& counters = job["counters"];
  std::string line = "Imported " + counted(count_of(counters, "ready"), "picture", "pictures");
  if (const std::int64_t n = count_of(counters, "unchanged"); n > 0)
    line += std::string(terminal.dot()) + grouped(n) + " there already";
  if (const std::int64_t n = count_of(counters, "skipped"); n > 0)
    line += std::string(terminal.dot()) + grouped(n) + " skipped, not pictures";
  return line;
}

std::string written(const Json& job, const Terminal& terminal) {
  const std::string file = text_of(job, "root");
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path_of(job, "root"), error);
  std::string line = "Exported " +
                     counted(count_of(job["counters"], "ready"), "picture", "pictures") +
                     (text_of(job, "kind") == "export" ? "" : " without their files");
  if (!error)
    line += std::string(terminal.dot()) + bytes_text(static_cast<std::int64_t>(bytes)) + " in ";
  const std::size_t used = display_width(line);
  return line + shorten_middle(printable(below_home(file)),
                               terminal.columns > used + 8 ? terminal.columns - used : 8,
                               terminal.utf8);
}

}  // namespace

Result<int> watch_archive(Session& session, Json& job) {
  ProgressView view(session);
  auto followed = follow_job(session, job, [&](const Json& now) { view.show(now); });
  view.end();
  if (!followed.ok()) return std::move(followed).error();
  job = *std::move(followed);
  if (session.context().cancel.stop_requested() && !is_at_rest(job)) return leave_job(session, job);
  const std::string state = text_of(job, "state");
  if (session.options().json) print_json_line(job);
  if (state == "failed") return job_error(job);
  if (state != "done") {
    print_err("The " + std::string(text_of(job, "kind") == "import" ? "import" : "export") +
              " is " + state + ".\n");
    return kExitInterrupted;
  }
  if (session.options().json || session.options().quiet) return kExitOk;
  const bool is_import = text_of(job, "kind") == "import";
  const std::string line = is_import ? taken_in(job, session.out()) : written(job, session.out());
  print_out(shorten_end(line + (is_import ? std::string(session.out().dot()) +
                                                duration_text(number_of(job, "worked_s"))
                                          : ""),
                        session.out().columns, session.out().utf8) +
            "\n");
  TRY(print_failed(session, job));
  return kExitOk;
}

Result<int> run_import(Session& session, const ImportOptions& options) {
  std::vector<std::string> archives;
  for (const std::string& archive : options.archives) {
    ASSIGN_OR_RETURN(std::string path, absolute_archive(archive));
    archives.push_back(std::move(path));
  }
  ASSIGN_OR_RETURN(const std::string collection, session.collection_to_fill(options.collection));
  for (const std::string& archive : archives) {
    ApiRequest start;
    start.method = "POST";
    start.target = "/api/v1/collections/" + collection + "/builds";
    start.headers.emplace_back("Content-Type", "application/json");
    start.body = wire::build_request_json({.path = archive, .options = {}, .model = options.model});
    ASSIGN_OR_RETURN(Json job, session.call(start));
    ASSIGN_OR_RETURN(const int code, watch_archive(session, job));
    if (code != kExitOk) return code;
  }
  return kExitOk;
}

Result<int> run_export(Session& session, const ExportOptions& options) {
  ASSIGN_OR_RETURN(const std::string file, absolute_new_file(options.file));
  ASSIGN_OR_RETURN(const std::string collection, session.collection(options.collection));
  ApiRequest start;
  start.method = "POST";
  start.target = "/api/v1/collections/" + collection + "/export";
  start.headers.emplace_back("Content-Type", "application/json");
  start.body = wire::export_request_json({.path = file, .pictures = !options.no_pictures});
  ASSIGN_OR_RETURN(Json job, session.call(start));
  return watch_archive(session, job);
}

}  // namespace similis::cli
