#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/machine.h"
#include "config/settings.h"

namespace similis {

/// Memory and threads shared out in one place: what the application tells decoders, model, index,
/// cache and server.
struct ResourcePlan {
  std::int64_t memory_max = 0;  // the sum of the shares below

  struct Share {
    std::string part;  // "decode", "model", "index", "cache"
    std::int64_t bytes = 0;
    std::string set_by;  // the key that fixes it; "" when it follows from memory.max
  };
  std::vector<Share> shares;  // the rows that `similis status` shows

  std::int64_t decode_picture_bytes = 0;  // what one worker may take
  std::int64_t index_bytes = 0;
  std::int64_t index_build_bytes = 0;  // for a while, beside memory_max
  std::int64_t cache_bytes = 0;

  std::int64_t decode_workers = 1;
  std::int64_t model_threads = 1;
  std::int64_t server_threads = 4;
};

/// `model_file_bytes`: size of the model file in use, which decides what the model takes (0: the
/// default model's). invalid_argument when memory.max is set and the keys of its parts ask for more
/// than it.
Result<ResourcePlan> plan_resources(const Settings& settings, const MachineFacts& machine,
                                    std::int64_t model_file_bytes);

/// What a model takes in this process: the runtime, and the weights once as they come and once as
/// each of the two compiled forms (all threads on one picture; a picture a thread) lays them out.
std::int64_t model_memory_bytes(std::int64_t model_file_bytes, std::int64_t threads);

}  // namespace similis
