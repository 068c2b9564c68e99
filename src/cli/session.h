#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"
#include "client/transport.h"
#include "wire/json.h"

namespace similis::cli {

/// What every command takes.
struct GlobalOptions {
  std::string data_dir;
  std::string config_file;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

/// One command's run: the API, the terminal, and what the user asked for everywhere.
class Session {
 public:
  Session(GlobalOptions options, std::unique_ptr<Transport> transport,
          std::string default_collection);

  /// Asks the API and parses the answer. A problem document becomes the Error it describes.
  Result<Json> call(std::string_view method, const std::string& target, const Json* body = nullptr);
  /// The same with a body of any kind.
  Result<Json> call(const ApiRequest& request);

  /// The collection a command means: the one asked for, else the configured one, else the only one
  /// there is, else "pictures". invalid_argument lists them when there are several and none is
  /// called "pictures".
  Result<std::string> collection(const std::string& asked);
  /// The same for a command that makes the collection when there is none.
  Result<std::string> collection_to_fill(const std::string& asked);

  Transport& transport() { return *transport_; }
  [[nodiscard]] const GlobalOptions& options() const { return options_; }
  [[nodiscard]] const Terminal& out() const { return out_; }
  [[nodiscard]] const Terminal& err() const { return err_; }
  /// Cancelled by ^C and SIGTERM.
  [[nodiscard]] const Context& context() const { return context_; }
  void set_context(Context context) { context_ = std::move(context); }

 private:
  GlobalOptions options_;
  std::unique_ptr<Transport> transport_;
  std::string default_collection_;
  Terminal out_;
  Terminal err_;
  Context context_;
};

/// The error that a problem document (or any other answer that is not 2xx) stands for.
Error error_of(const ApiResponse& response);

/// Text of an optional member: "" when absent or null.
std::string text_of(const Json& object, const char* member);
/// A path byte for byte: `member` with "_bytes" where it is not UTF-8, else `member`; "" when
/// absent.
std::string path_of(const Json& object, const std::string& member = "path");
/// Number of an optional member.
double number_of(const Json& object, const char* member, double otherwise = 0);
std::int64_t count_of(const Json& object, const char* member);

/// Percent-encodes everything but unreserved characters (RFC 3986).
std::string percent_encoded(std::string_view text);

}  // namespace similis::cli
