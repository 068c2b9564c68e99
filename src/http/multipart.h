#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/body.h"

namespace similis::http {

/// The head of one part of a multipart/form-data body.
struct PartHead {
  std::string name;                     // of the form's field
  std::optional<std::string> filename;  // the last component of what was sent; bytes
  std::string content_type;             // "" when not said
};

/// Takes a multipart/form-data body (RFC 7578 over RFC 2046) apart as its bytes come in, however
/// they are cut. Holds back at most one delimiter's length besides one part's head.
///
/// For each part: on_part once, on_data any number of times, on_end once; an Error from any of them
/// ends the parsing and is handed on.
class MultipartParser {
 public:
  struct Sink {
    std::function<Status(PartHead)> on_part;
    std::function<Status(std::span<const std::byte>)> on_data;
    std::function<Status()> on_end;
  };

  /// `boundary` without the leading dashes.
  MultipartParser(std::string_view boundary, Sink sink);

  Status feed(std::span<const std::byte> bytes);
  /// Once the body has ended: invalid_argument when its closing delimiter never came.
  Status finish() const;

 private:
  enum class State : std::uint8_t { preamble, after_delimiter, head, data, done };

  Status step(bool& progress);
  Result<PartHead> parse_head(std::string_view head) const;

  const std::string delimiter_;  // "\r\n--boundary"
  const Sink sink_;
  State state_ = State::preamble;
  std::string pending_;
};

/// The boundary of a Content-Type "multipart/form-data; boundary=...". invalid_argument when it has
/// none or one that is not allowed (1 to 70 characters of RFC 2046's set).
Result<std::string> multipart_boundary(std::string_view content_type);

/// Feeds a whole body through a parser.
Status parse_multipart(const RequestBody& body, std::string_view boundary,
                       MultipartParser::Sink sink);

}  // namespace similis::http
