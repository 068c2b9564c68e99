#include <charconv>
#include <filesystem>

#include "http/folder_permission.h"
#include "http/routes.h"
#include "wire/requests.h"
#include "wire/text.h"

namespace similis::http {

namespace {

constexpr std::int64_t kJobsMax = 1000;
constexpr std::int64_t kJobsDefault = 20;
constexpr std::int64_t kFailuresMax = 1000;
constexpr std::int64_t kFailuresDefault = 100;

/// A job's changes as server-sent events; ends after the event of a finished job.
class JobEvents : public EventStream {
 public:
  JobEvents(JobService& jobs, Job now, std::int64_t seen, Permissions permissions)
      : jobs_(jobs), job_(std::move(now)), seen_(seen), permissions_(permissions) {}

  std::optional<std::string> next(const std::stop_token& stop,
                                  std::chrono::milliseconds patience) override {
    if (ended_ || stop.stop_requested()) return std::nullopt;
    if (job_.version == seen_) {
      if (is_finished(job_.state)) return std::nullopt;
      Context ctx;
      ctx.cancel = stop;
      auto job = jobs_.wait(ctx, job_.id, seen_, patience);
      if (!job.ok()) {
        const ErrorCode code = job.error().code;
        if (code == ErrorCode::deadline_exceeded || code == ErrorCode::unavailable) return "";
        return std::nullopt;  // cancelled, or the job's row is gone with its collection
      }
      job_ = std::move(*job);
      if (job_.version == seen_) return "";
    }
    seen_ = job_.version;
    ended_ = is_finished(job_.state);
    return "id: " + std::to_string(seen_) +
           "\nevent: job\ndata: " + wire::to_json(job_doc(job_, permissions_)) + "\n\n";
  }

 private:
  JobService& jobs_;
  Job job_;
  std::int64_t seen_;
  const Permissions permissions_;
  bool ended_ = false;
};

Result<Response> accepted(Call& call, const StartedJob& started) {
  wire::StartedJobDoc doc;
  static_cast<wire::JobDoc&>(doc) = job_doc(started.job, call.permissions);
  doc.existed = started.existed;
  Response response = json_response(wire::to_json(doc), 202);
  response.headers.set("Location", "/api/v1/jobs/" + std::to_string(started.job.id));
  return response;
}

using Command = Result<Job> (JobService::*)(const Context&, JobId);

Result<Response> command(Deps& deps, Call& call, Command command) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 0));
  ASSIGN_OR_RETURN(const Job job, (deps.services.jobs.*command)(call.ctx, id));
  return json_response(wire::to_json(job_doc(job, call.permissions)));
}

/// The body is the data set: an archive of pictures.
Result<Response> start_import(Deps& deps, Call& call) {
  TRY(only_parameters(call, {"model"}));
  const std::string* model = call.target.parameter("model");
  const auto read = [&call](std::uint64_t offset, std::span<std::byte> out) {
    return call.body.read(offset, out);
  };
  ASSIGN_OR_RETURN(
      const StartedJob started,
      deps.services.jobs.start_import(call.ctx, call.captures[0], read, model ? *model : ""));
  deps.facts.forget(call.captures[0]);
  return accepted(call, started);
}

Result<bool> bool_parameter(const Call& call, std::string_view name) {
  const std::string* text = call.target.parameter(name);
  if (!text) return false;
  return wire::read_bool(name, *text);
}

Response failure_page(const Call& call, const std::vector<ImageRow>& rows,
                      const std::string& next_cursor, const CollectionFacts& facts) {
  const View view{call.permissions, facts};
  wire::FailurePageDoc doc;
  for (const ImageRow& row : rows) doc.failures.push_back(failure_doc(row, view));
  if (!next_cursor.empty()) doc.next_cursor = next_cursor;
  return json_response(wire::to_json(doc));
}

}  // namespace

Result<Response> start_build(Deps& deps, Call& call) {
  if (media_type(call.head) != "application/json") return start_import(deps, call);
  TRY(only_parameters(call, {}));
  if (call.body.size() > kJsonBytesMax) {
    return Error(ErrorCode::too_large, "the JSON of a build has more than a mebibyte",
                 "To send an archive, name its type: `Content-Type: application/zip`.");
  }
  ASSIGN_OR_RETURN(const std::string json, json_body(call));
  ASSIGN_OR_RETURN(const wire::BuildRequest request, wire::read_build_request(json));
  ASSIGN_OR_RETURN(const BuildSource source, build_source(request.path, deps.options.index_roots,
                                                          call.permissions.any_folder));
  if (!source.is_folder && request.options != BuildOptions{}) {
    return Error(ErrorCode::invalid_argument, "hidden, watch and retry_failed are for folders",
                 "Leave them out for an archive.");
  }
  JobService& jobs = deps.services.jobs;
  auto started = source.is_folder
                     ? jobs.start_build(call.ctx, call.captures[0], source.path, request.options,
                                        request.model)
                     : jobs.start_import(call.ctx, call.captures[0], source.path, request.model);
  if (!started.ok()) return std::move(started).error();
  deps.facts.forget(call.captures[0]);
  return accepted(call, *started);
}

Result<Response> start_export(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::string json, json_body(call));
  ASSIGN_OR_RETURN(const wire::ExportRequest request, wire::read_export_request(json));
  ASSIGN_OR_RETURN(
      const StartedJob started,
      deps.services.jobs.start_export(call.ctx, call.captures[0], request.path, request.pictures));
  return accepted(call, started);
}

