#include "services/upload_service.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "services/index_targets.h"
#include "services/ingest_pipeline.h"

namespace similis {

namespace {

std::int64_t unix_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::optional<Error> refusal(const UploadFile& file) {
  if (!file.bytes || file.bytes->empty()) {
    return Error(ErrorCode::unreadable_media, "the file is empty");
  }
  const bool bad_tag = std::any_of(file.tags.begin(), file.tags.end(), [](const std::string& tag) {
    return tag.empty() || tag.size() > kTagBytesMax;
  });
  if (bad_tag || file.tags.size() > kTagsMax) {
    return Error(ErrorCode::invalid_argument, "a tag is empty or too long, or there are too many",
                 "A picture has at most " + std::to_string(kTagsMax) + " tags of 1 to " +
                     std::to_string(kTagBytesMax) + " bytes.");
  }
  return std::nullopt;
}

IngestSource source_of(const UploadFile& file, std::size_t ticket) {
  IngestSource source;
  source.name = file.name;
  source.size_bytes = static_cast<std::int64_t>(file.bytes->size());
  source.mtime_ns = unix_now_ns();
  source.bytes = file.bytes;
  source.tags = file.tags;
  std::sort(source.tags.begin(), source.tags.end());
  source.tags.erase(std::unique(source.tags.begin(), source.tags.end()), source.tags.end());
  source.ticket = ticket;
  return source;
}

UploadStatus status_of(IngestOutcome::Kind kind) {
  switch (kind) {
    case IngestOutcome::Kind::ready:
      return UploadStatus::created;
    case IngestOutcome::Kind::unchanged:
      return UploadStatus::exists;
    default:
      return UploadStatus::failed;
  }
}

/// Of several files with the same bytes, whichever was decoded first made the row; for the client
/// it is the first one in its order.
void credit_the_first(std::vector<UploadOutcome>& outcomes) {
  std::unordered_map<ImageId, std::size_t> first;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].status == UploadStatus::failed) continue;
    const std::size_t at = first.emplace(outcomes[i].id, i).first->second;
    if (outcomes[i].status == UploadStatus::created)
      std::swap(outcomes[at].status, outcomes[i].status);
  }
}

}  // namespace

struct UploadService::Impl {
  Ports ports;
};

UploadService::UploadService(const Ports& ports) : impl_(std::make_unique<Impl>(Impl{ports})) {}
UploadService::~UploadService() = default;

Result<std::vector<UploadOutcome>> UploadService::upload(const Context& ctx,
                                                         std::string_view collection,
                                                         std::span<const UploadFile> files) {
  const Ports& ports = impl_->ports;
  ASSIGN_OR_RETURN(const Collection found, ports.metadata.find_collection(ctx, collection));
  std::vector<UploadOutcome> outcomes(files.size());
  if (files.empty()) return outcomes;
  ASSIGN_OR_RETURN(auto targets, ensure_indexes(ctx, ports, found.id, ""));

  std::mutex mutex;
  std::vector<bool> settled(files.size());
  Status status;
  {
    IngestPipeline pipeline(
        ports, std::move(targets),
        {found.id, "", nullptr, [&](const IngestSource& source, const IngestOutcome& outcome) {
           std::lock_guard lock(mutex);
           settled[source.ticket] = true;
           outcomes[source.ticket] = {source.name, status_of(outcome.kind), outcome.id,
                                      outcome.error};
         }});
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (auto error = refusal(files[i])) {
        std::lock_guard lock(mutex);
        settled[i] = true;
        outcomes[i] = {files[i].name, UploadStatus::failed, 0, *std::move(error)};
      } else if (auto pushed = pipeline.push(source_of(files[i], i)); !pushed.ok()) {
        break;  // drain() says why
      }
    }
    status = pipeline.drain(ctx);
  }
  credit_the_first(outcomes);
  if (status.ok()) return outcomes;
  // What is done is done: the client must learn of it. The rest shares the reason.
  const bool any_stored = std::any_of(outcomes.begin(), outcomes.end(), [](const auto& outcome) {
    return outcome.status != UploadStatus::failed;
  });
  if (!any_stored) return std::move(status).error();
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!settled[i]) outcomes[i] = {files[i].name, UploadStatus::failed, 0, status.error()};
  }
  return outcomes;
}

}  // namespace similis
