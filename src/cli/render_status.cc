#include "cli/render_status.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/render_job.h"
#include "cli/session.h"
#include "cli/text.h"

namespace similis::cli {
namespace {

constexpr std::size_t kLabelColumns = 10;

/// "label     text", shortened to the terminal.
std::string line(const std::string& label, const std::string& text, const Terminal& terminal) {
  const std::size_t room = terminal.columns - kLabelColumns;
  return terminal.dim(pad_right(label, kLabelColumns)) + shorten_end(text, room, terminal.utf8) +
         "\n";
}

std::string joined(const std::vector<std::string>& parts, const Terminal& terminal) {
  std::string out;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!out.empty()) out += terminal.dot();
    out += part;
  }
  return out;
}

/// Seconds since the epoch of the API's times ("2026-03-02T14:02:01Z").
std::optional<std::time_t> seconds_of(const std::string& rfc3339) {
  std::tm utc{};
  if (::strptime(rfc3339.c_str(), "%Y-%m-%dT%H:%M:%S", &utc) == nullptr) return std::nullopt;
  return ::timegm(&utc);
}

/// "today 14:02", "2026-03-02 14:02": in the user's time zone.
std::string moment(const std::string& rfc3339) {
  const auto then = seconds_of(rfc3339);
  if (!then) return printable(rfc3339);
  const std::time_t now = std::time(nullptr);
  std::tm there{}, here{};
  ::localtime_r(&*then, &there);
  ::localtime_r(&now, &here);
  const bool today = there.tm_year == here.tm_year && there.tm_yday == here.tm_yday;
  std::array<char, 32> text{};
  const std::size_t length =
      std::strftime(text.data(), text.size(), today ? "today %H:%M" : "%Y-%m-%d %H:%M", &there);
  return {text.data(), length};
}

std::string up_since(const std::string& rfc3339) {
  const auto then = seconds_of(rfc3339);
  return then ? "up " + duration_text(std::difftime(std::time(nullptr), *then)) : "";
}

/// The largest first; what is below a hundredth of them all is not worth its columns.
std::string parts_text(const Json& object) {
  std::vector<std::pair<std::int64_t, std::string>> parts;
  std::int64_t sum = 0;
  for (const Json& part : object.value("parts", Json::array())) {
    parts.emplace_back(count_of(part, "bytes"), printable(text_of(part, "name")));
    sum += parts.back().first;
  }
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string out;
  for (const auto& [bytes, name] : parts) {
    if (bytes <= 0 || bytes < sum / 100) break;
    out += (out.empty() ? "" : ", ") + name + " " + bytes_text(bytes);
  }
  return out;
}

/// Which codes are in memory, and why no longer ones.
std::vector<std::string> codes_text(const Json& codes) {
  const Json tiers = codes.value("tiers", Json::array());
  const std::int64_t available = count_of(codes, "bytes_available");
  const std::string in_memory = text_of(codes, "tier");
  const Json* longer = nullptr;  // the one before
  for (const Json& tier : tiers) {
    const std::int64_t bytes = count_of(tier, "bytes_in_memory");
    if (in_memory.empty() && bytes <= available)
      return {"not made yet, " + text_of(tier, "name") + ": up to " + bytes_text(bytes) +
              " with the graph"};
    if (!in_memory.empty() && text_of(tier, "name") == in_memory) {
      std::vector<std::string> out{in_memory + ", " +
                                   std::to_string(count_of(tier, "bytes_a_vector")) +
                                   " bytes a vector: " + bytes_text(bytes) + " with the graph"};
      if (longer != nullptr && count_of(*longer, "bytes_in_memory") > available)
        out.push_back(text_of(*longer, "name") + " would take " +
                      bytes_text(count_of(*longer, "bytes_in_memory")) + ", " +
                      bytes_text(count_of(*longer, "bytes_in_memory") - available) +
                      " more than index.memory_max leaves");
      return out;
    }
    longer = &tier;
  }
  if (longer == nullptr) return {};
  const std::int64_t needed = count_of(*longer, "bytes_in_memory");
  return {"none: the " + text_of(*longer, "name") + " need " + bytes_text(needed) +
              ", index.memory_max leaves " + bytes_text(available),
          "every vector is compared; give it " + bytes_text(needed - available) + " more"};
}

