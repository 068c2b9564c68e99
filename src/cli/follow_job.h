#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cli/session.h"

namespace similis::cli {

/// Whether a job in this state goes no further by itself.
bool is_at_rest(const Json& job);

/// Where to stop following a job whose folder goes on being watched.
enum class FollowUntil : std::uint8_t { at_rest, up_to_date };

/// Follows the job until it comes to rest (or its folder is up to date) or the user interrupts; the
/// last state seen, every one of which `on_job` gets. When the process that works on it ends first,
/// whoever answers then is asked to go on. unavailable when nobody does.
Result<Json> follow_job(Session& session, Json job, const std::function<void(const Json&)>& on_job,
                        FollowUntil until = FollowUntil::at_rest);

/// ^C while a job was followed: a server's run goes on without us; any other is paused, and taken
/// up by the same command. The exit code.
Result<int> leave_job(Session& session, const Json& job);

/// The error a failed job ended with.
Error job_error(const Json& job);

/// "/api/v1/jobs/17".
std::string job_target(const Json& job);

}  // namespace similis::cli
