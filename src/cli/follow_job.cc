#include "cli/follow_job.h"

#include <chrono>
#include <thread>

#include "cli/print.h"
#include "cli/text.h"
#include "wire/error_table.h"

namespace similis::cli {
namespace {

constexpr std::chrono::seconds kPauseWait{10};
constexpr std::chrono::milliseconds kLookAgain{100};

}  // namespace

std::string job_target(const Json& job) {
  return "/api/v1/jobs/" + text_of(job, "id");
}

bool is_at_rest(const Json& job) {
  const std::string state = text_of(job, "state");
  return state == "done" || state == "failed" || state == "cancelled" || state == "paused";
}

Error job_error(const Json& job) {
  const Json error = job.value("error", Json::object());
  return {error_code_from_name(text_of(error, "code")), text_of(error, "detail"),
          text_of(error, "hint")};
}

Result<Json> follow_job(Session& session, Json job, const std::function<void(const Json&)>& on_job,
                        FollowUntil until) {
  const auto is_over = [&](const Json& now) {
    return is_at_rest(now) || (until == FollowUntil::up_to_date && now.value("following", false));
  };
  const auto take = [&](Json fresh) {
    job = std::move(fresh);
    if (on_job) on_job(job);
  };
  ApiRequest request;
  request.target = job_target(job) + "/events";
  request.headers.emplace_back("Accept", "text/event-stream");
  for (;;) {
    const auto head =
        session.transport().stream(session.context(), request, [&](const ServerSentEvent& event) {
          if (event.event != "job") return true;
          Json parsed = Json::parse(event.data, nullptr, false);
          if (!parsed.is_discarded()) take(std::move(parsed));
          return !is_over(job);
        });
    if (session.context().cancel.stop_requested()) return job;
    if (!head.ok() && head.error().code != ErrorCode::unavailable) return head.error();
    if (head.ok() && head->status != 200 && head->status != 204) return error_of(*head);
    if (is_over(job)) return job;
    // The stream has ended before the job. Whoever answers now, this process perhaps, works on what
    // it is asked for.
    std::this_thread::sleep_for(kLookAgain);
    auto fresh = session.call("GET", job_target(job));
    if (fresh.ok() && !is_over(*fresh)) fresh = session.call("POST", job_target(job) + "/resume");
    if (session.context().cancel.stop_requested()) return job;
    if (!fresh.ok() && fresh.error().code == ErrorCode::conflict)
      fresh = session.call("GET", job_target(job));  // it has come to rest this moment
    if (!fresh.ok()) return fresh.error().with_context("job " + text_of(job, "id"));
    take(*std::move(fresh));
    if (is_over(job)) return job;
  }
}

Result<int> leave_job(Session& session, const Json& job) {
  if (session.transport().is_remote()) {
    print_err("Still running in the server. Cancel it: " + command_name() + " jobs cancel " +
              text_of(job, "id") + "\n");
    return kExitInterrupted;
  }
  session.set_context(Context{}.with_timeout(kPauseWait));
  ASSIGN_OR_RETURN(Json paused, session.call("POST", job_target(job) + "/pause"));
  // The answer comes before the batch under way is stored: wait for the final figures.
  const auto until = Context::Clock::now() + kPauseWait;
  while (Context::Clock::now() < until) {
    auto fresh = session.call("GET", job_target(job));
    if (!fresh.ok()) break;
    const bool settled = text_of(*fresh, "state") == "paused" &&
                         count_of(*fresh, "version") == count_of(paused, "version");
    paused = std::move(*fresh);
    if (settled) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  const Json& counters = paused["counters"];
  print_err("Paused at " + grouped(count_of(counters, "done")) + " of " +
            grouped(count_of(counters, "found")) +
            (text_of(job, "kind") == "build" || text_of(job, "kind") == "import"
                 ? ". Those can be searched; the same command goes on.\n"
             : text_of(job, "kind") == "verify" ? ". The same command goes on.\n"
                                                : ". The same command begins again.\n"));
  return kExitInterrupted;
}

}  // namespace similis::cli