std::string collection_block(const Json& collection, bool named, const Terminal& terminal) {
  std::string out;
  if (named) out += terminal.bold(text_of(collection, "name")) + "\n";
  const Json counts = collection.value("counts", Json::object());
  std::int64_t skipped = 0;
  for (const Json& entry : collection.value("skipped", Json::array()))
    skipped += count_of(entry, "count");
  std::vector<std::string> parts{grouped(count_of(counts, "ready")) + " ready",
                                 grouped(count_of(counts, "failed")) + " failed",
                                 grouped(count_of(counts, "pending")) + " waiting"};
  if (skipped > 0) parts.push_back(grouped(skipped) + " other files skipped");
  out += line("pictures", joined(parts, terminal), terminal);
  std::string label = "folders";
  for (const Json& folder : collection.value("folders", Json::array())) {
    const std::string tail = "  " + counted(count_of(folder, "pictures"), "picture", "pictures") +
                             (text_of(folder, "scanned_at").empty()
                                  ? std::string(", not scanned yet")
                                  : ", scanned " + moment(text_of(folder, "scanned_at"))) +
                             (folder.value("watched", false) ? ", watched" : "");
    const std::size_t used = kLabelColumns + display_width(tail);
    out += line(
        label,
        shorten_middle(printable(below_home(text_of(folder, "path"))),
                       terminal.columns > used + 10 ? terminal.columns - used : 10, terminal.utf8) +
            tail,
        terminal);
    label.clear();
  }
  const Json model = collection.contains("model") && collection["model"].is_object()
                         ? collection["model"]
                         : Json();
  if (model.is_object() && !text_of(model, "name").empty()) {
    char cutoff[32];
    std::snprintf(cutoff, sizeof cutoff, "cut-off %.2f",
                  number_of(model.value("calibration", Json::object()), "cutoff"));
    out +=
        line("model",
             joined({printable(text_of(model, "name")) + " " + printable(text_of(model, "version")),
                     std::to_string(count_of(model, "dimensions")) + "-d",
                     text_of(model, "precision"), cutoff},
                    terminal),
             terminal);
  }
  const Json index = collection.contains("index") && collection["index"].is_object()
                         ? collection["index"]
                         : Json();
  if (index.is_object()) {
    out += line(
        "index",
        joined({text_of(index, "kind"), counted(count_of(index, "vectors"), "vector", "vectors"),
                bytes_text(count_of(index, "bytes_in_memory")) + " in memory",
                bytes_text(count_of(index, "bytes_on_disk")) + " on disk"},
               terminal),
        terminal);
    if (index.contains("making") && index["making"].is_object()) {
      out += line("graph",
                  "being made: " + grouped(count_of(index["making"], "done")) + " of " +
                      counted(count_of(index["making"], "vectors"), "vector", "vectors"),
                  terminal);
    }
    std::string codes = "codes";
    if (index.contains("codes") && index["codes"].is_object()) {
      for (const std::string& text : codes_text(index["codes"])) {
        out += line(codes, text, terminal);
        codes.clear();
      }
    }
  }
  if (collection.contains("index_error") && collection["index_error"].is_object()) {
    const Json& error = collection["index_error"];
    out += line("index", "cannot be used: " + printable(text_of(error, "detail")), terminal);
    out += line("", "find the damage: similis verify", terminal);
  }
  return out;
}

