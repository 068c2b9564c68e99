#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "http/services.h"
#include "wire/documents.h"

namespace similis::http {

/// What the server counts about itself, and /metrics. Safe from several threads.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  /// `route` is the pattern, never the path: its values are few.
  void request(std::string_view method, std::string_view route, int status, double seconds);
  /// A search that was answered: its stages, whether the cache had it, whether anything was alike.
  void search(const std::vector<Trace::Stage>& stages, std::string_view cache, bool good_match,
              double total_ms);

  [[nodiscard]] std::int64_t searches() const;
  /// Of the last thousand; nullopt before the first.
  [[nodiscard]] std::optional<double> search_median_ms() const;

  /// Prometheus' text format: the above, pictures by collection and state, jobs by state, and what
  /// the application adds.
  [[nodiscard]] std::string text(const std::vector<wire::CollectionDoc>& collections,
                                 const std::vector<wire::JobDoc>& jobs,
                                 const SystemFigures& system) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace similis::http
