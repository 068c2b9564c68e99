#include "http/multipart.h"

#include <algorithm>
#include <vector>

#include "http/message.h"
#include "http/target.h"

namespace similis::http {

namespace {

constexpr std::size_t kHeadBytesMax = 16 << 10;
constexpr std::size_t kBoundaryBytesMax = 70;
constexpr std::size_t kFeedBytes = 256 << 10;

Error malformed(const std::string& what) {
  return {ErrorCode::invalid_argument, "the multipart body " + what,
          "Send multipart/form-data as browsers and `curl -F` do."};
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The parameter of a header such as `form-data; name="file"; filename="a \"b\".jpg"`.
std::optional<std::string> header_parameter(std::string_view header, std::string_view wanted) {
  std::size_t at = header.find(';');
  while (at < header.size()) {
    std::string_view rest = header.substr(at + 1);
    const std::size_t skipped = rest.find_first_not_of(" \t");
    if (skipped == std::string_view::npos) return std::nullopt;
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view name = trim(rest.substr(0, equals));
    std::size_t i = equals + 1;
    std::string value;
    if (i < rest.size() && rest[i] == '"') {
      for (++i; i < rest.size() && rest[i] != '"'; ++i) {
        // Only quote and backslash are escaped: Internet Explorer's "C:\photo.jpg" is long gone,
        // but curl writes a backslash in front of both.
        if (rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\')) {
          ++i;
        }
        value += rest[i];
      }
      i = std::min(rest.find(';', i), rest.size());
    } else {
      const std::size_t end = std::min(rest.find(';', i), rest.size());
      value = trim(rest.substr(i, end - i));
      i = end;
    }
    if (equals_ignoring_case(name, wanted)) return value;
    at += 1 + i;
  }
  return std::nullopt;
}

/// Browsers (the WHATWG form encoding) write %22, %0D and %0A for a quote and line ends in a name.
std::string unescape_name(std::string name) {
  for (const auto& [code, plain] :
       {std::pair{"%22", "\""}, std::pair{"%0D", "\r"}, std::pair{"%0A", "\n"}}) {
    for (std::size_t at = name.find(code); at != std::string::npos; at = name.find(code, at + 1)) {
      name.replace(at, 3, plain);
    }
  }
  return name;
}

}  // namespace

MultipartParser::MultipartParser(std::string_view boundary, Sink sink)
    : delimiter_("\r\n--" + std::string(boundary)),
      sink_(std::move(sink)),
      pending_("\r\n") {}  // so that a delimiter on the first line is like any other

Status MultipartParser::feed(std::span<const std::byte> bytes) {
  pending_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (bool progress = true; progress;) {
    progress = false;
    TRY(step(progress));
  }
  return {};
}

Status MultipartParser::step(bool& progress) {
  switch (state_) {
    case State::preamble: {
      const std::size_t at = pending_.find(delimiter_);
      if (at == std::string::npos) {
        if (pending_.size() > kHeadBytesMax) return malformed("does not begin with its boundary");
        return {};
      }
      pending_.erase(0, at + delimiter_.size());
      state_ = State::after_delimiter;
      progress = true;
      return {};
    }
    case State::after_delimiter: {
      // "--" closes; else padding and a line end follow.
      const std::size_t end = pending_.find_first_not_of(" \t");
      if (end == std::string::npos || pending_.size() < end + 2) {
        if (pending_.size() > kHeadBytesMax) return malformed("has a broken delimiter");
        return {};
      }
      const std::string_view mark = std::string_view(pending_).substr(end, 2);
      if (mark == "--" && end == 0) {
        state_ = State::done;
      } else if (mark == "\r\n") {
        pending_.erase(0, end + 2);
        state_ = State::head;
      } else {
        return malformed("has a broken delimiter");
      }
      progress = true;
      return {};
    }
    case State::head: {
      if (pending_.starts_with("\r\n")) return malformed("has a part without a name");
      const std::size_t end = pending_.find("\r\n\r\n");
      if (end == std::string::npos || end > kHeadBytesMax) {
        if (pending_.size() > kHeadBytesMax) return malformed("has a part with too long a head");
        return {};
      }
      ASSIGN_OR_RETURN(PartHead head, parse_head(std::string_view(pending_).substr(0, end)));
      pending_.erase(0, end + 4);
      state_ = State::data;
      progress = true;
      return sink_.on_part(std::move(head));
    }
    case State::data: {
      const std::size_t at = pending_.find(delimiter_);
      const std::size_t ready = at != std::string::npos ? at
                                : pending_.size() < delimiter_.size()
                                    ? 0
                                    : pending_.size() - delimiter_.size() + 1;
      if (ready > 0) TRY(sink_.on_data(std::as_bytes(std::span(pending_.data(), ready))));
      if (at == std::string::npos) {
        pending_.erase(0, ready);
        return {};
      }
      pending_.erase(0, at + delimiter_.size());
      state_ = State::after_delimiter;
      progress = true;
      return sink_.on_end();
    }
    case State::done:
      pending_.clear();
      return {};
  }
  return {};
}

Result<PartHead> MultipartParser::parse_head(std::string_view head) const {
  PartHead out;
  bool disposition_seen = false;
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return malformed("has a part with a broken header");
    const std::string_view name = trim(line.substr(0, colon));
    const std::string_view value = trim(line.substr(colon + 1));
    if (equals_ignoring_case(name, "Content-Disposition")) {
      auto field = header_parameter(value, "name");
      if (!equals_ignoring_case(trim(value.substr(0, value.find(';'))), "form-data") || !field) {
        return malformed("has a part that is no named form-data");
      }
      out.name = unescape_name(std::move(*field));
      if (auto file = header_parameter(value, "filename")) {
        std::string plain = unescape_name(std::move(*file));
        out.filename = plain.substr(plain.find_last_of('/') + 1);
      }
      disposition_seen = true;
    } else if (equals_ignoring_case(name, "Content-Type")) {
      out.content_type = value;
    } else if (equals_ignoring_case(name, "Content-Transfer-Encoding") &&
               !equals_ignoring_case(value, "binary") && !equals_ignoring_case(value, "8bit") &&
               !equals_ignoring_case(value, "7bit")) {
      return malformed("has a part in a transfer encoding");
    }
  }
  if (!disposition_seen) return malformed("has a part without a name");
  return out;
}

Status MultipartParser::finish() const {
  if (state_ == State::done) return {};
  return malformed("ends before its closing boundary");
}

Result<std::string> multipart_boundary(std::string_view content_type) {
  const auto boundary = header_parameter(content_type, "boundary");
  constexpr std::string_view kPunctuation = "'()+_,-./:=? ";
  const bool ok = boundary && !boundary->empty() && boundary->size() <= kBoundaryBytesMax &&
                  boundary->back() != ' ' &&
                  std::all_of(boundary->begin(), boundary->end(), [&](char c) {
                    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || kPunctuation.find(c) != std::string_view::npos;
                  });
  if (!ok) return malformed("has no usable boundary in its Content-Type");
  return *boundary;
}

Status parse_multipart(const RequestBody& body, std::string_view boundary,
                       MultipartParser::Sink sink) {
  MultipartParser parser(boundary, std::move(sink));
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(kFeedBytes, body.size())));
  for (std::uint64_t offset = 0; offset < body.size();) {
    ASSIGN_OR_RETURN(const std::size_t length, body.read(offset, buffer));
    TRY(parser.feed(std::span(buffer).first(length)));
    offset += length;
  }
  return parser.finish();
}

}  // namespace similis::http
