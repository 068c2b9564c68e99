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

Result<std::string> absolute_folder(const std::string& folder) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(folder, error);
  if (error) {
    return Error(ErrorCode::not_found, "cannot index " + folder + ": " + error.message(),
                 "Give a folder that exists and can be read.");
  }
  if (!std::filesystem::is_directory(path, error)) {
    return Error(ErrorCode::invalid_argument, "cannot index " + folder + ": it is a file",
                 "Give the folder it is in; search for a picture with `similis search`, and take "
                 "an archive in with `similis import`.");
  }
  return path.native();
}

/// What stands under the figures: sizes and skipped types come from the status, which knows the
/// whole.
Result<int> finish(Session& session, const Json& job, const std::string& collection, bool named) {
  if (session.options().json) {
    print_json_line(job);
  }
  if (text_of(job, "state") == "failed") {
    return job_error(job);
  }
  if (text_of(job, "state") == "cancelled") {
    print_err("Cancelled. What was indexed stays and can be searched.\n");
    return kExitInterrupted;
  }
  if (text_of(job, "state") == "paused") {
    print_err("Paused. Go on: " + command_name() + " jobs resume " + text_of(job, "id") + "\n");
    return kExitInterrupted;
  }
  if (session.options().json || session.options().quiet) return kExitOk;
  ASSIGN_OR_RETURN(const Json status, session.call("GET", "/api/v1/status"));
  BuildSummary summary;
  summary.job = job;
  summary.data_dir = text_of(status, "data_dir");
  summary.bytes_on_disk = count_of(status.value("disk", Json::object()), "used_bytes");
  if (named) summary.collection = collection;
  Json skipped = Json::array();
  for (const Json& entry : status.value("collections", Json::array())) {
    if (text_of(entry, "name") != collection) continue;
    summary.ready_total = count_of(entry.value("counts", Json::object()), "ready");
    skipped = entry.value("skipped", Json::array());
  }
  print_out(render_build_summary(summary, skipped, session.out()));
  if (job.value("following", false)) {
    print_err("The folder goes on being watched by job " + text_of(job, "id") + ".\n");
  }
  return kExitOk;
}

}  // namespace

Result<int> watch_build(Session& session, Json& job, bool named, FollowUntil until) {
  ProgressView view(session);
  auto followed = follow_job(session, job, [&](const Json& now) { view.show(now); }, until);
  view.end();
  if (!followed.ok()) return std::move(followed).error();
  job = *std::move(followed);
  if (session.context().cancel.stop_requested() && !is_at_rest(job)) return leave_job(session, job);
  return finish(session, job, text_of(job, "collection"), named);
}

Result<int> run_index(Session& session, const IndexOptions& options) {
  std::vector<std::string> folders;
  for (const std::string& folder : options.folders) {
    ASSIGN_OR_RETURN(std::string path, absolute_folder(folder));
    folders.push_back(std::move(path));
  }
  ASSIGN_OR_RETURN(const std::string collection, session.collection_to_fill(options.collection));
  int code = kExitOk;
  std::int64_t failed = 0;
  for (const std::string& folder : folders) {
    ApiRequest start;
    start.method = "POST";
    start.target = "/api/v1/collections/" + collection + "/builds";
    start.headers.emplace_back("Content-Type", "application/json");
    start.body = wire::build_request_json({.path = folder,
                                           .options = {.hidden = options.hidden,
                                                       .retry_failed = options.retry_failed,
                                                       .watch = options.watch},
                                           .model = options.model});
    ASSIGN_OR_RETURN(Json job, session.call(start));
    if (!session.options().json && !session.options().quiet && session.err().is_terminal) {
      print_err(shorten_middle("Collection " + collection + std::string(session.err().dot()) +
                                   printable(below_home(folder)),
                               session.err().columns, session.err().utf8) +
                "\n");
    }
    ASSIGN_OR_RETURN(code,
                     watch_build(session, job, !options.collection.empty(),
                                 options.watch ? FollowUntil::at_rest : FollowUntil::up_to_date));
    failed += count_of(job["counters"], "failed");
    if (code != kExitOk) return code;
  }
  return options.strict && failed > 0 ? kExitNoMatch : code;
}

}  // namespace similis::cli
