#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "app/data_directory.h"
#include "app/key_ring.h"
#include "config/resource_plan.h"
#include "config/settings.h"
#include "http/router.h"
#include "services/job_service.h"
#include "services/ports.h"

namespace similis {

struct SystemOptions {
  std::string version;
  std::string command;               // how the program is called, for lines to copy
  std::string start_token;           // "": API keys only
  std::filesystem::path web_folder;  // the built page; "": none
};

/// The whole embedded system on one data directory, which it holds the lock of: stores, decode
/// workers, models, services, and the request handler over them.
class System final : public http::StatusProvider {
 public:
  /// Errors: conflict (another process holds the directory, or it is of a newer version), those of
  /// the stores, not_found (no decode worker).
  static Result<std::unique_ptr<System>> open(const Settings& settings, SystemOptions options);
  /// The same on a directory that is locked already.
  static Result<std::unique_ptr<System>> open(DataDirectory directory, const Settings& settings,
                                              SystemOptions options);
  ~System() override;

  http::Router& router() { return *router_; }
  /// Finishes what an earlier process left, then works on jobs of the scope until this object goes.
  /// Once.
  void start_jobs(JobScope scope);
  /// Loads the model of each collection, so that the first search does not wait.
  void warm_up();

  /// The embedder of a model, loaded when it is not yet; "" is the configured one.
  Result<std::shared_ptr<Embedder>> load_model(std::string_view name);

  [[nodiscard]] JobService& jobs();
  /// Requests to answer at the same time.
  [[nodiscard]] std::size_t server_threads() const;
  [[nodiscard]] MetadataStore& metadata();
  [[nodiscard]] VectorStore& vectors();

  Result<http::SystemFigures> figures(const Context& ctx) override;
  Status ready(const Context& ctx) override;

 private:
  struct Parts;
  System(DataDirectory directory, Settings settings, SystemOptions options);

  Result<wire::DiskDoc> disk(const Context& ctx);

  DataDirectory directory_;
  Settings settings_;
  SystemOptions options_;
  std::unique_ptr<Parts> parts_;
  std::unique_ptr<http::Router> router_;
  std::jthread warmer_;
  std::jthread jobs_;  // last: ends before what it works with
};

}  // namespace similis
