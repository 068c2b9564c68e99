#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/commands.h"
#include "cli/follow_job.h"
#include "cli/print.h"
#include "cli/render_job.h"
#include "cli/render_status.h"
#include "cli/text.h"
#include "core/collection.h"
#include "wire/archive.h"
#include "wire/error_table.h"

namespace similis::cli {
namespace {

constexpr std::size_t kFailuresShown = 100;

/// Every failed file of the collection, of whichever folder.
Result<Json> all_failures(Session& session, const std::string& collection) {
  Json failures = Json::array();
  std::string cursor;
  do {
    std::string target = "/api/v1/collections/" + collection + "/failures?limit=1000";
    if (!cursor.empty()) target += "&cursor=" + percent_encoded(cursor);
    ASSIGN_OR_RETURN(Json page, session.call("GET", target));
    for (Json& failure : page["failures"]) failures.push_back(std::move(failure));
    cursor = text_of(page, "next_cursor");
  } while (!cursor.empty());
  return failures;
}

/// One line to copy for each indexed folder that a failed file lies in.
std::vector<std::string> retry_lines(const Json& folders, const Json& failures,
                                     const std::string& collection_option) {
  std::vector<std::string> out;
  for (const Json& folder : folders) {
    const std::string root = path_of(folder);
    if (root.empty()) continue;
    const std::string below = root.ends_with('/') ? root : root + "/";
    const bool concerned = std::any_of(failures.begin(), failures.end(), [&](const Json& failure) {
      return path_of(failure).starts_with(below);
    });
    if (concerned) {
      out.push_back(command_name() + " index --retry-failed " + collection_option +
                    shell_word(root));
    }
  }
  return out;
}

Result<int> print_failures(Session& session, const StatusOptions& options) {
  ASSIGN_OR_RETURN(const std::string collection, session.collection(options.collection));
  ASSIGN_OR_RETURN(const Json shown, session.call("GET", "/api/v1/collections/" + collection));
  ASSIGN_OR_RETURN(Json failures, all_failures(session, collection));
  const Json counts = shown.value("counts", Json::object());
  const std::int64_t failed = count_of(counts, "failed");
  if (session.options().json) {
    print_json(Json{{"collection", collection}, {"failed", failed}, {"failures", failures}});
    return kExitOk;
  }
  const std::string option = options.collection.empty() ? "" : "--collection " + collection + " ";
  const auto retry = retry_lines(shown.value("folders", Json::array()), failures, option);
  const std::size_t total = failures.size();
  if (total > kFailuresShown) {
    failures.erase(failures.begin() + static_cast<std::ptrdiff_t>(kFailuresShown), failures.end());
  }
  print_out(
      render_failures(failures, failed, failed + count_of(counts, "ready"), retry, session.out()));
  if (total > kFailuresShown) {
    print_out("  " + grouped(static_cast<std::int64_t>(total - kFailuresShown)) +
              " more: " + command_name() + " status --failures --json\n");
  }
  return kExitOk;
}

}  // namespace

Result<int> run_status(Session& session, const StatusOptions& options) {
  if (options.failures) return print_failures(session, options);
  if (!options.collection.empty()) TRY(check_collection_name(options.collection));
  ASSIGN_OR_RETURN(Json status, session.call("GET", "/api/v1/status"));
  if (!options.collection.empty()) {
    Json kept = Json::array();
    for (const Json& collection : status["collections"])
      if (text_of(collection, "name") == options.collection) kept.push_back(collection);
    if (kept.empty()) {
      // The API knows the nearest name.
      ASSIGN_OR_RETURN([[maybe_unused]] const Json found,
                       session.call("GET", "/api/v1/collections/" + options.collection));
    }
    status["collections"] = kept;
  }
  if (session.options().json) {
    print_json(status);
  } else {
    print_out(render_status(status, session.out()));
  }
  return kExitOk;
}

namespace {

/// Follows a verify job to its end: the finished job with its findings; null when interrupted.
Result<Json> verified(Session& session, Json job) {
  ASSIGN_OR_RETURN(job, follow_job(session, std::move(job), nullptr));
  if (session.context().cancel.stop_requested() && !is_at_rest(job)) {
    ASSIGN_OR_RETURN([[maybe_unused]] const int code, leave_job(session, job));
    return Json();
  }
  if (text_of(job, "state") == "failed") return job_error(job);
  if (text_of(job, "state") != "done") {
    return Error(ErrorCode::cancelled, "the check was " + text_of(job, "state"),
                 "Start it again: " + command_name() + " verify");
  }
  const std::int64_t found = count_of(job["counters"], "failed");
  ASSIGN_OR_RETURN(job, session.call("GET", job_target(job)));
  if (found > 0 && !job.contains("findings")) {
    return Error(ErrorCode::unavailable,
                 "the check found " + counted(found, "thing", "things") +
                     ", which only the process that made it knew in words",
                 "Start it again: " + command_name() + " verify");
  }
  return job;
}

int print_verified(Session& session, const Json& jobs) {
  std::int64_t found = 0;
  for (const Json& job : jobs) {
    for (const Json& finding : job.value("findings", Json::array())) {
      ++found;
      if (session.options().json) continue;
      const std::string text =
          finding.is_string() ? finding.get<std::string>() : wire::to_text(finding);
      print_out(list_item(printable(text), session.out().columns) + "\n");
    }
  }
  if (session.options().json) {
    print_json(Json{{"jobs", jobs}});
  } else {
    print_out(found == 0 ? "Everything stored is as it was written.\n"
                         : counted(found, "finding", "findings") + ".\n");
  }
  return found == 0 ? kExitOk : kExitNoMatch;
}

/// Works on a job in this process, which is what resuming means where no server does it.
Result<int> carry_on(Session& session, Json job) {
  if (text_of(job, "kind") == "build")
    return watch_build(session, job, false, FollowUntil::at_rest);
  if (text_of(job, "kind") != "verify") return watch_archive(session, job);
  ASSIGN_OR_RETURN(job, verified(session, std::move(job)));
  if (job.is_null()) return kExitInterrupted;
  return print_verified(session, Json::array({std::move(job)}));
}

}  // namespace

Result<int> run_verify(Session& session) {
  ASSIGN_OR_RETURN(const Json answer, session.call("GET", "/api/v1/collections"));
  Json jobs = Json::array();
  for (const Json& collection : answer["collections"]) {
    ASSIGN_OR_RETURN(Json job, session.call("POST", "/api/v1/collections/" +
                                                        text_of(collection, "name") + "/verify"));
    ASSIGN_OR_RETURN(job, verified(session, std::move(job)));
    if (job.is_null()) return kExitInterrupted;
    jobs.push_back(std::move(job));
  }
  return print_verified(session, jobs);
}

Result<int> run_jobs(Session& session, const std::string& action, const std::string& id) {
  if (!action.empty()) {
    ASSIGN_OR_RETURN(const Json job,
                     session.call("POST", "/api/v1/jobs/" + percent_encoded(id) + "/" + action));
    if (action == "resume" && !session.transport().is_remote()) return carry_on(session, job);
    if (session.options().json) {
      print_json(job);
    } else if (!session.options().quiet) {
      print_out("Job " + id + " is " + text_of(job, "state") + ".\n");
    }
    return kExitOk;
  }
  ASSIGN_OR_RETURN(const Json answer, session.call("GET", "/api/v1/jobs?limit=20"));
  if (session.options().json) {
    print_json(answer);
    return kExitOk;
  }
  if (answer["jobs"].empty()) print_out("No jobs yet.\n");
  for (const Json& job : answer["jobs"]) {
    std::string line = pad_left(text_of(job, "id"), 5) + "  " + pad_right(job_word(job), 7) +
                       pad_right(text_of(job, "state"), 10) + render_progress_plain(job);
    if (const std::string root = text_of(job, "root"); !root.empty())
      line += "  " + printable(root);
    print_out(shorten_end(line, session.out().columns, session.out().utf8) + "\n");
  }
  return kExitOk;
}

Result<int> run_collections(Session& session, const std::string& remove, bool yes) {
  if (!remove.empty()) {
    ASSIGN_OR_RETURN(const Json shown,
                     session.call("GET", "/api/v1/collections/" + percent_encoded(remove)));
    if (!yes) {
      const std::int64_t ready = count_of(shown.value("counts", Json::object()), "ready");
      return Error(ErrorCode::invalid_argument,
                   "this takes " + counted(ready, "picture", "pictures") +
                       " out of the index, and deletes uploads",
                   "Pictures in your folders stay. If you mean it, add --yes.");
    }
    ASSIGN_OR_RETURN([[maybe_unused]] const Json gone,
                     session.call("DELETE", "/api/v1/collections/" + percent_encoded(remove)));
    if (!session.options().quiet && !session.options().json)
      print_out("Deleted collection " + remove + ".\n");
    return kExitOk;
  }
  ASSIGN_OR_RETURN(const Json answer, session.call("GET", "/api/v1/collections"));
  if (session.options().json) {
    print_json(answer);
    return kExitOk;
  }
  if (answer["collections"].empty()) print_out("No collections yet: similis index DIR\n");
  std::size_t widest = 0;
  for (const Json& c : answer["collections"]) widest = std::max(widest, text_of(c, "name").size());
  for (const Json& c : answer["collections"]) {
    const Json counts = c.value("counts", Json::object());
    std::string line = pad_right(text_of(c, "name"), widest) + "  " +
                       pad_left(grouped(count_of(counts, "ready")), 9) + " ready";
    if (count_of(counts, "failed") > 0)
      line += std::string(session.out().dot()) + grouped(count_of(counts, "failed")) + " failed";
    if (c.contains("model") && c["model"].is_object()) {
      line += std::string(session.out().dot()) + printable(text_of(c["model"], "name"));
    }
    print_out(shorten_end(line, session.out().columns, session.out().utf8) + "\n");
  }
  return kExitOk;
}

Result<int> run_models(Session& session) {
  ASSIGN_OR_RETURN(const Json answer, session.call("GET", "/api/v1/models"));
  if (session.options().json) {
    print_json(answer);
    return kExitOk;
  }
  for (const Json& model : answer["models"]) {
    std::string line =
        printable(text_of(model, "name")) + " " + printable(text_of(model, "version")) +
        std::string(session.out().dot()) + std::to_string(count_of(model, "dimensions")) + "-d" +
        std::string(session.out().dot()) + std::to_string(count_of(model, "input_width")) + " px" +
        std::string(session.out().dot()) + printable(text_of(model, "licence"));
    if (model.value("default", false)) line += std::string(session.out().dot()) + "default";
    print_out(shorten_end(line, session.out().columns, session.out().utf8) + "\n");
    if (const std::string problem = text_of(model, "problem"); !problem.empty()) {
      print_out(session.out().red(shorten_end("  " + printable(problem), session.out().columns,
                                              session.out().utf8)) +
                "\n");
    }
  }
  return kExitOk;
}

Result<int> run_keys_create(Session& session, const std::string& name) {
  const Json body{{"name", name}};
  ASSIGN_OR_RETURN(const Json key, session.call("POST", "/api/v1/keys", &body));
  if (session.options().json) {
    print_json(key);
  } else {
    print_out(text_of(key, "key") + "\n");
    if (!session.options().quiet) print_err("Keep it: it is not shown again.\n");
  }
  return kExitOk;
}

Result<int> run_keys_list(Session& session) {
  ASSIGN_OR_RETURN(const Json answer, session.call("GET", "/api/v1/keys"));
  if (session.options().json) {
    print_json(answer);
    return kExitOk;
  }
  if (answer["keys"].empty()) print_out("No keys yet: similis keys create NAME\n");
  for (const Json& key : answer["keys"]) {
    const std::string used = text_of(key, "last_used_at");
    print_out(shorten_end(pad_left(text_of(key, "id"), 4) + "  " + text_of(key, "prefix") + "…  " +
                              printable(text_of(key, "name")) + "  made " +
                              text_of(key, "created_at").substr(0, 10) +
                              (used.empty() ? ", never used" : ", used " + used.substr(0, 10)),
                          session.out().columns, session.out().utf8) +
              "\n");
  }
  return kExitOk;
}

Result<int> run_keys_delete(Session& session, const std::string& id) {
  ASSIGN_OR_RETURN([[maybe_unused]] const Json gone,
                   session.call("DELETE", "/api/v1/keys/" + percent_encoded(id)));
  if (!session.options().quiet && !session.options().json)
    print_out("Key " + id + " no longer opens anything.\n");
  return kExitOk;
}

int print_config(const Json& config, const GlobalOptions& options, const Terminal& terminal) {
  if (options.json) {
    print_json(config);
    return kExitOk;
  }
  std::size_t key_columns = 0, value_columns = 0;
  for (const Json& row : config["values"]) {
    key_columns = std::max(key_columns, text_of(row, "key").size());
    value_columns = std::max(value_columns, display_width(printable(text_of(row, "value"))));
  }
  const std::size_t source_columns = 14;
  const std::size_t room =
      terminal.columns - std::min(terminal.columns - 20, key_columns + 2 + source_columns + 2);
  value_columns = std::min(value_columns, std::max<std::size_t>(room, 10));
  for (const Json& row : config["values"]) {
    const std::string line =
        pad_right(text_of(row, "key"), key_columns) + "  " +
        pad_right(shorten_middle(printable(text_of(row, "value")), value_columns, terminal.utf8),
                  value_columns) +
        "  " + terminal.dim(printable(text_of(row, "source")));
    print_out(terminal.colour ? line + "\n"
                              : shorten_end(line, terminal.columns, terminal.utf8) + "\n");
  }
  return kExitOk;
}

int print_doctor(const Json& checks, const GlobalOptions& options, const Terminal& terminal) {
  bool healthy = true;
  for (const Json& check : checks["checks"])
    healthy = healthy && text_of(check, "state") != "problem";
  if (options.json) {
    print_json(checks);
    return healthy ? kExitOk : kExitEnvironment;
  }
  std::size_t widest = 0;
  for (const Json& check : checks["checks"])
    widest = std::max(widest, text_of(check, "name").size());
  for (const Json& check : checks["checks"]) {
    const std::string state = text_of(check, "state");
    const std::string mark = state == "ok"     ? terminal.green(terminal.utf8 ? "✓" : "ok")
                             : state == "note" ? terminal.yellow(terminal.utf8 ? "·" : "--")
                                               : terminal.red(terminal.utf8 ? "✗" : "!!");
    const std::size_t left = widest + (terminal.utf8 ? 4 : 5);
    const std::size_t room = terminal.columns - left;
    auto block = [&](const std::string& text) {
      std::string lines = wrapped(printable(text), room), out;
      for (std::size_t at = 0, end = 0; end != std::string::npos; at = end + 1) {
        end = lines.find('\n', at);
        out += (at == 0 ? "" : "\n" + std::string(left, ' ')) + lines.substr(at, end - at);
      }
      return out;
    };
    print_out(mark + " " + pad_right(text_of(check, "name"), widest) + "  " +
              block(text_of(check, "detail")) + "\n");
    if (const std::string advice = text_of(check, "advice"); !advice.empty()) {
      print_out(std::string(left, ' ') + terminal.dim(block(advice)) + "\n");
    }
  }
  return healthy ? kExitOk : kExitEnvironment;
}

}  // namespace similis::cli
