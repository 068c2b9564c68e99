#include "cli/show.h"

#include <chafa.h>
#include <glib.h>

#include <algorithm>
#include <memory>

#include "cli/print.h"
#include "cli/render_search.h"
#include "cli/text.h"

namespace similis::cli {
namespace {

constexpr std::int32_t kSideMaxPx = 512;
constexpr int kRows = 12;  // of one picture, in lines

template <auto release>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};
using TermInfo = std::unique_ptr<ChafaTermInfo, Release<chafa_term_info_unref>>;
using CanvasConfig = std::unique_ptr<ChafaCanvasConfig, Release<chafa_canvas_config_unref>>;
using Canvas = std::unique_ptr<ChafaCanvas, Release<chafa_canvas_unref>>;
using SymbolMap = std::unique_ptr<ChafaSymbolMap, Release<chafa_symbol_map_unref>>;

TermInfo detect_terminal() {
  gchar** environment = g_get_environ();
  TermInfo info(chafa_term_db_detect(chafa_term_db_get_default(), environment));
  g_strfreev(environment);
  return info;
}

ChafaPixelMode best_pixel_mode(const ChafaTermInfo* info) {
  if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1))
    return CHAFA_PIXEL_MODE_KITTY;
  if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_BEGIN_ITERM2_IMAGE))
    return CHAFA_PIXEL_MODE_ITERM2;
  if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_BEGIN_SIXELS)) return CHAFA_PIXEL_MODE_SIXELS;
  return CHAFA_PIXEL_MODE_SYMBOLS;
}

ChafaCanvasMode best_colours(const ChafaTermInfo* info) {
  if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_SET_COLOR_FG_DIRECT))
    return CHAFA_CANVAS_MODE_TRUECOLOR;
  if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_SET_COLOR_FG_256))
    return CHAFA_CANVAS_MODE_INDEXED_240;
  return CHAFA_CANVAS_MODE_INDEXED_16;
}

std::string drawn(const Pixels& pixels, const Terminal& terminal) {
  const TermInfo info = detect_terminal();
  const CanvasConfig config(chafa_canvas_config_new());
  chafa_canvas_config_set_pixel_mode(config.get(), best_pixel_mode(info.get()));
  chafa_canvas_config_set_canvas_mode(config.get(), best_colours(info.get()));
  const SymbolMap symbols(chafa_symbol_map_new());
  chafa_symbol_map_add_by_tags(
      symbols.get(),
      terminal.utf8 ? static_cast<ChafaSymbolTags>(CHAFA_SYMBOL_TAG_BLOCK | CHAFA_SYMBOL_TAG_SPACE)
                    : CHAFA_SYMBOL_TAG_ASCII);
  chafa_canvas_config_set_symbol_map(config.get(), symbols.get());
  gint columns = static_cast<gint>(std::min<std::size_t>(terminal.columns - 4, 60)), rows = kRows;
  // A character cell is about twice as high as wide.
  chafa_calc_canvas_geometry(pixels.width, pixels.height, &columns, &rows, 0.5F, TRUE, FALSE);
  chafa_canvas_config_set_geometry(config.get(), columns, rows);
  const Canvas canvas(chafa_canvas_new(config.get()));
  chafa_canvas_draw_all_pixels(canvas.get(), CHAFA_PIXEL_RGB8, pixels.rgb.data(), pixels.width,
                               pixels.height, pixels.width * 3);
  GString* text = chafa_canvas_print(canvas.get(), info.get());
  std::string out(text->str, text->len);
  g_string_free(text, TRUE);
  return out;
}

}  // namespace

Status show_pictures(Session& session, const Json& answer, const std::string& query_bytes,
                     const Hooks& hooks) {
  auto draw = [&](const std::string& title, std::string_view bytes) -> Status {
    ASSIGN_OR_RETURN(const Pixels pixels,
                     hooks.pixels(session.options(), std::as_bytes(std::span(bytes)), kSideMaxPx));
    print_out("\n" + title + "\n" + drawn(pixels, session.out()) + "\n");
    return {};
  };
  if (!query_bytes.empty()) TRY(draw("query", query_bytes));
  std::size_t rank = 0;
  for (const Json& hit : answer["hits"]) {
    ++rank;
    if (!hit.value("above_cutoff", true)) break;
    ApiRequest request;
    request.target = text_of(hit, "thumbnail_url");
    ASSIGN_OR_RETURN(const ApiResponse picture,
                     session.transport().request(session.context(), request));
    if (picture.status != 200) continue;
    const std::string title = std::to_string(rank) + "  " + score_text(number_of(hit, "score")) +
                              "  " + printable(text_of(hit, "name"));
    TRY(draw(shorten_middle(title, session.out().columns, session.out().utf8), picture.body));
  }
  return {};
}

}  // namespace similis::cli
