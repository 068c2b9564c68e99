#include "services/ingest_pipeline.h"

#include <algorithm>
#include <chrono>

#include "services/embed_stage.h"

namespace similis {

namespace {

/// About 40 bytes each: the scan may run ahead so far, which makes the time left known early.
constexpr std::size_t kFilesWaitingMax = 2'000'000;
/// Rows written in one go: what gathers while the batch before is synced.
constexpr std::size_t kWriteBatchMax = 256;
/// A reader's buffer that a larger file made is not kept.
constexpr std::size_t kBufferKeptMax = 16 << 20;
/// While the last pictures of one batch are with the model, the next batch already is.
constexpr std::size_t kEmbedLoops = 2;
/// A batch for the model is not held back longer than this for more pictures to come.
constexpr std::chrono::milliseconds kGatherMax{200};

std::size_t batch_size(const std::vector<IndexTarget>& targets) {
  std::size_t size = 1;
  for (const IndexTarget& target : targets) {
    size = std::max(size, target.embedder->preferred_batch());
  }
  return size;
}

}  // namespace

bool IngestPipeline::WorkQueue::push(FolderWork work) {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return closed_ || waiting_in_folders_ < kFilesWaitingMax; });
  if (closed_) return false;
  waiting_in_folders_ += work.items.size();
  auto place = std::make_shared<FolderPlace>(FolderPlace{work.path, work.folder});
  folders_.push_back({std::move(work), std::move(place), 0});
  ready_.notify_all();
  return true;
}

void IngestPipeline::WorkQueue::push(IngestSource source) {
  std::lock_guard lock(mutex_);
  sources_.push_back(std::move(source));
  ready_.notify_one();
}

std::optional<IngestSource> IngestPipeline::WorkQueue::pop() {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [&] { return closed_ || !sources_.empty() || !folders_.empty(); });
  if (closed_) return std::nullopt;
  if (!sources_.empty()) {
    std::optional<IngestSource> out(std::move(sources_.front()));
    sources_.pop_front();
    return out;
  }
  Folder& folder = folders_.front();
  const FolderWork::Item& item = folder.work.items[folder.next++];
  std::optional<IngestSource> out(std::in_place);
  out->place = folder.place;
  out->name = folder.work.name(item);
  out->size_bytes = item.size_bytes;
  out->mtime_ns = item.mtime_ns;
  if (item.known >= 0) out->known = folder.work.known[static_cast<std::size_t>(item.known)];
  --waiting_in_folders_;
  if (folder.next == folder.work.items.size()) folders_.pop_front();
  room_.notify_one();
  return out;
}

void IngestPipeline::WorkQueue::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  room_.notify_all();
  ready_.notify_all();
}

IngestPipeline::IngestPipeline(const Ports& ports, std::vector<IndexTarget> targets,
                               Settings settings)
    : ports_(ports),
      targets_(std::move(targets)),
      settings_(std::move(settings)),
      preparer_(ports_, settings_.collection, targets_, settings_.root),
      writer_(ports_, settings_.collection, targets_,
              [this](const IngestSource& source, const IngestOutcome& outcome) {
                settle(source, outcome);
              }),
      to_embed_(2 * batch_size(targets_)),
      to_write_(kWriteBatchMax) {
  // One more than decode at once: while it reads and hashes the next file, all of them are busy.
  const std::size_t readers = ports_.limits.decode_threads + 1;
  for (std::size_t i = 0; i < readers; ++i) threads_.emplace_back([this] { prepare_loop(); });
  for (std::size_t i = 0; i < kEmbedLoops; ++i) threads_.emplace_back([this] { embed_loop(); });
  threads_.emplace_back([this] { write_loop(); });
}

IngestPipeline::~IngestPipeline() {
  stop();
  threads_.clear();  // joins
}

Status IngestPipeline::push(FolderWork work) {
  if (work.items.empty()) return status();
  expect(work.items.size());
  if (!work_.push(std::move(work))) return status();
  return {};
}

Status IngestPipeline::push(IngestSource source) {
  expect(1);
  work_.push(std::move(source));
  return status();
}

Status IngestPipeline::drain(const Context& ctx) {
  const std::stop_callback cancelled(ctx.cancel, [this] { stop(); });
  {
    std::unique_lock lock(mutex_);
    const auto settled = [&] { return open_ == 0 || error_; };
    if (ctx.deadline == Context::Clock::time_point::max()) {
      settled_.wait(lock, settled);
    } else {
      settled_.wait_until(lock, ctx.deadline, settled);
    }
    if (error_) return *error_;
    if (open_ == 0) return {};
  }
  auto late = ctx.check();
  if (!late.ok()) fail(std::move(late).error());
  return status();
}

void IngestPipeline::stop() {
  fail(Error(ErrorCode::cancelled, "taking pictures in was stopped"));
}

