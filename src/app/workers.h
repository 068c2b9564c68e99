#pragma once

#include <memory>

#include "base/result.h"
#include "config/resource_plan.h"
#include "config/settings.h"
#include "worker/pool.h"

namespace similis {

/// The decode workers as the configuration limits them.
Result<std::unique_ptr<WorkerPool>> start_workers(const Settings& settings,
                                                  const ResourcePlan& plan);

/// One worker under the same limits, for a command that decodes a picture or two by itself.
Result<std::unique_ptr<WorkerPool>> start_single_worker(const Settings& settings);

}  // namespace similis
