#include "http/static_files.h"

#include <charconv>
#include <system_error>

#include "base/file.h"
#include "base/hex.h"
#include "http/conditional.h"
#include "http/secrets.h"

namespace similis::http {

namespace {

constexpr std::uint64_t kBytesMax = 64 << 20;

/// True when an Accept-Encoding header takes gzip: named, and not with weight 0.
bool accepts_gzip(std::string_view header) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(','), header.size());
    std::string one;
    for (char c : header.substr(0, end))
      if (c != ' ' && c != '\t') one += c;
    header.remove_prefix(std::min(end + 1, header.size()));
    const std::size_t semicolon = std::min(one.find(';'), one.size());
    if (!equals_ignoring_case(one.substr(0, semicolon), "gzip")) continue;
    const std::string weight = one.substr(semicolon);
    return !(weight == ";q=0" || weight.starts_with(";q=0.0"));
  }
  return false;
}

}  // namespace

std::string_view media_type_of(std::string_view name) {
  const std::string_view extension = name.substr(std::min(name.rfind('.'), name.size()));
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".json", "application/json"},
      {".webmanifest", "application/manifest+json"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".webp", "image/webp"},
      {".jpg", "image/jpeg"},
      {".woff2", "font/woff2"},
      {".txt", "text/plain; charset=utf-8"},
  };
  for (const auto& [ending, type] : kTypes)
    if (extension == ending) return type;
  return "application/octet-stream";
}

Result<StaticFiles> StaticFiles::load(const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::recursive_directory_iterator walk(folder, failed);
  if (failed) {
    return Error(ErrorCode::not_found,
                 "the page's files in " + folder.native() + ": " + failed.message(),
                 "Build the page with ./run, or name its folder.");
  }
  StaticFiles out;
  std::uint64_t left = kBytesMax;
  for (; walk != std::filesystem::recursive_directory_iterator(); walk.increment(failed)) {
    if (!walk->is_regular_file(failed) || failed) continue;
    ASSIGN_OR_RETURN(std::string text, read_text_file(walk->path(), left));
    left -= text.size();
    const std::string name = "/" + walk->path().lexically_relative(folder).generic_string();
    if (name.ends_with(".gz")) {
      out.files_[name.substr(0, name.size() - 3)].gzip =
          std::make_shared<const std::string>(std::move(text));
    } else {
      Entry& entry = out.files_[name];
      entry.etag = "\"" + to_hex(hash_of(text)).substr(0, 32) + "\"";
      entry.plain = std::make_shared<const std::string>(std::move(text));
    }
  }
  if (failed) {
    return Error(ErrorCode::io_error,
                 "the page's files in " + folder.native() + ": " + failed.message());
  }
  std::erase_if(out.files_, [](const auto& item) { return !item.second.plain; });
  return out;
}

const StaticFiles::Entry* StaticFiles::find(std::string_view path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : &found->second;
}

std::optional<Response> StaticFiles::serve(const RequestHead& head, std::string_view path) const {
  std::string name(path);
  const Entry* entry = find(name);
  if (!entry && (path == "/" || path == "/c" || path.starts_with("/c/"))) {
    name = "/index.html";
    entry = find(name);
  }
  if (!entry) {
    name = std::string(path) + ".html";
    entry = find(name);
  }
  if (!entry) return std::nullopt;

  Response response;
  response.headers.set("Content-Type", std::string(media_type_of(name)));
  // Built assets carry their hash in the name; everything else is asked for again.
  response.headers.set("Cache-Control", name.starts_with("/assets/")
                                            ? "public, max-age=31536000, immutable"
                                            : "no-cache");
  std::string etag = entry->etag;
  if (entry->gzip) response.headers.set("Vary", "Accept-Encoding");
  if (entry->gzip && accepts_gzip(head.headers.get("Accept-Encoding"))) {
    response.headers.set("Content-Encoding", "gzip");
    etag.insert(etag.size() - 1, "-gz");
    response.body = Bytes::of(entry->gzip);
  } else {
    response.body = Bytes::of(entry->plain);
  }
  return conditional(head, std::move(response), etag);
}

}  // namespace similis::http
