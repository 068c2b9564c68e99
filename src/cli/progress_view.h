#pragma once

#include "cli/session.h"

namespace similis::cli {

/// Shows a job's events as one moving line, as lines now and then, or as NDJSON.
class ProgressView {
 public:
  explicit ProgressView(Session& session) : session_(session) {}

  void show(const Json& job);
  /// Takes the moving line away.
  void end();

 private:
  Session& session_;
  Context::Clock::time_point last_;
  bool moving_ = false;
};

}  // namespace similis::cli