void IngestPipeline::prepare_loop() {
  Context ctx;
  ctx.cancel = cancel_.get_token();
  std::vector<std::byte> buffer;
  while (auto source = work_.pop()) {
    if (buffer.size() > kBufferKeptMax) buffer = {};
    auto prepared = preparer_.prepare(ctx, std::move(*source), buffer);
    if (!prepared.ok()) {
      fail(std::move(prepared).error());
      return;
    }
    if (prepared->has_value()) hand_on(std::move(**prepared));
    --upstream_;
  }
}

void IngestPipeline::hand_on(PicturePreparer::Prepared prepared) {
  requeue(std::move(prepared.released));
  IngestPicture& picture = prepared.picture;
  if (prepared.gone || prepared.existing) {
    const auto kind = prepared.gone ? IngestOutcome::Kind::gone : IngestOutcome::Kind::unchanged;
    settle(picture.source, {kind, prepared.existing.value_or(0), {}});
    done(1);
    return;
  }
  // A closed queue means that the run is over.
  auto& next = picture.step == IngestPicture::Step::embed ? to_embed_ : to_write_;
  next.push(std::move(picture));
}

void IngestPipeline::embed_loop() {
  Context ctx;
  ctx.cancel = cancel_.get_token();
  const std::size_t size_max = batch_size(targets_);
  for (;;) {
    auto batch = gather_batch(size_max);
    if (batch.empty() || cancel_.stop_requested()) return;
    if (auto status = embed_pictures(ctx, targets_, batch); !status.ok()) {
      fail(std::move(status).error());
      return;
    }
    for (IngestPicture& picture : batch) to_write_.push(std::move(picture));
  }
}

/// A full batch is best for the model. A smaller one goes when no more can come soon.
std::vector<IngestPicture> IngestPipeline::gather_batch(std::size_t size_max) {
  std::vector<IngestPicture> batch;
  auto first = to_embed_.pop();
  if (!first) return batch;
  batch.push_back(std::move(*first));
  const auto until = Context::Clock::now() + kGatherMax;
  while (batch.size() < size_max) {
    // Asked before looking: a picture is in the queue before its source leaves upstream_.
    const bool more_may_come = upstream_ > 0 && Context::Clock::now() < until;
    auto next =
        more_may_come ? to_embed_.pop_for(std::chrono::milliseconds(2)) : to_embed_.try_pop();
    if (next) {
      batch.push_back(std::move(*next));
    } else if (!more_may_come) {
      break;
    }
  }
  return batch;
}

void IngestPipeline::write_loop() {
  while (auto first = to_write_.pop()) {
    std::vector<IngestPicture> batch;
    batch.push_back(std::move(*first));
    while (batch.size() < kWriteBatchMax) {
      auto next = to_write_.try_pop();
      if (!next) break;
      batch.push_back(std::move(*next));
    }
    if (cancel_.stop_requested()) return;
    // Not cancelled half-way: the steps of a batch belong together.
    if (auto status = writer_.write(Context{}, batch); !status.ok()) {
      fail(std::move(status).error());
      return;
    }
    for (const IngestPicture& picture : batch) requeue(preparer_.release(picture));
    done(batch.size());
  }
}

void IngestPipeline::requeue(std::vector<IngestSource> sources) {
  upstream_ += sources.size();
  for (IngestSource& source : sources) work_.push(std::move(source));
}

void IngestPipeline::settle(const IngestSource& source, const IngestOutcome& outcome) {
  if (IngestCounters* counters = settings_.counters) {
    switch (outcome.kind) {
      case IngestOutcome::Kind::ready:
        ++counters->ready;
        break;
      case IngestOutcome::Kind::unchanged:
        ++counters->unchanged;
        break;
      case IngestOutcome::Kind::moved:
        ++counters->moved;
        break;
      case IngestOutcome::Kind::failed:
        ++counters->failed;
        break;
      case IngestOutcome::Kind::gone:
        --counters->found;
        break;
    }
  }
  if (settings_.on_outcome) settings_.on_outcome(source, outcome);
}

void IngestPipeline::expect(std::size_t sources) {
  std::lock_guard lock(mutex_);
  open_ += sources;
  upstream_ += sources;
}

void IngestPipeline::done(std::size_t sources) {
  std::lock_guard lock(mutex_);
  open_ -= sources;
  if (open_ == 0) settled_.notify_all();
}

void IngestPipeline::fail(Error error) {
  {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    settled_.notify_all();
  }
  cancel_.request_stop();
  work_.close();
  to_embed_.close();
  to_write_.close();
}

Status IngestPipeline::status() const {
  std::lock_guard lock(mutex_);
  if (error_) return *error_;
  return {};
}

}  // namespace similis
