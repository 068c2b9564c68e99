#include "inference/lanes.h"

#include <algorithm>

namespace similis {

struct InferenceLanes::Call {
  explicit Call(std::span<const PictureTensor> pictures_)
      : pictures(pictures_), answers(pictures_.size()) {}

  std::span<const PictureTensor> pictures;
  EmbedBatch answers;
  std::size_t next = 0;     // first picture not taken
  std::size_t running = 0;  // taken, not finished
  std::optional<Error> error;
  std::condition_variable_any finished;

  // After a failure or a withdrawal nothing more is taken: `next` is at the end.
  [[nodiscard]] bool done() const { return next == pictures.size() && running == 0; }
};

InferenceLanes::InferenceLanes(std::size_t lanes, Run run) : run_(std::move(run)) {
  threads_.reserve(lanes);
  for (std::size_t lane = 0; lane < lanes; ++lane)
    threads_.emplace_back([this, lane] { work(lane); });
}

InferenceLanes::~InferenceLanes() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
}

Result<EmbedBatch> InferenceLanes::embed(const Context& ctx,
                                         std::span<const PictureTensor> pictures) {
  TRY(ctx.check());
  if (pictures.empty()) return EmbedBatch{};
  Call call(pictures);
  std::unique_lock lock(mutex_);
  (pictures.size() <= kSmallCall ? small_ : bulk_).push_back(&call);
  if (pictures.size() == 1) {
    work_.notify_one();
  } else {
    work_.notify_all();
  }
  const auto done = [&call] { return call.done(); };
  const bool finished = ctx.deadline == Context::Clock::time_point::max()
                            ? call.finished.wait(lock, ctx.cancel, done)
                            : call.finished.wait_until(lock, ctx.cancel, ctx.deadline, done);
  if (!finished) {
    withdraw(call);
    call.finished.wait(lock, done);
    TRY(ctx.check());
    return Error(ErrorCode::deadline_exceeded, "the deadline passed while the model ran");
  }
  if (call.error) return *std::move(call.error);
  return std::move(call.answers);
}

std::size_t InferenceLanes::waiting() const {
  std::lock_guard lock(mutex_);
  return small_.size() + bulk_.size();
}

void InferenceLanes::withdraw(Call& call) {
  call.next = call.pictures.size();
  std::erase(small_, &call);
  std::erase(bulk_, &call);
}

std::deque<InferenceLanes::Call*>* InferenceLanes::next_queue() {
  constexpr std::size_t kSmallInARowMax = 3;
  if (small_.empty() && bulk_.empty()) return nullptr;
  if (!small_.empty() && (bulk_.empty() || small_in_a_row_ < kSmallInARowMax)) {
    small_in_a_row_ = bulk_.empty() ? 0 : small_in_a_row_ + 1;
    return &small_;
  }
  small_in_a_row_ = 0;
  return &bulk_;
}

void InferenceLanes::work(std::size_t lane) {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || anything_waits(); });
    std::deque<Call*>* queue = next_queue();
    if (queue == nullptr) return;  // stopping, and nothing is left
    Call& call = *queue->front();
    const std::size_t at = call.next++;
    if (call.next == call.pictures.size()) queue->pop_front();
    ++call.running;
    const bool alone = running_++ == 0 && !anything_waits();

    lock.unlock();
    Result<Embedding> answer = run_(lane, alone, call.pictures[at]);
    lock.lock();

    --running_;
    --call.running;
    if (answer.ok()) {
      call.answers[at] = std::move(answer).value();
    } else {
      if (!call.error) call.error = std::move(answer).error();
      withdraw(call);
    }
    if (call.done()) call.finished.notify_all();
  }
}

}  // namespace similis
