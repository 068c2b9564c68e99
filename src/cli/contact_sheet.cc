#include "cli/contact_sheet.h"

#include <filesystem>

#include "base/file.h"
#include "cli/browser.h"
#include "cli/render_search.h"
#include "cli/text.h"

extern char**
    environ;  // NOLINT(readability-redundant-declaration): POSIX leaves declaring it to the program

namespace similis::cli {
namespace {

std::string base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    auto byte = [&](std::size_t k) {
      return k < left ? static_cast<unsigned char>(bytes[i + k]) : 0U;
    };
    const unsigned word = byte(0) << 16 | byte(1) << 8 | byte(2);
    out += kDigits[word >> 18];
    out += kDigits[word >> 12 & 63];
    out += left > 1 ? kDigits[word >> 6 & 63] : '=';
    out += left > 2 ? kDigits[word & 63] : '=';
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--ground:#fbfbfa;--text:#1c1c1a;--muted:#6b6b66;--line:#e4e4e0}
@media(prefers-color-scheme:dark){:root{--ground:#121314;--text:#ececea;--muted:#9a9a95;--line:#2c2e31}}
body{margin:24px;background:var(--ground);color:var(--text);font:14px/20px system-ui,sans-serif}
header{display:flex;gap:16px;align-items:center;border-bottom:1px solid var(--line);padding-bottom:16px}
header img{height:120px;border-radius:4px}h1{font-size:16px;margin:0}p{margin:4px 0;color:var(--muted)}
main{display:flex;flex-wrap:wrap;gap:12px;margin-top:16px}figure{margin:0;width:min-content}
figure img{height:200px;border-radius:4px;display:block;background:#fff}
figcaption{font-size:12px;line-height:16px;color:var(--muted);overflow-wrap:anywhere;padding-top:4px}
figcaption b{color:var(--text);font-variant-numeric:tabular-nums}.below{opacity:.55}
)";

}  // namespace

Result<std::string> write_contact_sheet(Session& session, const Json& answer,
                                        const std::string& query_name,
                                        const std::string& query_bytes, const std::string& file) {
  const std::string title = escaped(printable(query_name));
  std::string page = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>" + title +
                     " · similis</title><style>" + std::string(kStyle) + "</style><header>";
  if (!query_bytes.empty()) {
    page += "<img alt=\"query\" src=\"data:application/octet-stream;base64," + base64(query_bytes) +
            "\">";
  }
  page += "<div><h1>" + title + "</h1><p>" + grouped(count_of(answer, "above_cutoff_count")) +
          " good matches of " + grouped(count_of(answer, "total")) + "</p></div></header><main>";
  for (const Json& hit : answer["hits"]) {
    ApiRequest request;
    request.target = text_of(hit, "thumbnail_url");
    ASSIGN_OR_RETURN(const ApiResponse picture,
                     session.transport().request(session.context(), request));
    const std::string name = text_of(hit, "name"), folder = text_of(hit, "folder");
    const std::string shown = escaped(printable(folder.empty() ? name : folder + "/" + name));
    page +=
        std::string("<figure") + (hit.value("above_cutoff", true) ? "" : " class=\"below\"") + ">";
    if (picture.status == 200) {
      page += "<img alt=\"" + escaped(printable(name)) +
              "\" src=\"data:" + escaped(std::string(picture.header("Content-Type"))) + ";base64," +
              base64(picture.body) + "\">";
    }
    page += "<figcaption><b>" + score_text(number_of(hit, "score")) + "</b> " + shown +
            "</figcaption></figure>";
  }
  page += "</main></html>\n";

  std::filesystem::path target = file;
  if (file.empty()) {
    ASSIGN_OR_RETURN(target, temporary_page());
  }
  TRY(publish_file(target, std::as_bytes(std::span(page))));
  std::error_code error;
  const auto absolute = std::filesystem::absolute(target, error);
  return error ? target.native() : absolute.native();
}

}  // namespace similis::cli
