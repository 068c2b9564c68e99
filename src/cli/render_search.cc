#include "cli/render_search.h"

#include <algorithm>
#include <cstdio>

#include "cli/print.h"
#include "cli/session.h"
#include "cli/text.h"

namespace similis::cli {
namespace {

constexpr std::size_t kWordColumns = 6;
constexpr double kBarFrom = 0.40;  // scores are drawn from here to 1: below it nothing looks alike

struct Columns {
  std::size_t rank = 2;
  std::size_t id = 2;
  std::size_t bar = 10;   // with the space after it, which alone stays when there is no room
  std::size_t date = 10;  // 0 when there is no room
  std::size_t picture = 20;
};

std::string indent(std::size_t columns) {
  return std::string(columns, ' ');
}

/// Folder and name, as the answer may show them.
std::string picture_of(const Json& hit) {
  const std::string folder = text_of(hit, "folder");
  const std::string name = text_of(hit, "name");
  return printable(folder.empty() ? name : folder + "/" + name);
}

Columns layout(const Json& hits, std::size_t width) {
  Columns out;
  std::size_t widest = 7;
  for (const Json& hit : hits) {
    out.id = std::max(out.id, text_of(hit, "id").size());
    widest = std::max(widest, display_width(picture_of(hit)));
  }
  out.rank = std::max<std::size_t>(out.rank, std::to_string(hits.size()).size());
  // rank, score, bar, word, picture, date, id, each after one or two spaces
  auto rest = [&] {
    return out.rank + 2 + 5 + out.bar + kWordColumns + 2 + 1 + out.date + 1 + out.id;
  };
  if (rest() + 20 > width) out.date = 0;
  if (rest() + 12 > width) out.bar = 1;
  out.picture = std::min(widest, width > rest() ? width - rest() : 8);
  return out;
}

std::string hit_line(const Json& hit, std::size_t rank, const Columns& columns,
                     const Terminal& terminal) {
  const double score = number_of(hit, "score");
  const double share = (score - kBarFrom) / (1 - kBarFrom);
  const std::string word = text_of(hit, "band");
  std::string line = pad_left(std::to_string(rank), columns.rank) + "  " + score_text(score) + " ";
  if (columns.bar > 1) line += terminal.blue(terminal.bar(share, columns.bar - 1));
  line += " ";
  line += pad_right(word, kWordColumns) + "  ";
  line +=
      pad_right(shorten_middle(picture_of(hit), columns.picture, terminal.utf8), columns.picture);
  if (columns.date > 0) line += " " + pad_right(text_of(hit, "date").substr(0, 10), columns.date);
  line += " " + pad_left(text_of(hit, "id"), columns.id);
  return line;
}

std::string head_line(const Json& answer, const std::string& query_name, const Terminal& terminal) {
  const Json query = answer.value("query", Json::object());
  std::string facts;
  if (number_of(query, "width") > 0) {
    facts = std::string(terminal.dot()) + std::to_string(count_of(query, "width")) +
            (terminal.utf8 ? "×" : "x") + std::to_string(count_of(query, "height"));
  }
  std::string classes;
  const Json& list = answer.contains("classes") ? answer["classes"] : Json::array();
  if (!list.empty()) {
    for (const Json& c : list) {
      const double probability = number_of(c, "probability");
      if (probability < 0.35) break;
      char percent[16];
      std::snprintf(percent, sizeof percent, " %.0f %%", probability * 100);
      classes += (classes.empty() ? "looks like " : ", ") + printable(text_of(c, "name")) + percent;
    }
    classes = std::string(terminal.dot()) + (classes.empty() ? "no clear class" : classes);
  }
  const std::size_t used = display_width(facts) + display_width(classes);
  const std::size_t room = terminal.columns > used + 12 ? terminal.columns - used : 12;
  std::string line = shorten_middle(printable(query_name), room, terminal.utf8) + facts + classes;
  return shorten_end(line, terminal.columns, terminal.utf8);
}

std::string foot_line(const Json& answer, const Terminal& terminal, bool offer_more) {
  std::string line =
      grouped(count_of(answer, "above_cutoff_count")) + " of " + grouped(count_of(answer, "total"));
  const Json& timings = answer.contains("timings_ms") ? answer["timings_ms"] : Json::object();
  const double total = number_of(timings, "total");
  line += std::string(terminal.dot()) + ms_text(total) + " ms: ";
  double named = 0;
  for (const char* stage : {"decode", "model", "index"}) {
    if (!timings.contains(stage)) continue;
    named += number_of(timings, stage);
    line += std::string(stage) + " " + ms_text(number_of(timings, stage)) + ", ";
  }
  line += "rest " + ms_text(std::max(0.0, total - named));
  const std::string more = std::string(terminal.dot()) + "--show --open";
  if (offer_more && display_width(line) + display_width(more) + 2 <= terminal.columns) line += more;
  return shorten_end(line, terminal.columns - 2, terminal.utf8);
}

std::string divider(double cutoff, const Columns& columns, const Terminal& terminal) {
  const std::string begin =
      indent(columns.rank + 2) + terminal.rule(2) + " cut-off " + score_text(cutoff) + " ";
  const std::size_t width = display_width(begin);
  return begin + terminal.rule(terminal.columns > width ? terminal.columns - width : 0);
}

}  // namespace

std::string score_text(double score) {
  char out[16];
  std::snprintf(out, sizeof out, "%.2f", score);
  return out;
}

std::string render_search(const Json& answer, const std::string& query_name,
                          const Terminal& terminal, bool offer_more) {
  const Json& hits = answer["hits"];
  const Columns columns = layout(hits, terminal.columns);
  std::string out = head_line(answer, query_name, terminal) + "\n";
  std::string titles =
      pad_left("#", columns.rank) + "  score" + indent(columns.bar) +
      pad_right("like", kWordColumns) + "  " +
      pad_right(shorten_end("picture", columns.picture, terminal.utf8), columns.picture);
  if (columns.date > 0) titles += " " + pad_right("date", columns.date);
  titles += " " + pad_left("id", columns.id);
  out += terminal.dim(titles) + "\n";
  bool divided = false;
  std::size_t rank = 0;
  for (const Json& hit : hits) {
    const bool above = hit.value("above_cutoff", true);
    if (!above && !divided) {
      out += terminal.dim(divider(number_of(answer, "cutoff"), columns, terminal)) + "\n";
      divided = true;
    }
    const std::string line = hit_line(hit, ++rank, columns, terminal);
    out += (above ? line : terminal.dim(line)) + "\n";
  }
  out += indent(2) + terminal.dim(foot_line(answer, terminal, offer_more)) + "\n";
  return out;
}

std::string render_no_match(const Json& answer, const Terminal& terminal) {
  const Json& hits = answer["hits"];
  const std::string total = grouped(count_of(answer, "total"));
  if (hits.empty()) {
    return wrapped("No good match: none of the " + total + " pictures passes the filter.",
                   terminal.columns) +
           "\n";
  }
  return wrapped("No good match: nearest of " + total + " is " +
                     score_text(number_of(hits.front(), "score")) + ", cut-off " +
                     score_text(number_of(answer, "cutoff")) + ". See it: --min-score 0",
                 terminal.columns) +
         "\n";
}

}  // namespace similis::cli
