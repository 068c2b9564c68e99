#include "app/system.h"

#include <mutex>

#include "app/model_store.h"
#include "app/process_memory.h"
#include "app/workers.h"
#include "archive/unpack_process.h"
#include "base/log.h"
#include "config/machine.h"
#include "services/job_service.h"
#include "services/library_service.h"
#include "services/query_service.h"
#include "services/upload_service.h"
#include "stores/blob/files/file_blob_store.h"
#include "stores/cache/memory/memory_cache.h"
#include "stores/metadata/sql/sqlite.h"
#include "stores/vector/embedded/embedded_vector_store.h"

namespace similis {
namespace {

/// Counting the files of a large library takes seconds: a figure this old still tells the truth.
constexpr std::chrono::seconds kDiskFiguresLife{30};

Ports ports_of(MetadataStore& metadata, VectorStore& vectors, Cache& cache, BlobStore& blobs,
               Decoder& decoder, Unpacker& unpacker, ModelProvider& models,
               const Settings& settings, const ResourcePlan& plan) {
  ServiceLimits limits;
  limits.file_bytes_max = settings.limits.file_bytes_max;
  limits.decode_threads = static_cast<std::size_t>(plan.decode_workers);
  limits.lease_s = std::chrono::duration_cast<std::chrono::seconds>(settings.jobs.lease).count();
  limits.hidden = settings.ingest.hidden;
  limits.watch_settle_ms = settings.watch.settle.count();
  std::error_code error;
  const auto canonical = std::filesystem::canonical(settings.data_dir, error);
  limits.never_inside = error ? settings.data_dir.native() : canonical.native();
  limits.imports_dir = limits.never_inside + "/imports";
  return {metadata, vectors, cache, blobs, decoder, unpacker, models, limits};
}

bool holds_files(const std::filesystem::path& folder) {
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (at->is_regular_file(error)) return true;
  }
  return false;
}

/// A new database would belong to nobody's uploads, and they would be swept as nobody's.
Status check_database_is_there(const std::filesystem::path& data) {
  std::error_code error;
  if (std::filesystem::exists(data / "similis.db", error)) return {};
  for (const char* folder : {"blobs", "collections"}) {
    if (!holds_files(data / folder)) continue;
    return Error(ErrorCode::corruption,
                 "the database " + (data / "similis.db").native() + " is missing, but " + folder +
                     "/ beside it is not empty",
                 "Put a copy of it back; or, to begin anew, move blobs (the uploaded pictures) and "
                 "collections out of " +
                     data.native() + ".");
  }
  return {};
}

}  // namespace

/// Everything in the order it depends on what is above it.
struct System::Parts {
  ResourcePlan plan;
  std::unique_ptr<MetadataStore> metadata;
  std::unique_ptr<VectorStore> vectors;
  std::unique_ptr<Cache> cache;
  std::unique_ptr<BlobStore> blobs;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<Unpacker> unpacker;
  std::unique_ptr<ModelStore> models;
  std::unique_ptr<Ports> ports;
  std::unique_ptr<QueryService> query;
  std::unique_ptr<UploadService> upload;
  std::unique_ptr<JobService> jobs;
  std::unique_ptr<LibraryService> library;
  std::unique_ptr<StoredKeyRing> keys;

  std::mutex disk_mutex;
  wire::DiskDoc disk;
  std::chrono::steady_clock::time_point disk_at;
};

System::System(DataDirectory directory, Settings settings, SystemOptions options)
    : directory_(std::move(directory)),
      settings_(std::move(settings)),
      options_(std::move(options)),
      parts_(std::make_unique<Parts>()) {}

System::~System() {
  for (std::jthread* thread : {&jobs_, &warmer_}) {
    thread->request_stop();
    if (thread->joinable()) thread->join();
  }
}

Result<std::unique_ptr<System>> System::open(const Settings& settings, SystemOptions options) {
  ASSIGN_OR_RETURN(DataDirectory directory,
                   DataDirectory::lock(settings.data_dir, HolderKind::command));
  return open(std::move(directory), settings, std::move(options));
}

