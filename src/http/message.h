#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "http/body.h"

namespace similis::http {

/// Header fields in their order; names compare in any case.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;
  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  void add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  /// Replaces all fields of this name.
  void set(std::string_view name, std::string value);
  /// The first field of this name, or null.
  [[nodiscard]] const std::string* find(std::string_view name) const;
  [[nodiscard]] std::string_view get(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;

  [[nodiscard]] auto begin() const { return fields_.begin(); }
  [[nodiscard]] auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

bool equals_ignoring_case(std::string_view a, std::string_view b);

/// How a request came in. Credentials are looked at only for TCP.
enum class Via : std::uint8_t {
  in_process,   // the caller is this very process
  unix_socket,  // its peer's user id was checked by the server
  tcp,
};

struct RequestHead {
  std::string method;
  std::string target;  // as sent: path and query, percent-encoded
  Headers headers;
  Via via = Via::tcp;
  bool has_body = false;
  std::optional<std::uint64_t> content_length;  // nullopt: chunked, or without a body
};

/// Bytes of an answer, shared, owned or in an open file, maybe a part of a larger whole.
class Bytes {
 public:
  Bytes() = default;
  static Bytes of(std::string text);
  static Bytes of(std::vector<std::byte> bytes);
  /// Kept alive as long as it is in use.
  static Bytes of(std::shared_ptr<const std::string> shared);

  /// The first `size` bytes of the file, read when they are sent.
  static Bytes of(File file, std::size_t size);

  [[nodiscard]] bool in_file() const { return file_ != nullptr; }
  /// Of bytes in memory.
  [[nodiscard]] std::string_view view() const { return view_; }
  [[nodiscard]] std::size_t size() const { return file_ ? file_size_ : view_.size(); }
  /// Fills `out` from `offset`; less only at the end. An error when the file has become shorter.
  Result<std::size_t> read(std::size_t offset, std::span<std::byte> out) const;
  /// All of them.
  [[nodiscard]] Result<std::string> text() const;
  [[nodiscard]] Bytes part(std::size_t offset, std::size_t size) const;

 private:
  std::shared_ptr<const void> owner_;
  std::string_view view_;
  std::shared_ptr<const File> file_;
  std::size_t file_offset_ = 0;
  std::size_t file_size_ = 0;
};

/// An answer that goes on: text pulled by whoever sends it, on a thread of its own.
class EventStream {
 public:
  virtual ~EventStream() = default;
  /// The next text to send. Waits for it, at most about `patience`, then "" (nothing yet); nullopt
  /// at the end, or soon after `stop`.
  virtual std::optional<std::string> next(const std::stop_token& stop,
                                          std::chrono::milliseconds patience) = 0;
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Length is the server's business
  Bytes body;
  std::unique_ptr<EventStream> stream;  // instead of a body
};

/// How much of a body is taken, and where to.
struct BodyPolicy {
  std::uint64_t bytes_max = 0;
  std::filesystem::path spool_folder;     // of RequestBody; empty: the body stays in memory
  std::string limit_key;                  // the configuration key of bytes_max, for the error
  std::chrono::milliseconds time_max{0};  // for all of it; 0: as long as it keeps coming
};

/// One request on its way, admitted or refused by its head alone.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// Set when the request is refused: the body need not be read.
  [[nodiscard]] virtual bool refused() const = 0;
  /// The request showed a good credential, or needed none to be the owner's.
  [[nodiscard]] virtual bool authorised() const = 0;
  [[nodiscard]] virtual BodyPolicy body_policy() const = 0;
  /// The answer; once. `cancel` is requested when nobody waits for it any more.
  virtual Response run(RequestBody body, std::stop_token cancel) = 0;
  /// The answer when reading the body failed (too large, too slow, malformed).
  virtual Response fail(const Error& error, int status) = 0;
};

/// Answers requests; knows nothing of sockets. Safe from several threads.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual std::unique_ptr<Exchange> open(RequestHead head) = 0;
  /// The answer to bytes that never became a request (malformed, head too large or too slow).
  virtual Response refuse(const Error& error, int status) = 0;
};

/// The standard words of a status: "Not Found".
std::string_view reason_phrase(int status);

}  // namespace similis::http
