#include "services/job_service.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>

#include "archive/unpacker.h"
#include "base/file.h"
#include "services/folder_walk.h"
#include "services/index_targets.h"
#include "services/inside_root.h"
#include "services/job_runner.h"
#include "services/recovery.h"

namespace similis {

namespace {

/// Another process may have changed the row: nobody tells, so it is looked at now and then.
constexpr std::chrono::milliseconds kLookAgain{500};
constexpr std::chrono::hours kWaitMax{24};

Status check_root(const std::string& root) {
  if (root.empty() || root.front() != '/') {
    return Error(ErrorCode::invalid_argument,
                 "the folder \"" + root + "\" is not an absolute path");
  }
  DIR* dir = opendir(root.c_str());
  if (dir == nullptr) {
    if (errno == ENOTDIR) {
      return Error(ErrorCode::invalid_argument, root + " is not a folder",
                   "Name the folder that the picture lies in.");
    }
    return errno_error(errno, "read folder", root);
  }
  closedir(dir);
  return {};
}

/// Makes a new collection's index with `model`; conflict when it has another's already.
Status check_model(const Context& ctx, const Ports& ports, const Collection& collection,
                   std::string_view model, const ModelInfo& info) {
  ASSIGN_OR_RETURN(const auto targets, ensure_indexes(ctx, ports, collection.id, model));
  const IndexInfo& active = targets.front().index;
  if (active.identity == info.identity) return {};
  return Error(
      ErrorCode::conflict,
      "collection " + collection.name + " is indexed with " + active.model_name + "@" +
          active.model_version + ", not with " + std::string(model),
      "A collection keeps its model: leave --model out, or index into another collection.");
}

/// The collection, made when it is new; its model is fixed when one was asked for by name: a job's
/// row does not hold it.
Result<Collection> collection_to_fill(const Context& ctx, const Ports& ports,
                                      std::string_view collection, std::string_view model) {
  TRY(check_collection_name(collection));
  // A model that cannot be had is told before anything is made.
  std::shared_ptr<Embedder> asked;
  if (!model.empty()) {
    ASSIGN_OR_RETURN(asked, ports.models.load(model));
  }
  auto found = ports.metadata.find_collection(ctx, collection);
  if (!found.ok() && found.error().code == ErrorCode::not_found) {
    found = ports.metadata.create_collection(ctx, collection);
    if (!found.ok() && found.error().code == ErrorCode::already_exists) {
      found = ports.metadata.find_collection(ctx, collection);
    }
  }
  if (!found.ok()) return std::move(found).error();
  if (asked) TRY(check_model(ctx, ports, *found, model, asked->info()));
  return found;
}

/// unsupported_media when the first bytes are no archive's.
Status check_archive(std::span<const std::byte> head, const std::string& name) {
  if (!archive_type(head).empty()) return {};
  if (!head.empty() && head.front() == std::byte{'{'}) {
    return Error(ErrorCode::unsupported_media, name + " looks like JSON, and is not sent as it",
                 "Send JSON with `Content-Type: application/json`, and an archive as it is.");
  }
  return Error(ErrorCode::unsupported_media, name + " is no archive that can be read",
               "Give a zip or tar file (also compressed by gzip, bzip2, xz or zstd).");
}

Status check_archive_file(const std::string& path) {
  ASSIGN_OR_RETURN(const OpenedFile opened, open_at(path));
  std::vector<std::byte> head(
      std::min<std::size_t>(static_cast<std::size_t>(opened.size_bytes), kArchiveHeadBytes));
  TRY(pread_exact(opened.file.fd(), head, 0, path));
  return check_archive(head, path);
}

/// Whether a new file may be made at `path`.
Status check_new_file(const std::string& path, const std::string& own) {
  if (path.empty() || path.front() != '/') {
    return Error(ErrorCode::invalid_argument, "the path \"" + path + "\" is not absolute");
  }
  const std::string folder = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  struct stat st{};
  if (::lstat(path.c_str(), &st) == 0) {
    return Error(ErrorCode::already_exists, path + " exists already",
                 "Choose another name, or move it away.");
  }
  if (::stat(folder.c_str(), &st) != 0) return errno_error(errno, "write to folder", folder);
  if (!S_ISDIR(st.st_mode)) {
    return Error(ErrorCode::invalid_argument, folder + " is not a folder");
  }
  if (!own.empty() && lies_within(folder, own)) {
    return Error(ErrorCode::invalid_argument, path + " lies in the data folder of similis itself",
                 "Write it somewhere else.");
  }
  if (::access(folder.c_str(), W_OK) != 0) return errno_error(errno, "write to folder", folder);
  return {};
}

}  // namespace

struct JobService::Impl {
  explicit Impl(const Ports& p) : ports(p), runner(ports) {}