Result<std::unique_ptr<System>> System::open(DataDirectory directory, const Settings& settings,
                                             SystemOptions options) {
  std::unique_ptr<System> system(new System(std::move(directory), settings, std::move(options)));
  Parts& p = *system->parts_;
  const std::filesystem::path& data = settings.data_dir;

  ASSIGN_OR_RETURN(p.plan,
                   plan_resources(settings, machine_facts(), default_model_bytes(settings)));
  p.models = std::make_unique<ModelStore>(settings, static_cast<std::size_t>(p.plan.model_threads));
  TRY(check_database_is_there(data));
  ASSIGN_OR_RETURN(p.metadata, open_sqlite_metadata({.file = data / "similis.db"}));
  ASSIGN_OR_RETURN(p.vectors,
                   open_embedded_vectors(
                       {.directory = data,
                        .memory_max = static_cast<std::uint64_t>(p.plan.index_bytes),
                        .build_memory_max = static_cast<std::uint64_t>(p.plan.index_build_bytes)}));
  p.cache = make_memory_cache({.bytes_max = p.plan.cache_bytes});
  ASSIGN_OR_RETURN(p.blobs, open_file_blobs({.directory = data}));
  ASSIGN_OR_RETURN(p.workers, start_workers(settings, p.plan));
  ASSIGN_OR_RETURN(const auto unpacker, find_unpacker());
  p.unpacker = make_unpacker(unpacker);
  p.ports = std::make_unique<Ports>(ports_of(*p.metadata, *p.vectors, *p.cache, *p.blobs,
                                             *p.workers, *p.unpacker, *p.models, settings, p.plan));
  p.query = std::make_unique<QueryService>(*p.ports);
  p.upload = std::make_unique<UploadService>(*p.ports);
  p.jobs = std::make_unique<JobService>(*p.ports);
  p.library = std::make_unique<LibraryService>(*p.ports);
  p.keys = std::make_unique<StoredKeyRing>(*p.metadata);

  http::RouterOptions router;
  router.version = system->options_.version;
  router.command = system->options_.command;
  router.allow_hosts = settings.server.allow_hosts;
  for (const std::string& root : settings.server.allowed_roots)
    router.index_roots.emplace_back(root);
  router.keys_see_paths = settings.server.keys_see_paths;
  router.start_token = system->options_.start_token;
  router.web_dir = system->options_.web_folder;
  router.spool_dir = data / "spool";
  router.query_bytes_max = static_cast<std::uint64_t>(settings.limits.query_bytes_max);
  router.upload_bytes_max = static_cast<std::uint64_t>(settings.limits.upload_bytes_max);
  router.file_bytes_max = static_cast<std::uint64_t>(settings.limits.file_bytes_max);
  router.upload_files_max = static_cast<std::size_t>(settings.limits.upload_files_max);
  TRY(make_directories(router.spool_dir));
  ASSIGN_OR_RETURN(system->router_, http::Router::create({.query = *p.query,
                                                          .upload = *p.upload,
                                                          .jobs = *p.jobs,
                                                          .library = *p.library,
                                                          .keys = *p.keys,
                                                          .status = *system},
                                                         std::move(router)));
  return system;
}

Result<std::shared_ptr<Embedder>> System::load_model(std::string_view name) {
  return parts_->models->load(name);
}

JobService& System::jobs() {
  return *parts_->jobs;
}
std::size_t System::server_threads() const {
  return static_cast<std::size_t>(parts_->plan.server_threads);
}
MetadataStore& System::metadata() {
  return *parts_->metadata;
}
VectorStore& System::vectors() {
  return *parts_->vectors;
}

void System::start_jobs(JobScope scope) {
  jobs_ =
      std::jthread([this, scope](const std::stop_token& stop) { parts_->jobs->run(stop, scope); });
}

void System::warm_up() {
  warmer_ = std::jthread([this](const std::stop_token& stop) {
    Context ctx;
    ctx.cancel = stop;
    const auto collections = parts_->metadata->list_collections(ctx);
    if (!collections.ok()) return;
    for (const Collection& collection : *collections) {
      if (stop.stop_requested()) return;
      // The summary opens the index and loads the model; what fails here is told to whoever
      // searches.
      const auto summary = parts_->library->get_collection(ctx, collection.name);
      if (!summary.ok())
        log(LogLevel::warning, "collection " + collection.name + ": " + summary.error().message);
    }
  });
}

