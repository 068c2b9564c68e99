#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/follow_job.h"

namespace similis::cli {

struct IndexOptions {
  std::vector<std::string> folders;
  std::string collection;
  std::string model;
  bool watch = false;
  bool hidden = false;
  bool retry_failed = false;
  bool strict = false;
};

struct SearchOptions {
  std::string picture;  // a file, "-", or "id:412"
  std::string collection;
  int k = 10;
  std::string filter;
  std::optional<double> min_score;
  std::string crop;  // "x,y,width,height"
  bool exclude_self = false;
  bool collapse = false;
  bool paths = false;
  bool zero = false;  // names end with a NUL
  bool show = false;
  bool open = false;
  std::string html;  // write a contact sheet here
};

struct ImportOptions {
  std::vector<std::string> archives;
  std::string collection;
  std::string model;
};

struct ExportOptions {
  std::string file;
  std::string collection;
  bool no_pictures = false;
};

struct StatusOptions {
  std::string collection;
  bool failures = false;
};

/// Each runs one command and returns its exit code; an Error is printed by the caller.
Result<int> run_index(Session& session, const IndexOptions& options);
/// Follows a build and tells how it ended; `job` becomes its last state. `named`: the user named
/// the collection. For `index` and `jobs resume`.
Result<int> watch_build(Session& session, Json& job, bool named, FollowUntil until);
Result<int> run_search(Session& session, const SearchOptions& options, const Hooks& hooks);
Result<int> run_import(Session& session, const ImportOptions& options);
Result<int> run_export(Session& session, const ExportOptions& options);
/// Follows an import or export and tells how it ended. Also for `jobs resume`.
Result<int> watch_archive(Session& session, Json& job);
Result<int> run_status(Session& session, const StatusOptions& options);
Result<int> run_verify(Session& session);
Result<int> run_jobs(Session& session, const std::string& action, const std::string& id);
Result<int> run_collections(Session& session, const std::string& remove, bool yes);
Result<int> run_models(Session& session);
Result<int> run_keys_create(Session& session, const std::string& name);
Result<int> run_keys_list(Session& session);
Result<int> run_keys_delete(Session& session, const std::string& id);

int print_config(const Json& config, const GlobalOptions& options, const Terminal& terminal);
int print_doctor(const Json& checks, const GlobalOptions& options, const Terminal& terminal);

/// A completion script of bash, zsh or fish. `has_bench`: whether there is a command `bench`.
Result<std::string> completion_script(const std::string& shell, bool has_bench);

}  // namespace similis::cli