  Result<Job> set_state(const Context& ctx, JobId id, JobState state) {
    ASSIGN_OR_RETURN(Job job, ports.metadata.set_job_state(ctx, id, state));
    runner.poke();
    return job;
  }

  Result<Job> get(const Context& ctx, JobId id) {
    if (auto job = runner.unwritten(id)) return *std::move(job);
    return ports.metadata.get_job(ctx, id);
  }

  /// Makes the job, or joins the one there is; a paused one goes on.
  Result<StartedJob> start(const Context& ctx, JobKind kind, CollectionId collection,
                           std::string_view root, const BuildOptions& options) {
    ASSIGN_OR_RETURN(auto made, ports.metadata.create_job(ctx, kind, collection, root, options));
    if (made.job.state == JobState::paused) {
      ASSIGN_OR_RETURN(made.job, ports.metadata.set_job_state(ctx, made.job.id, JobState::queued));
    }
    runner.want(made.job.id);
    return StartedJob{std::move(made.job), made.existed};
  }

  /// Of an import or export.
  Result<FailurePage> unrecorded_failures(const Job& job, std::size_t limit,
                                          std::string_view cursor) const {
    std::size_t begin = 0;
    const char* end = cursor.data() + cursor.size();
    if (!cursor.empty() && std::from_chars(cursor.data(), end, begin).ptr != end) {
      return Error(ErrorCode::invalid_argument, "the cursor is none of this list's",
                   "Begin without one.");
    }
    const auto log = runner.failures(job.id);
    if (!log && job.counters.failed > 0) {
      return Error(ErrorCode::gone,
                   std::to_string(job.counters.failed) +
                       " files failed, which only the process that did the work knew in words",
                   "Start it again to see them.");
    }
    FailurePage page;
    if (!log) return page;
    page.rows = log->part(begin, limit);
    if (page.rows.size() == limit) page.next_cursor = std::to_string(begin + limit);
    return page;
  }