Result<Response> start_verify(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const StartedJob started,
                   deps.services.jobs.start_verify(call.ctx, call.captures[0]));
  return accepted(call, started);
}

Result<Response> list_jobs(Deps& deps, Call& call) {
  TRY(only_parameters(call, {"collection", "unfinished", "limit"}));
  ASSIGN_OR_RETURN(const std::int64_t limit,
                   whole_parameter(call, "limit", 1, kJobsMax, kJobsDefault));
  ASSIGN_OR_RETURN(const bool unfinished, bool_parameter(call, "unfinished"));
  const std::string* collection = call.target.parameter("collection");
  if (collection) TRY(check_collection_name(*collection));
  const bool selects = unfinished || collection;
  ASSIGN_OR_RETURN(
      const auto jobs,
      deps.services.jobs.list(call.ctx, static_cast<std::size_t>(selects ? kJobsMax : limit)));
  wire::JobListDoc doc;
  for (const Job& job : jobs) {
    if (static_cast<std::int64_t>(doc.jobs.size()) == limit) break;
    if (collection && job.collection_name != *collection) continue;
    if (unfinished && is_finished(job.state)) continue;
    doc.jobs.push_back(job_doc(job, call.permissions));
  }
  return json_response(wire::to_json(doc));
}

Result<Response> get_job(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 0));
  ASSIGN_OR_RETURN(const Job job, deps.services.jobs.get(call.ctx, id));
  wire::JobDoc doc = job_doc(job, call.permissions);
  if (job.kind == JobKind::verify && job.state == JobState::done) {
    // Kept by the process that did the work; a later one knows only how many there were.
    auto findings = deps.services.jobs.findings(call.ctx, id);
    if (!findings.ok() && findings.error().code != ErrorCode::gone) return findings.error();
    if (findings.ok()) {
      doc.findings = std::move(*findings);
      if (!call.permissions.see_paths) {
        for (std::string& finding : *doc.findings) finding = without_paths(finding);
      }
    }
  }
  return json_response(wire::to_json(doc));
}

Result<Response> follow_job(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 0));
  std::int64_t seen = -1;
  if (const std::string* last = call.head.headers.find("Last-Event-ID")) {
    ASSIGN_OR_RETURN(seen, wire::read_whole("Last-Event-ID", *last, 0, kIdMax));
  }
  ASSIGN_OR_RETURN(Job job, deps.services.jobs.get(call.ctx, id));
  Response response;
  if (is_finished(job.state) && seen >= job.version) {
    response.status = 204;  // tells a browser's EventSource not to come back
    return response;
  }
  response.headers.set("Content-Type", "text/event-stream");
  response.stream =
      std::make_unique<JobEvents>(deps.services.jobs, std::move(job), seen, call.permissions);
  return response;
}

Result<Response> pause_job(Deps& deps, Call& call) {
  return command(deps, call, &JobService::pause);
}
Result<Response> resume_job(Deps& deps, Call& call) {
  return command(deps, call, &JobService::resume);
}
Result<Response> cancel_job(Deps& deps, Call& call) {
  return command(deps, call, &JobService::cancel);
}

Result<Response> list_failures(Deps& deps, Call& call) {
  TRY(only_parameters(call, {"cursor", "limit"}));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 0));
  ASSIGN_OR_RETURN(const std::int64_t limit,
                   whole_parameter(call, "limit", 1, kFailuresMax, kFailuresDefault));
  const std::string* cursor = call.target.parameter("cursor");
  ASSIGN_OR_RETURN(const Job job, deps.services.jobs.get(call.ctx, id));
  ASSIGN_OR_RETURN(const FailurePage page,
                   deps.services.jobs.failures(call.ctx, id, static_cast<std::size_t>(limit),
                                               cursor ? *cursor : ""));
  ASSIGN_OR_RETURN(const auto facts, deps.facts.get(call.ctx, job.collection_name));
  return failure_page(call, page.rows, page.next_cursor, *facts);
}

Result<Response> list_collection_failures(Deps& deps, Call& call) {
  TRY(only_parameters(call, {"cursor", "limit"}));
  ASSIGN_OR_RETURN(const std::int64_t limit,
                   whole_parameter(call, "limit", 1, kFailuresMax, kFailuresDefault));
  const std::string* cursor = call.target.parameter("cursor");
  ASSIGN_OR_RETURN(
      const ListPage page,
      deps.services.library.list_failures(call.ctx, call.captures[0],
                                          static_cast<std::size_t>(limit), cursor ? *cursor : ""));
  ASSIGN_OR_RETURN(const auto facts, deps.facts.get(call.ctx, call.captures[0]));
  return failure_page(call, page.rows, page.next_cursor, *facts);
}

Result<Response> retry_failures(Deps& deps, Call& call) {
  TRY(only_parameters(call, {}));
  ASSIGN_OR_RETURN(const std::int64_t id, id_capture(call, 0));
  ASSIGN_OR_RETURN(const Job job, deps.services.jobs.get(call.ctx, id));
  if (job.kind != JobKind::build) {
    return Error(ErrorCode::conflict, "job " + std::to_string(id) + " is not about a folder",
                 "Retry the job that indexed the folder.");
  }
  BuildOptions options = job.options;
  options.retry_failed = true;
  options.watch = false;
  ASSIGN_OR_RETURN(
      const StartedJob started,
      deps.services.jobs.start_build(call.ctx, job.collection_name, job.root, options, ""));
  return accepted(call, started);
}

}  // namespace similis::http
