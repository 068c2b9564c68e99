#include <gtest/gtest.h>

#include "cli/print.h"
#include "cli/render_job.h"
#include "cli/render_search.h"
#include "cli/render_status.h"
#include "cli/text.h"

namespace similis::cli {
namespace {

std::vector<std::string> hostile_names() {
  return {"IMG_2231.jpg",
          "写真のとても長い名前がここに続いていて終わりません、まだまだ続きます.jpg",
          "\x1b[2J\x1b[31mowned\x07.png",
          "e\xCC\x81\xCC\x81\xCC\x81 combining.png",
          std::string(250, 'w') + ".tif",
          "line\nbreak\ttab.gif",
          "gnp.\xE2\x80\xAE"
          "exe",
          "🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂.webp"};
}

Terminal terminal_of(std::size_t columns, bool utf8, bool colour = false) {
  Terminal out;
  out.columns = columns;
  out.utf8 = utf8;
  out.colour = colour;
  return out;
}

/// No line is wider than the terminal, nothing steers it.
void expect_fits(const std::string& text, const Terminal& terminal) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    EXPECT_LE(display_width(line), terminal.columns) << line;
    EXPECT_EQ(printable(line), line);
    begin = end + 1;
  }
}

Json answer_with(const std::string& name) {
  Json hit{{"id", "9007199254740991"},
           {"name", name},
           {"folder", "Holidays/" + name},
           {"date", "2019-07-14T10:22:05Z"},
           {"score", 0.91},
           {"band", "strong"},
           {"above_cutoff", true}};
  Json below = hit;
  below["score"] = 0.57;
  below["band"] = "maybe";
  below["above_cutoff"] = false;
  return Json{
      {"query", {{"name", name}, {"width", 4032}, {"height", 3024}}},
      {"classes",
       {{{"name", "seashore"}, {"probability", 0.61}}, {{"name", "reef"}, {"probability", 0.12}}}},
      {"hits", {hit, below}},
      {"cutoff", 0.6},
      {"above_cutoff_count", 1},
      {"total", 8674},
      {"timings_ms", {{"decode", 3.9}, {"model", 2.1}, {"index", 0.4}, {"total", 11.0}}}};
}

TEST(RenderSearch, EveryNameFitsAtEveryWidth) {
  for (const std::string& name : hostile_names()) {
    for (const std::size_t columns : {100, 80, 60, 40}) {
      for (const bool utf8 : {true, false}) {
        const Terminal terminal = terminal_of(columns, utf8);
        // A name's own characters may be beyond ASCII; what is added to them must not.
        expect_fits(render_search(answer_with(name), name, terminal, true), terminal);
        expect_fits(render_no_match(answer_with(name), terminal), terminal);
        Json none = answer_with(name);
        none["hits"] = Json::array();
        expect_fits(render_no_match(none, terminal), terminal);
      }
    }
  }
}