  Ports ports;
  JobRunner runner;
};

JobService::JobService(const Ports& ports) : impl_(std::make_unique<Impl>(ports)) {}
JobService::~JobService() = default;

Result<StartedJob> JobService::start_build(const Context& ctx, std::string_view collection,
                                           std::string_view root, const BuildOptions& wanted,
                                           std::string_view model) {
  Ports& ports = impl_->ports;
  BuildOptions options = wanted;
  options.hidden = options.hidden || ports.limits.hidden;
  std::string path(root);
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  TRY(check_root(path));
  const std::string& own = ports.limits.never_inside;
  if (!own.empty() && lies_within(path, own)) {
    return Error(ErrorCode::invalid_argument, path + " lies in the data folder of similis itself",
                 "Name the folder that holds the pictures.");
  }
  ASSIGN_OR_RETURN(const Collection found, collection_to_fill(ctx, ports, collection, model));
  return impl_->start(ctx, JobKind::build, found.id, path, options);
}

Result<StartedJob> JobService::start_import(const Context& ctx, std::string_view collection,
                                            std::string_view path, std::string_view model) {
  TRY(check_archive_file(std::string(path)));
  ASSIGN_OR_RETURN(const Collection found,
                   collection_to_fill(ctx, impl_->ports, collection, model));
  return impl_->start(ctx, JobKind::import_archive, found.id, path, {});
}

Result<StartedJob> JobService::start_import(const Context& ctx, std::string_view collection,
                                            const ReadPart& read, std::string_view model) {
  std::vector<std::byte> head(kArchiveHeadBytes);
  ASSIGN_OR_RETURN(const std::size_t size, read(0, head));
  TRY(check_archive(std::span(head).first(size), "what was sent"));
  ASSIGN_OR_RETURN(const Collection found,
                   collection_to_fill(ctx, impl_->ports, collection, model));
  ASSIGN_OR_RETURN(ReceivedArchive received, ReceivedArchive::receive(ctx, impl_->ports, read));
  // A job on the same bytes that ends now must not take them away from this one.
  const auto lock = impl_->runner.hold_kept_archives();
  ASSIGN_OR_RETURN(const std::string path, received.keep(found.id));
  return impl_->start(ctx, JobKind::import_archive, found.id, path, {});
}

Result<StartedJob> JobService::start_export(const Context& ctx, std::string_view collection,
                                            std::string_view path, bool with_pictures) {
  Ports& ports = impl_->ports;
  ASSIGN_OR_RETURN(const Collection found, ports.metadata.find_collection(ctx, collection));
  TRY(check_new_file(std::string(path), ports.limits.never_inside));
  return impl_->start(ctx, with_pictures ? JobKind::export_archive : JobKind::export_tables,
                      found.id, path, {});
}

Result<StartedJob> JobService::start_verify(const Context& ctx, std::string_view collection) {
  Ports& ports = impl_->ports;
  ASSIGN_OR_RETURN(const Collection found, ports.metadata.find_collection(ctx, collection));
  return impl_->start(ctx, JobKind::verify, found.id, "", {});
}

Result<Job> JobService::get(const Context& ctx, JobId id) {
  return impl_->get(ctx, id);
}

Result<std::vector<Job>> JobService::list(const Context& ctx, std::size_t limit) {
  ASSIGN_OR_RETURN(auto jobs, impl_->ports.metadata.list_jobs(ctx, limit));
  for (Job& job : jobs) {
    if (auto unwritten = impl_->runner.unwritten(job.id)) job = *std::move(unwritten);
  }
  return jobs;
}

Result<Job> JobService::pause(const Context& ctx, JobId id) {
  return impl_->set_state(ctx, id, JobState::paused);
}

Result<Job> JobService::resume(const Context& ctx, JobId id) {
  ASSIGN_OR_RETURN(Job job, impl_->set_state(ctx, id, JobState::queued));
  impl_->runner.want(id);
  return job;
}

Result<Job> JobService::cancel(const Context& ctx, JobId id) {
  return impl_->set_state(ctx, id, JobState::cancelled);
}

Result<FailurePage> JobService::failures(const Context& ctx, JobId id, std::size_t limit,
                                         std::string_view cursor) {
  ASSIGN_OR_RETURN(const Job job, get(ctx, id));
  if (job.kind != JobKind::build && job.kind != JobKind::verify) {
    return impl_->unrecorded_failures(job, limit, cursor);
  }
  FolderId root = 0;
  if (!job.root.empty()) {
    ASSIGN_OR_RETURN(root, impl_->ports.metadata.find_folder(ctx, job.root));
    if (root == 0) return FailurePage{};  // no file of it has a row yet
  }
  ASSIGN_OR_RETURN(auto page,
                   impl_->ports.metadata.list_failures(ctx, job.collection, root, limit, cursor));
  return FailurePage{std::move(page.rows), std::move(page.next_cursor)};
}

Result<Job> JobService::wait(const Context& ctx, JobId id, std::int64_t version,
                             Context::Clock::duration timeout) {
  const auto until = std::min(
      Context::Clock::now() + std::min<Context::Clock::duration>(timeout, kWaitMax), ctx.deadline);
  for (;;) {
    const std::uint64_t seen = impl_->runner.changes();
    ASSIGN_OR_RETURN(Job job, get(ctx, id));
    const auto now = Context::Clock::now();
    if (job.version > version || now >= until || ctx.cancel.stop_requested()) return job;
    impl_->runner.wait_for_change(seen, std::min(until, now + kLookAgain));
  }
}

Result<std::vector<std::string>> JobService::findings(const Context& ctx, JobId id) {
  if (auto found = impl_->runner.findings(id)) return *std::move(found);
  ASSIGN_OR_RETURN(const Job job, get(ctx, id));
  if (job.kind != JobKind::verify) {
    return Error(ErrorCode::invalid_argument,
                 "job " + std::to_string(id) + " does not verify anything");
  }
  if (job.state != JobState::done) {
    return Error(ErrorCode::conflict, "job " + std::to_string(id) + " is not done");
  }
  if (job.counters.failed == 0) return std::vector<std::string>();
  return Error(ErrorCode::gone,
               "job " + std::to_string(id) + " found " + std::to_string(job.counters.failed) +
                   " things, which only the process that ran it knew in words",
               "Run verify again.");
}

void JobService::run(const std::stop_token& stop, JobScope scope) {
  impl_->runner.run(stop, scope);
}

Status JobService::recover(const Context& ctx) {
  return recover_rows(ctx, impl_->ports);
}

}  // namespace similis
