#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "cli/session.h"

namespace similis::cli {

struct Connection {
  std::unique_ptr<Transport> transport;
  std::string default_collection;  // of the environment or the configuration; "" when none
};

struct ServeOptions {
  std::string listen;                    // "" for the configured address
  std::vector<std::string> allow_hosts;  // further names this server may be called by
};

/// 8-bit RGB, row after row.
struct Pixels {
  std::int32_t width = 0;
  std::int32_t height = 0;
  std::vector<std::uint8_t> rgb;
};

/// What the application lends to the command line, which itself only parses, asks the API and
/// prints.
struct Hooks {
  std::string version;
  /// A running server when the data directory's lock is held, else the embedded system in this
  /// process.
  std::function<Result<Connection>(const GlobalOptions&, std::stop_token)> connect;
  /// Serves until stopped. `on_ready` gets the lines to print.
  std::function<Status(const GlobalOptions&, const ServeOptions&, std::stop_token,
                       const std::function<void(const std::string&)>& on_ready)>
      serve;
  /// {"values": [{"key", "value", "source", "description"}]}, without opening anything; or the
  /// commented default file.
  std::function<Result<Json>(const GlobalOptions&)> config;
  std::function<std::string()> default_config;
  /// {"checks": [{"name", "state": "ok" | "note" | "problem", "detail", "advice"}]}.
  std::function<Result<Json>(const GlobalOptions&, std::stop_token)> doctor;
  std::function<Result<std::string>()> licenses;
  /// Checks a model folder and makes it known; the model as the API lists it.
  std::function<Result<Json>(const GlobalOptions&, const std::string& folder)> add_model;
  /// Decodes in a worker process, for drawing in the terminal.
  std::function<Result<Pixels>(const GlobalOptions&, std::span<const std::byte> picture,
                               std::int32_t side_max)>
      pixels;
  /// Becomes the benchmark program with these arguments; returns only when it cannot. Empty where
  /// the program is not installed: then there is no such command.
  std::function<Result<int>(const std::vector<std::string>& arguments)> bench;
};

/// Parses, runs one command, prints. The exit code: product rules in wire/error_table.h.
int run(int argc, const char* const* argv, const Hooks& hooks);

}  // namespace similis::cli
