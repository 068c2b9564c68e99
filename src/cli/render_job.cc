#include "cli/render_job.h"

#include <algorithm>
#include <cstdio>

#include "cli/session.h"
#include "cli/text.h"

namespace similis::cli {
namespace {

constexpr std::size_t kBarColumns = 25;
constexpr std::size_t kBarColumnsMin = 8;

std::string left_text(const Json& job) {
  return job.contains("eta_s") && job["eta_s"].is_number()
             ? duration_text(std::max(1.0, number_of(job, "eta_s"))) + " left"
             : "";
}

std::string rate_text(const Json& job) {
  const double rate = number_of(job, "rate_per_s");
  char out[32];
  std::snprintf(out, sizeof out, rate < 10 ? "%.1f/s" : "%.0f/s", rate);
  return rate > 0 ? out : "";
}

}  // namespace

std::string job_word(const Json& job) {
  const std::string kind = text_of(job, "kind");
  if (kind == "build") return "index";
  return kind.starts_with("export") ? "export" : kind;
}

std::string render_progress(const Json& job, const Terminal& terminal) {
  const Json& counters = job["counters"];
  const std::int64_t found = count_of(counters, "found"), done = count_of(counters, "done");
  if (counters.value("scanning", false) && done == 0) {
    return shorten_end("Looking for pictures: " + grouped(found) + " found", terminal.columns - 1,
                       terminal.utf8);
  }
  if (counters.value("optimizing", false)) {
    return shorten_end(grouped(done) + " in, making search quick", terminal.columns - 1,
                       terminal.utf8);
  }
  const double share = found > 0 ? static_cast<double>(done) / static_cast<double>(found) : 0;
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3.0f %%", share * 100);
  std::string text = std::string(percent) + "  " + grouped(done) + " / " + grouped(found);
  for (const std::string& part : {rate_text(job), left_text(job)})
    if (!part.empty()) text += "  " + part;
  std::string failed;
  if (const std::int64_t n = count_of(counters, "failed"); n > 0)
    failed = "  " + grouped(n) + " failed";
  const std::size_t width = display_width(text) + display_width(failed) + 2;
  const std::size_t room = terminal.columns - 1;
  const std::size_t bar = width + kBarColumnsMin > room ? 0 : std::min(kBarColumns, room - width);
  std::string line;
  if (bar > 0) line = terminal.blue(terminal.bar(share, bar)) + " ";
  if (bar == 0) return shorten_end(text + failed, room, terminal.utf8);
  return line + text + terminal.red(failed);
}

std::string render_progress_plain(const Json& job) {
  const Json& counters = job["counters"];
  std::string line =
      grouped(count_of(counters, "done")) + " of " + grouped(count_of(counters, "found"));
  if (counters.value("scanning", false)) line += " (still looking)";
  if (counters.value("optimizing", false)) line += " (making search quick)";
  for (const std::string& part : {rate_text(job), left_text(job)})
    if (!part.empty()) line += " · " + part;
  if (const std::int64_t n = count_of(counters, "failed"); n > 0)
    line += " · " + grouped(n) + " failed";
  return line;
}

std::string render_build_summary(const BuildSummary& summary, const Json& skipped,
                                 const Terminal& terminal) {
  const Json& job = summary.job;
  const Json& counters = job["counters"];
  const std::int64_t added = count_of(counters, "ready");
  const double worked = number_of(job, "worked_s");
  const bool nothing_there = summary.ready_total == 0 && count_of(counters, "removed") == 0;
  std::string line = nothing_there
                         ? "No pictures to search yet"
                         : "Ready: " + counted(summary.ready_total, "picture", "pictures");
  const std::int64_t unchanged = count_of(counters, "unchanged");
  if (nothing_there) {
    // What failed and what was skipped say why.
  } else if (added > 0 && unchanged == 0) {
    line += " in " + duration_text(worked);
    if (const std::string rate = rate_text(job); !rate.empty()) line += " (" + rate + ")";
  } else {
    std::string changes;
    for (const auto& [member, word] :
         {std::pair{"ready", "new or changed"}, {"moved", "moved"}, {"removed", "removed"}}) {
      if (const std::int64_t n = count_of(counters, member); n > 0) {
        changes += (changes.empty() ? "" : ", ") + grouped(n) + " " + word;
      }
    }
    line += std::string(terminal.dot()) + (changes.empty() ? "nothing has changed" : changes) +
            ", " + duration_text(worked);
  }
  if (summary.bytes_on_disk > 0) {
    line += std::string(terminal.dot()) + bytes_text(summary.bytes_on_disk) + " in ";
    const std::size_t used = display_width(line);
    line += shorten_middle(printable(below_home(summary.data_dir)),
                           terminal.columns > used ? terminal.columns - used : 8, terminal.utf8);
  }
  std::string out = shorten_end(line, terminal.columns, terminal.utf8) + "\n";

  const std::string in_collection =
      summary.collection.empty() ? "" : " --collection " + summary.collection;
  if (const std::int64_t n = count_of(counters, "failed"); n > 0) {
    out += terminal.red("  failed  " + pad_left(grouped(n), 6)) + "   " + command_name() +
           " status --failures" + in_collection + "\n";
  }
  if (const std::int64_t n = count_of(counters, "skipped"); n > 0) {
    std::string types;
    for (const Json& entry : skipped) {
      types += (types.empty() ? "" : ", ") + grouped(count_of(entry, "count")) + " " +
               printable(text_of(entry, "type"));
    }
    out += shorten_end("  skipped " + pad_left(grouped(n), 6) + "   not pictures" +
                           (types.empty() ? "" : ": " + types),
                       terminal.columns, terminal.utf8) +
           "\n";
  }
  if (summary.ready_total > 0) {
    out += shorten_end("  next            " + command_name() + " search PICTURE" + in_collection +
                           "   " + (terminal.utf8 ? "·" : "-") + "   " + command_name() + " serve",
                       terminal.columns, terminal.utf8) +
           "\n";
  }
  return out;
}

}  // namespace similis::cli