Result<wire::DiskDoc> System::disk(const Context& ctx) {
  Parts& p = *parts_;
  std::lock_guard lock(p.disk_mutex);
  const auto now = std::chrono::steady_clock::now();
  if (!p.disk.parts.empty() && now - p.disk_at < kDiskFiguresLife) return p.disk;
  wire::DiskDoc out;
  ASSIGN_OR_RETURN(const BlobUsage thumbs, p.blobs->usage(ctx, BlobKind::thumbnail));
  ASSIGN_OR_RETURN(const BlobUsage uploads, p.blobs->usage(ctx, BlobKind::upload));
  ASSIGN_OR_RETURN(const std::int64_t database, p.metadata->bytes_on_disk(ctx));
  std::int64_t vectors = 0;
  ASSIGN_OR_RETURN(const auto collections, p.metadata->list_collections(ctx));
  for (const Collection& collection : collections) {
    ASSIGN_OR_RETURN(const auto indexes, p.metadata->list_indexes(ctx, collection.id));
    for (const IndexInfo& index : indexes) {
      if (auto stats = p.vectors->stats(ctx, index.id); stats.ok()) vectors += stats->bytes_on_disk;
    }
  }
  out.parts = {{"thumbs", thumbs.bytes},
               {"vectors", vectors},
               {"uploads", uploads.bytes},
               {"database", database},
               {"models", model_bytes_on_disk(settings_)}};
  for (const wire::ShareDoc& part : out.parts) out.used_bytes += part.bytes;
  std::error_code error;
  const auto space = std::filesystem::space(directory_.path(), error);
  if (!error) out.free_bytes = static_cast<std::int64_t>(space.available);
  p.disk = out;
  p.disk_at = now;
  return out;
}

Result<http::SystemFigures> System::figures(const Context& ctx) {
  Parts& p = *parts_;
  http::SystemFigures out;
  out.data_dir = directory_.path().native();
  ASSIGN_OR_RETURN(out.disk, disk(ctx));

  const ProcessMemory memory = process_memory();
  const CacheStats cache = p.cache->stats();
  std::int64_t index = 0;
  ASSIGN_OR_RETURN(const auto collections, p.metadata->list_collections(ctx));
  for (const Collection& collection : collections) {
    if (collection.active_index == 0) continue;
    if (auto stats = p.vectors->stats(ctx, collection.active_index); stats.ok())
      index += stats->bytes_in_memory;
  }
  out.memory.limit_bytes = p.plan.memory_max;
  out.memory.used_bytes = memory.own_bytes + memory.children_bytes;
  out.memory.parts = {{"model", std::max<std::int64_t>(0, memory.own_bytes - index - cache.bytes)},
                      {"decode", memory.children_bytes},
                      {"cache", cache.bytes},
                      {"index", index}};

  const WorkerPool::Stats workers = p.workers->stats();
  auto figure = [&](const char* name, const char* help, double value, bool is_counter) {
    out.figures.push_back({name, help, {}, value, is_counter});
  };
  figure("similis_cache_hits_total", "Answers and embeddings found in the cache.",
         static_cast<double>(cache.hits), true);
  figure("similis_cache_misses_total", "Look-ups that found nothing.",
         static_cast<double>(cache.misses), true);
  figure("similis_cache_bytes", "Bytes the cache holds.", static_cast<double>(cache.bytes), false);
  figure("similis_decode_workers", "Decode workers alive.", workers.workers, false);
  figure("similis_decode_restarts_total",
         "Workers restarted after a crash, a hang or too much memory.",
         static_cast<double>(workers.restarts), true);
  figure("similis_decoded_total", "Pictures decoded.", static_cast<double>(workers.decoded), true);
  figure("similis_index_memory_bytes", "Bytes of memory the indexes hold.",
         static_cast<double>(index), false);
  return out;
}

Status System::ready(const Context& ctx) {
  ASSIGN_OR_RETURN([[maybe_unused]] const auto collections,
                   parts_->metadata->list_collections(ctx));
  return {};
}

}  // namespace similis
