#include "config/resource_plan.h"

#include <algorithm>

#include "config/units.h"

namespace similis {
namespace {

constexpr std::int64_t kMib = std::int64_t{1} << 20;
constexpr std::int64_t kGib = std::int64_t{1} << 30;
constexpr std::int64_t kDefaultModelBytes = 18 * kMib;

std::int64_t default_memory(const MachineFacts& machine) {
  return std::clamp(machine.memory_bytes / 4, 512 * kMib, 16 * kGib);
}

struct Part {
  const char* name;
  std::int64_t fixed;  // 0: a share by weight
  std::int64_t weight;
  std::int64_t least;  // an unfixed part gets at least this
  const char* key;
};

}  // namespace

std::int64_t model_memory_bytes(std::int64_t model_file_bytes, std::int64_t threads) {
  // Measured with EfficientNet-Lite0 (18.5 MB) on two threads: 55 MB after the first lone query,
  // 163 MB with a lane a thread as well.
  constexpr std::int64_t kRuntime = 64 * kMib, kPerThread = 16 * kMib;
  return kRuntime + kPerThread * threads + 4 * model_file_bytes;
}

Result<ResourcePlan> plan_resources(const Settings& settings, const MachineFacts& machine,
                                    std::int64_t model_file_bytes) {
  ResourcePlan plan;
  plan.decode_workers = settings.decode.workers != 0 ? settings.decode.workers : machine.cpus;
  plan.model_threads = settings.model.threads != 0 ? settings.model.threads : machine.cpus;
  plan.server_threads = settings.server.threads != 0 ? settings.server.threads
                                                     : std::max<std::int64_t>(4, 2 * machine.cpus);

  const bool total_is_set = settings.memory.max != 0;
  const std::int64_t total = total_is_set ? settings.memory.max : default_memory(machine);
  const std::int64_t model = model_memory_bytes(
      model_file_bytes != 0 ? model_file_bytes : kDefaultModelBytes, plan.model_threads);
  // Weights: vectors in memory are what makes a search quick; decoding needs room for several large
  // pictures at a time.
  const Part parts[] = {
      {"decode", settings.decode.memory_max * plan.decode_workers, 4, 64 * kMib,
       "decode.memory_max"},
      {"index", settings.index.memory_max, 4, 64 * kMib, "index.memory_max"},
      {"cache", settings.cache.memory_max, 1, 16 * kMib, "cache.memory_max"},
  };
  std::int64_t left = total - model, weights = 0;
  std::string asked = "model " + format_bytes(model / kMib * kMib);
  for (const Part& part : parts) {
    left -= part.fixed != 0 ? part.fixed : 0;
    weights += part.fixed != 0 ? 0 : part.weight;
    if (part.fixed != 0) asked += std::string(", ") + part.key + " " + format_bytes(part.fixed);
  }

  plan.shares.push_back({"model", model, ""});
  for (const Part& part : parts) {
    const std::int64_t share =
        part.fixed != 0 ? part.fixed
                        : std::max(part.least, weights == 0 ? 0 : left * part.weight / weights);
    plan.shares.push_back({part.name, share, part.fixed != 0 ? part.key : ""});
  }
  for (const auto& share : plan.shares) plan.memory_max += share.bytes;
  if (total_is_set && plan.memory_max > total) {
    return Error(ErrorCode::invalid_argument,
                 "memory.max is " + format_bytes(total) + ", too little for its parts: " +
                     format_bytes(plan.memory_max) + " (" + asked + ")",
                 "Raise memory.max, or lower what is set of its parts.");
  }
  plan.decode_picture_bytes =
      settings.decode.memory_max != 0
          ? settings.decode.memory_max
          : std::clamp(plan.shares[1].bytes / plan.decode_workers, 256 * kMib, kGib);
  plan.index_bytes = plan.shares[2].bytes;
  plan.index_build_bytes = settings.index.build_memory_max != 0
                               ? settings.index.build_memory_max
                               : std::max(plan.index_bytes, 256 * kMib);
  plan.cache_bytes = plan.shares[3].bytes;
  return plan;
}

}  // namespace similis
