#include "cli/progress_view.h"

#include <chrono>

#include "cli/print.h"
#include "cli/render_job.h"

namespace similis::cli {

namespace {

constexpr std::chrono::seconds kPlainInterval{10};

}  // namespace

void ProgressView::show(const Json& job) {
  const auto now = Context::Clock::now();
  if (session_.options().json) {
    print_json_line(job);
  } else if (session_.options().quiet) {
    return;
  } else if (session_.err().is_terminal) {
    // Carriage return, the line, erase the rest of it.
    print_err("\r" + render_progress(job, session_.err()) + "\x1b[K");
    moving_ = true;
  } else if (now - last_ >= kPlainInterval) {
    if (last_ != Context::Clock::time_point()) print_err(render_progress_plain(job) + "\n");
    last_ = now;
  }
}

void ProgressView::end() {
  if (moving_) print_err("\r\x1b[K");
  moving_ = false;
}

}  // namespace similis::cli
