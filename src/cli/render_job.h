#pragma once

#include <string>

#include "cli/terminal.h"
#include "wire/json.h"

namespace similis::cli {

/// "index", "verify", "import" or "export": what the command is called.
std::string job_word(const Json& job);

/// The moving line of a running job (an API Job), exactly one terminal line: bar, share, counts,
/// rate, time left, failures.
std::string render_progress(const Json& job, const Terminal& terminal);

/// The same for a log: "5,380 of 8,677 · 214/s · 15 s left · 3 failed".
std::string render_progress_plain(const Json& job);

struct BuildSummary {
  Json job;
  std::int64_t bytes_on_disk = 0;  // of the data directory; 0 when unknown
  std::string data_dir;
  std::string collection;        // as later commands must name it; "" when they need not
  std::int64_t ready_total = 0;  // pictures in the collection
};

/// The lines after a finished build: what is ready, what failed and was skipped, what to do next.
std::string render_build_summary(const BuildSummary& summary, const Json& skipped,
                                 const Terminal& terminal);

}  // namespace similis::cli
