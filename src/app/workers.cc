#include "app/workers.h"

#include "config/machine.h"

namespace similis {

Result<std::unique_ptr<WorkerPool>> start_workers(const Settings& settings,
                                                  const ResourcePlan& plan) {
  WorkerPoolOptions options;
  ASSIGN_OR_RETURN(options.worker, find_worker());
  options.workers = static_cast<int>(plan.decode_workers);
  options.limits.pixels_max = static_cast<std::uint64_t>(settings.limits.pixels_max);
  options.limits.file_bytes_max = static_cast<std::uint64_t>(settings.limits.file_bytes_max);
  options.picture_timeout = settings.decode.time_max;
  options.memory_bytes_max = static_cast<std::uint64_t>(plan.decode_picture_bytes);
  return WorkerPool::start(options);
}

Result<std::unique_ptr<WorkerPool>> start_single_worker(const Settings& settings) {
  ASSIGN_OR_RETURN(ResourcePlan plan, plan_resources(settings, machine_facts(), 0));
  plan.decode_workers = 1;
  return start_workers(settings, plan);
}

}  // namespace similis
