#pragma once

#include <string>
#include <string_view>

namespace similis {

/// How this process signs its leases: "host:pid:start", where start is the process's start time in
/// clock ticks and the machine's boot, so that a later process of the same pid is told apart.
std::string own_job_owner();

/// True when `owner` was a process on this machine that lives no more. An owner elsewhere, or of
/// another form, may be alive: its lease decides.
bool job_owner_is_dead(std::string_view owner);

}  // namespace similis
