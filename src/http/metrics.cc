#include "http/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

namespace similis::http {

namespace {

constexpr std::size_t kLatenciesKept = 1000;

const prometheus::Histogram::BucketBoundaries& seconds_buckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60};
  return buckets;
}

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Families made at scrape time, one for each name.
class Extra {
 public:
  void add(const std::string& name, const std::string& help, const Labels& labels, double value,
           bool is_counter) {
    auto [found, is_new] = families_.try_emplace(name);
    prometheus::MetricFamily& family = found->second;
    if (is_new) {
      family.name = name;
      family.help = help;
      family.type = is_counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    }
    prometheus::ClientMetric metric;
    for (const auto& [key, text] : labels) metric.label.push_back({key, text});
    metric.counter.value = value;
    metric.gauge.value = value;
    family.metric.push_back(std::move(metric));
  }
  void append_to(std::vector<prometheus::MetricFamily>& out) {
    for (auto& [name, family] : families_) out.push_back(std::move(family));
  }

 private:
  std::map<std::string, prometheus::MetricFamily> families_;
};

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                          .Name("similis_http_requests_total")
                                                          .Help("Requests answered.")
                                                          .Register(registry);
  prometheus::Family<prometheus::Histogram>& request_seconds =
      prometheus::BuildHistogram()
          .Name("similis_http_request_seconds")
          .Help("Time from the request's last byte to its answer.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& searches =
      prometheus::BuildCounter()
          .Name("similis_searches_total")
          .Help("Searches answered, by what the cache did and whether anything was alike.")
          .Register(registry);
  prometheus::Family<prometheus::Histogram>& stage_seconds =
      prometheus::BuildHistogram()
          .Name("similis_search_stage_seconds")
          .Help("Time of a search's stages.")
          .Register(registry);

  mutable std::mutex mutex;
  std::array<double, kLatenciesKept> latencies_ms{};
  std::int64_t count = 0;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::request(std::string_view method, std::string_view route, int status, double seconds) {
  const std::string at(route);
  impl_->requests
      .Add({{"method", std::string(method)}, {"route", at}, {"status", std::to_string(status)}})
      .Increment();
  impl_->request_seconds.Add({{"route", at}}, seconds_buckets()).Observe(seconds);
}

void Metrics::search(const std::vector<Trace::Stage>& stages, std::string_view cache,
                     bool good_match, double total_ms) {
  impl_->searches
      .Add({{"cache", std::string(cache)}, {"good_match", good_match ? "true" : "false"}})
      .Increment();
  for (const Trace::Stage& stage : stages) {
    impl_->stage_seconds.Add({{"stage", stage.name}}, seconds_buckets()).Observe(stage.ms / 1000);
  }
  std::lock_guard lock(impl_->mutex);
  impl_->latencies_ms[static_cast<std::size_t>(impl_->count) % kLatenciesKept] = total_ms;
  ++impl_->count;
}

std::int64_t Metrics::searches() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->count;
}

std::optional<double> Metrics::search_median_ms() const {
  std::vector<double> kept;
  {
    std::lock_guard lock(impl_->mutex);
    const auto size = std::min<std::size_t>(static_cast<std::size_t>(impl_->count), kLatenciesKept);
    kept.assign(impl_->latencies_ms.begin(),
                impl_->latencies_ms.begin() + static_cast<std::ptrdiff_t>(size));
  }
  if (kept.empty()) return std::nullopt;
  const auto middle = kept.begin() + static_cast<std::ptrdiff_t>(kept.size() / 2);
  std::nth_element(kept.begin(), middle, kept.end());
  return *middle;
}

std::string Metrics::text(const std::vector<wire::CollectionDoc>& collections,
                          const std::vector<wire::JobDoc>& jobs,
                          const SystemFigures& system) const {
  Extra extra;
  for (const wire::CollectionDoc& collection : collections) {
    const auto pictures = [&](const char* state, std::int64_t count) {
      extra.add("similis_pictures", "Pictures by state.",
                {{"collection", collection.name}, {"state", state}}, static_cast<double>(count),
                false);
    };
    pictures("ready", collection.counts.ready);
    pictures("failed", collection.counts.failed);
    pictures("pending", collection.counts.pending);
    if (collection.index) {
      const auto gauge = [&](const char* name, const char* help, std::int64_t value) {
        extra.add(name, help, {{"collection", collection.name}}, static_cast<double>(value), false);
      };
      gauge("similis_index_vectors", "Vectors in the active index.", collection.index->vectors);
      gauge("similis_index_memory_bytes", "Memory of the active index.",
            collection.index->bytes_in_memory);
      gauge("similis_index_disk_bytes", "Disk of the active index.",
            collection.index->bytes_on_disk);
    }
  }
  std::array<std::int64_t, 6> by_state{};
  for (const wire::JobDoc& job : jobs) ++by_state[static_cast<std::size_t>(job.state)];
  constexpr const char* kStates[] = {"queued", "running", "paused", "cancelled", "failed", "done"};
  for (std::size_t i = 0; i < by_state.size(); ++i) {
    extra.add("similis_jobs", "Jobs by state, of the last thousand.", {{"state", kStates[i]}},
              static_cast<double>(by_state[i]), false);
  }
  for (const wire::ShareDoc& part : system.memory.parts) {
    extra.add("similis_memory_bytes", "Memory by part.", {{"part", part.name}},
              static_cast<double>(part.bytes), false);
  }
  for (const wire::ShareDoc& part : system.disk.parts) {
    extra.add("similis_disk_bytes", "Disk by part.", {{"part", part.name}},
              static_cast<double>(part.bytes), false);
  }
  for (const Figure& figure : system.figures) {
    extra.add(figure.name, figure.help, figure.labels, figure.value, figure.is_counter);
  }
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  extra.append_to(families);
  return prometheus::TextSerializer().prometheus::Serializer::Serialize(families);
}

}  // namespace similis::http
