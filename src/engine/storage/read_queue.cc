#include "engine/storage/storage.h"

namespace similis::engine {
namespace {

class SequentialQueue final : public ReadQueue {
 public:
  void submit(std::span<ReadGroup* const> groups) override {
    for (ReadGroup* const group : groups) {
      for (ReadRequest& request : group->requests)
        request.status = request.file->read(request.offset, request.out);
      group->pending = 0;
    }
  }
  void reap(bool /*wait*/) override {}
};

}  // namespace

std::unique_ptr<ReadQueue> Storage::make_read_queue() {
  return std::make_unique<SequentialQueue>();
}

}  // namespace similis::engine
