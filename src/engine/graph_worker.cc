#include "engine/graph_worker.h"

namespace similis::engine {

GraphWorkers::GraphWorkers(Storage& storage) : storage_(storage) {}
GraphWorkers::~GraphWorkers() = default;

std::unique_ptr<GraphWorker> GraphWorkers::take() {
  {
    std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      auto out = std::move(free_.back());
      free_.pop_back();
      return out;
    }
  }
  return std::make_unique<GraphWorker>(storage_.make_read_queue());
}

void GraphWorkers::give(std::unique_ptr<GraphWorker> worker) {
  std::lock_guard lock(mutex_);
  if (free_.size() < kKeptMax) free_.push_back(std::move(worker));
}

}  // namespace similis::engine