TEST(RenderSearch, ShowsScoreWordAndDivider) {
  const std::string text =
      render_search(answer_with("coast.png"), "beach.jpg", terminal_of(80, true), true);
  EXPECT_NE(text.find("beach.jpg · 4032×3024 · looks like seashore 61 %\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("0.91"), std::string::npos);
  EXPECT_NE(text.find("strong"), std::string::npos);
  EXPECT_NE(text.find("── cut-off 0.60 ─"), std::string::npos);
  EXPECT_NE(text.find("1 of 8,674 · 11 ms: decode 3.9, model 2.1, index 0.4, rest 4.6"),
            std::string::npos);
  EXPECT_LT(text.find("0.91"), text.find("cut-off"));
  EXPECT_LT(text.find("cut-off"), text.find("0.57"));
  EXPECT_EQ(render_no_match(answer_with("x"), terminal_of(80, true)),
            "No good match: nearest of 8,674 is 0.91, cut-off 0.60. See it: --min-score 0\n");
}

Json job(std::int64_t done, std::int64_t found) {
  return Json{{"id", "17"},
              {"kind", "build"},
              {"state", "running"},
              {"root", "/srv/pictures"},
              {"counters",
               {{"found", found},
                {"done", done},
                {"ready", done},
                {"failed", 3},
                {"skipped", 152},
                {"unchanged", 0},
                {"removed", 0},
                {"moved", 0},
                {"scanning", false},
                {"optimizing", false}}},
              {"rate_per_s", 214.2},
              {"eta_s", 15},
              {"worked_s", 41.2}};
}

TEST(RenderJob, OneLineAtEveryWidth) {
  for (const std::size_t columns : {100, 80, 60, 40}) {
    const Terminal terminal = terminal_of(columns, true);
    expect_fits(render_progress(job(5380, 8677), terminal), terminal);
  }
  EXPECT_EQ(render_progress(job(5380, 8677), terminal_of(80, true)),
            "███████████████▌           62 %  5,380 / 8,677  214/s  15 s left  3 failed");
  EXPECT_EQ(render_progress_plain(job(5380, 8677)),
            "5,380 of 8,677 · 214/s · 15 s left · 3 failed");
  Json last = job(8677, 8677);
  last["counters"]["optimizing"] = true;
  EXPECT_EQ(render_progress(last, terminal_of(80, true)), "8,677 in, making search quick");
}

TEST(RenderJob, SummarySaysWhatIsNext) {
  BuildSummary summary;
  summary.job = job(8674, 8677);
  summary.ready_total = 8674;
  summary.bytes_on_disk = 97'000'000;
  summary.data_dir = "/home/u/.local/share/similis";
  const Json skipped{{{"type", "mov"}, {"count", 148}}, {{"type", "svg"}, {"count", 4}}};
  for (const std::size_t columns : {100, 80, 60}) {
    const Terminal terminal = terminal_of(columns, true);
    expect_fits(render_build_summary(summary, skipped, terminal), terminal);
  }
  const std::string text = render_build_summary(summary, skipped, terminal_of(100, true));
  EXPECT_NE(
      text.find("Ready: 8,674 pictures in 41 s (214/s) · 97 MB in /home/u/.local/share/similis\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("  failed       3   similis status --failures\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  skipped    152   not pictures: 148 mov, 4 svg\n"), std::string::npos)
      << text;
}

TEST(RenderStatus, FitsWithHostileFoldersAndFailures) {
  for (const std::string& name : hostile_names()) {
    const Json collection{
        {"name", "pictures"},
        {"counts", {{"ready", 8674}, {"failed", 3}, {"pending", 0}}},
        {"skipped", {{{"type", "mov"}, {"count", 148}}}},
        {"folders",
         {{{"path", "/home/" + name}, {"pictures", 8677}, {"scanned_at", "2026-03-02T14:02:01Z"}}}},
        {"model",
         {{"name", "efficientnet-lite0"},
          {"version", "1.0"},
          {"dimensions", 1280},
          {"precision", "f32"},
          {"calibration", {{"cutoff", 0.6}}}}},
        {"index",
         {{"kind", "flat"},
          {"vectors", 8674},
          {"bytes_in_memory", 8388608},
          {"bytes_on_disk", 23068672}}}};
    const Json status{
        {"data_dir", "/home/" + name},
        {"collections", {collection}},
        {"memory",
         {{"used_bytes", 327155712},
          {"limit_bytes", 1073741824},
          {"parts", {{{"name", "model"}, {"bytes", 146800640}}}}}},
        {"disk",
         {{"used_bytes", 134217728}, {"parts", {{{"name", "thumbs"}, {"bytes", 63963136}}}}}},
        {"server",
         {{"address", "http://127.0.0.1:8420"},
          {"started_at", "2026-03-02T11:05:00Z"},
          {"searches", 41},
          {"search_median_ms", 9.1}}},
        {"last_job", job(1, 2)}};
    const Json failures{{{"name", name},
                         {"folder", "Scans"},
                         {"reason", "JPEG ends early: 18,233 of 40,112 bytes"},
                         {"hint", "copy the file again"}}};
    for (const std::size_t columns : {100, 80, 60}) {
      const Terminal terminal = terminal_of(columns, true);
      expect_fits(render_status(status, terminal), terminal);
      expect_fits(render_failures(failures, 3, 8677, {}, terminal), terminal);
      const std::string retry = "similis index --retry-failed /" + std::string(200, 'x');
      const std::string text = render_failures(failures, 3, 8677, {retry, "second"}, terminal);
      EXPECT_TRUE(text.ends_with("\nretry: " + retry + "\nretry: second\n")) << text;
    }
  }
}

TEST(RenderStatus, TellsHowFarAGraphIs) {
  const Json collection{{"name", "pictures"},
                        {"index",
                         {{"kind", "graph"},
                          {"vectors", 100947},
                          {"making", {{"done", 34000}, {"vectors", 100947}}}}}};
  const Terminal terminal = terminal_of(80, true);
  const std::string text = render_status(Json{{"collections", {collection}}}, terminal);
  expect_fits(text, terminal);
  EXPECT_NE(text.find("graph     being made: 34,000 of 100,947 vectors\n"), std::string::npos)
      << text;
}

TEST(RenderStatus, ExplainsTheCodesInMemoryInBytes) {
  const auto said = [](const Json& tier, std::int64_t available) {
    const Json codes{
        {"tier", tier},
        {"bytes_available", available},
        {"tiers",
         {{{"name", "large"}, {"bytes_a_vector", 536}, {"bytes_in_memory", 62000000}},
          {{"name", "middle"}, {"bytes_a_vector", 440}, {"bytes_in_memory", 52300000}},
          {{"name", "smallest"}, {"bytes_a_vector", 280}, {"bytes_in_memory", 36100000}}}}};
    const Json collection{{"name", "pictures"},
                          {"index", {{"kind", "graph"}, {"vectors", 100947}, {"codes", codes}}}};
    const Terminal terminal = terminal_of(80, true);
    const std::string text = render_status(Json{{"collections", {collection}}}, terminal);
    expect_fits(text, terminal);
    return text;
  };
  const std::string large = said("large", 100000000);
  EXPECT_NE(large.find("codes     large, 536 bytes a vector: 62 MB with the graph\n"),
            std::string::npos)
      << large;
  EXPECT_EQ(large.find("memory_max"), std::string::npos) << large;
  const std::string middle = said("middle", 53000000);
  EXPECT_NE(middle.find("codes     middle, 440 bytes a vector: 52 MB with the graph\n"
                        "          large would take 62 MB, 9.0 MB more than index.memory_max "
                        "leaves\n"),
            std::string::npos)
      << middle;
  const std::string none = said(nullptr, 20000000);
  EXPECT_NE(none.find("codes     none: the smallest need 36 MB, index.memory_max leaves 20 MB\n"
                      "          every vector is compared; give it 16 MB more\n"),
            std::string::npos)
      << none;
  const std::string made = said(nullptr, 55000000);
  EXPECT_NE(made.find("codes     not made yet, middle: up to 52 MB with the graph\n"),
            std::string::npos)
      << made;
}

TEST(RenderStatus, SaysThatAnIndexCannotBeOpened) {
  for (const std::string& name : hostile_names()) {
    const Json collection{
        {"name", "pictures"},
        {"counts", {{"ready", 3}}},
        {"index", nullptr},
        {"index_error", {{"code", "corruption"}, {"detail", "damaged: " + name}, {"hint", ""}}}};
    const Terminal terminal = terminal_of(80, true);
    const std::string text = render_status(Json{{"collections", {collection}}}, terminal);
    expect_fits(text, terminal);
    EXPECT_NE(text.find("cannot be used: damaged: "), std::string::npos) << text;
    EXPECT_NE(text.find("similis verify"), std::string::npos) << text;
  }
}

TEST(Print, ErrorsAreWrappedAndEscaped) {
  const Terminal terminal = terminal_of(60, true);
  const Error error(
      ErrorCode::not_found,
      "cannot index /home/u/\x1b[31mred and a rather long name: No such file or directory",
      "Give a folder that exists and can be read");
  const std::string text = error_text(error, terminal);
  expect_fits(text, terminal);
  EXPECT_TRUE(text.starts_with("similis: cannot index /home/u/\\x1b[31mred")) << text;
  EXPECT_TRUE(text.ends_with("can be read.\n")) << text;
}

TEST(Print, AFiltersCaretStaysUnderItsPlace) {
  const Error error(ErrorCode::invalid_argument,
                    "filter: there is no field \"clas\"\n  clas = cat\n  ^", "Fields are x");
  EXPECT_EQ(error_text(error, terminal_of(80, true)),
            "similis: filter: there is no field \"clas\"\n  clas = cat\n  ^\nFields are x.\n");
}

TEST(Print, AListItemIsBrokenIntoLinesAndWhole) {
  EXPECT_EQ(list_item("short", 80), "  short");
  EXPECT_EQ(list_item("a finding of some length that says what to do", 24),
            "  a finding of some\n    length that says\n    what to do");
  EXPECT_EQ(list_item("/a/path/that/is/longer/than/the/line goes on", 20),
            "  /a/path/that/is/longer/than/the/line\n    goes on");
}

}  // namespace
}  // namespace similis::cli