std::string job_text(const Json& job, const Terminal& terminal) {
  const std::string root = text_of(job, "root");
  std::string what = job_word(job);
  if (!root.empty())
    what += " " + shorten_middle(printable(below_home(root)), terminal.columns / 2, terminal.utf8);
  std::string state = text_of(job, "state");
  const std::string at = text_of(job, "finished_at").empty() ? text_of(job, "started_at")
                                                             : text_of(job, "finished_at");
  if (!at.empty()) state += " " + moment(at);
  if (job.contains("error") && job["error"].is_object())
    state += ": " + printable(text_of(job["error"], "detail"));
  return joined({what, state}, terminal);
}

}  // namespace

std::string render_status(const Json& status, const Terminal& terminal) {
  std::string out;
  const Json collections = status.value("collections", Json::array());
  if (collections.empty())
    out += line("pictures", "nothing indexed yet: similis index DIR", terminal);
  for (const Json& collection : collections) {
    out += collection_block(collection, collections.size() > 1, terminal);
  }
  const Json memory = status.value("memory", Json::object());
  out += line("memory",
              bytes_text(count_of(memory, "used_bytes")) + " of " +
                  bytes_text(count_of(memory, "limit_bytes")) + ": " + parts_text(memory),
              terminal);
  const Json disk = status.value("disk", Json::object());
  const std::string disk_parts = parts_text(disk);
  std::string where = bytes_text(count_of(disk, "used_bytes")) + " in ";
  const std::size_t used =
      kLabelColumns + display_width(where) + std::min<std::size_t>(display_width(disk_parts), 30);
  where +=
      shorten_middle(printable(below_home(text_of(status, "data_dir"))),
                     terminal.columns > used + 12 ? terminal.columns - used : 12, terminal.utf8);
  out += line("disk", where + (disk_parts.empty() ? "" : ": " + disk_parts), terminal);
  if (status.contains("server") && status["server"].is_object()) {
    const Json& server = status["server"];
    std::vector<std::string> parts{text_of(server, "address"),
                                   up_since(text_of(server, "started_at")),
                                   counted(count_of(server, "searches"), "search", "searches")};
    if (server.contains("search_median_ms") && server["search_median_ms"].is_number()) {
      parts.push_back("median " + ms_text(number_of(server, "search_median_ms")) + " ms");
    }
    out += line("server", joined(parts, terminal), terminal);
  }
  if (status.contains("last_job") && status["last_job"].is_object()) {
    out += line("last job", job_text(status["last_job"], terminal), terminal);
  }
  return out;
}

std::string render_failures(const Json& failures, std::int64_t failed, std::int64_t total,
                            const std::vector<std::string>& retry, const Terminal& terminal) {
  std::string head = grouped(failed) + " failed of " + grouped(total);
  std::string out = shorten_end(head, terminal.columns, terminal.utf8) + "\n";
  std::size_t widest = 0;
  auto name_of = [](const Json& failure) {
    const std::string folder = text_of(failure, "folder");
    return printable(folder.empty() ? text_of(failure, "name")
                                    : folder + "/" + text_of(failure, "name"));
  };
  for (const Json& failure : failures) widest = std::max(widest, display_width(name_of(failure)));
  const std::size_t name_columns =
      std::min(widest, std::max<std::size_t>(16, terminal.columns * 2 / 5));
  for (const Json& failure : failures) {
    const std::string name =
        pad_right(shorten_middle(name_of(failure), name_columns, terminal.utf8), name_columns);
    std::string reason = printable(text_of(failure, "reason"));
    const std::string hint = printable(text_of(failure, "hint"));
    const std::size_t room = terminal.columns - 2 - name_columns - 2;
    // The reason comes whole where it fits; the advice takes its own line.
    out += "  " + name + "  " + shorten_end(reason, room, terminal.utf8) + "\n";
    if (!hint.empty()) {
      out += "  " + std::string(name_columns, ' ') + "  " +
             terminal.dim(shorten_end(hint, room, terminal.utf8)) + "\n";
    }
  }
  // To copy, so never shortened, however wide.
  for (const std::string& line : retry) out += "retry: " + line + "\n";
  return out;
}

}  // namespace similis::cli
